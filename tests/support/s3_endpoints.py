"""A real S3 endpoint over a directory: rclone's, which is a whole server in one binary."""

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from obstore.store import S3Store

from darkroom.files.opening import open_files
from darkroom.files.store import ObstoreFileStore
from tests.support.subprocesses import ended, free_port, wait_for_answer

KEY_ID = "darkroom-tests"
SECRET = "no-secret-at-all"
BUCKET = "pictures"
PREFIX = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Endpoint:
    """Where it listens."""

    address: str

    def open(self, *, bucket: str = BUCKET, secret: str = SECRET) -> ObstoreFileStore:
        """Open the store under PREFIX in a bucket."""
        return open_files(
            f"s3://{bucket}/{PREFIX}?endpoint={self.address}&region=us-east-1",
            access_key_id=KEY_ID,
            secret_access_key=secret,
        )

    def overwrite(self, key: str, content: bytes) -> None:
        """Put other bytes under a name, as no store of ours would."""
        store = S3Store(
            BUCKET,
            prefix=PREFIX,
            endpoint=self.address,
            region="us-east-1",
            access_key_id=KEY_ID,
            secret_access_key=SECRET,
            client_options={"allow_http": True},
        )
        store.put(key, content)


@contextmanager
def running_s3(directory: Path) -> Generator[S3Endpoint]:
    """Serve a directory as S3 while the block runs; BUCKET is there.

    Args:
        directory: exists and is empty.
    """
    (directory / BUCKET).mkdir()
    port = free_port()
    command = [
        str(Path(sys.executable).parent / "rclone"),
        *("serve", "s3", "--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY_ID},{SECRET}"),
        *("--config", "/dev/null", "--log-level", "ERROR"),
        str(directory),
    ]
    address = f"http://127.0.0.1:{port}"
    with ended(subprocess.Popen(command)) as process:  # noqa: S603  (our own command)
        wait_for_answer(address, process)
        yield S3Endpoint(address=address)
