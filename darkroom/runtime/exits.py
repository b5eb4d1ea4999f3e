"""Leave a process with its true exit code.

On Python before 3.14 a process that used the Temporal SDK aborts now and then while the
interpreter is torn down ("PyGILState_Release", code 134; temporalio/sdk-python #300), so a
success would read as a failure. Everything worth keeping is flushed, then the teardown is
skipped.
"""

import logging
import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """Flush what was written and end the process at once."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
