"""What to do about a failure, by its code: one sentence for whoever looks at a dead letter."""

from darkroom.domain import errors
from darkroom.domain.errors import Disposition, Failure

UNKNOWN_CODE = "read the message and the job's log; mend the cause, then redrive"
TRY_AGAIN = "redrive once the provider answers again; what is there stays and is not paid again"

REMEDIES: dict[str, str] = {
    errors.DifferenceInfeasible.code: (
        "nothing to redrive: submit again with a smaller count or minDifference, more options, "
        "or avoidHistory false"
    ),
    errors.PictureUnusable.code: (
        "look at the picture the provider sent; redrive with another seed or model"
    ),
    errors.StoreUnavailable.code: "bring the database back, then redrive",
    errors.FilesUnavailable.code: (
        "bring the file store back or give it room, then redrive: the pictures are still ready"
    ),
    errors.FileMissing.code: (
        "restore the file from a backup; if it is gone for good, redrive to buy the picture again"
    ),
    errors.PromptMissing.code: "redrive with the prompt written anew: its text is no longer kept",
    errors.OperatorsUnreachable.code: "mend OPERATOR_WEBHOOK_URL; no job fails of this",
    errors.FenceLost.code: "redrive: two attempts overtook each other, and nothing was lost",
    errors.IllegalTransition.code: (
        "this is a fault of ours: keep the job's log for whoever mends it, then redrive"
    ),
    errors.ProviderUnavailable.code: TRY_AGAIN,
    errors.RateLimited.code: (
        "lower the provider's rate or concurrency, or raise the quota, then redrive"
    ),
    errors.KeyRefused.code: "put a valid API key into the worker's environment, then redrive",
    errors.CreditsExhausted.code: "top up the provider's account, then redrive",
    errors.RequestRefused.code: (
        "redrive with what the message complains about changed: the same request fails again"
    ),
    errors.ContentRefused.code: (
        "redrive with another prompt, or with another provider: this one refuses the content"
    ),
    errors.AnswerUnusable.code: (
        "redrive with another seed, prompt or model: answers came and were paid, but hold nothing"
    ),
    errors.GenerationFailed.code: (
        "redrive; if it fails again, with another seed, prompt or model"
    ),
    errors.ReplyLost.code: (
        "look the purchase up at the provider before redriving: it may have been charged"
    ),
    errors.ResultGone.code: (
        "redrive to buy the pictures again; they were made and paid, and expired before we had them"
    ),
    errors.ResultUnusable.code: (
        "redrive with another seed or model: what was paid for is not a picture we can keep"
    ),
    errors.TaskStuck.code: ("ask the provider about the task; redrive to buy the picture again"),
    "timed_out": "redrive; if it worked all the time, with fewer pictures or a longer timeout",
    "workflow_lost": "redrive if it is still wanted: somebody ended its workflow, see the message",
    "workflow_stuck": (
        "read the workers' logs: its workflow fails, which is a fault of ours; redrive once a "
        "version that mends it is running"
    ),
    "stage_crashed": (
        "read the workers' logs: this stage killed several of them; redrive once that is mended"
    ),
}


def remedy_for(failure: Failure) -> str:
    """Say what to do about a failure; a code without a remedy of its own gets a general one."""
    known = REMEDIES.get(failure.code)
    if known:
        return known
    return TRY_AGAIN if failure.disposition is not Disposition.FATAL else UNKNOWN_CODE
