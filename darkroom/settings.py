"""Every environment variable, once. Nothing else in the house reads the environment.

Variables of the brief are in milliseconds, as the brief wrote them; here they become
timedelta. A value that makes no sense stops the process with a message that names it.
"""

import os
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from darkroom.domain.admission import MOST_SLOTS
from darkroom.domain.job import JobKind
from darkroom.domain.permits import CallLimits
from darkroom.domain.prompts import EnhanceFallback
from darkroom.domain.retries import RetryStrategy
from darkroom.domain.stages import Stage


def _from_milliseconds(value: object) -> object:
    if isinstance(value, str | int):
        return timedelta(milliseconds=float(value))
    return value


# Between the end of a paid call and the moment at which every worker can know of it.
ANSWER_MARGIN = timedelta(seconds=15)

Milliseconds = Annotated[timedelta, BeforeValidator(_from_milliseconds), Field(ge=timedelta(0))]


def _work(text: str) -> str:
    kinds, stages = list(JobKind), [Stage.ENHANCE, Stage.GENERATE]
    if text not in {f"{kind}/{stage}" for kind in kinds for stage in stages}:
        raise ValueError(f"{text!r} is not kind/stage, e.g. {kinds[0]}/{stages[0]}")
    return text


Work = Annotated[str, AfterValidator(_work)]
Port = Annotated[int, Field(ge=1, le=65535)]


def _rising(ladder: tuple[timedelta, ...]) -> tuple[timedelta, ...]:
    sooner = (timedelta(0), *ladder)
    if any(rung <= before for before, rung in zip(sooner, ladder, strict=False)):
        raise ValueError("must be ages that rise, the first of them above 0")
    return ladder


Ladder = Annotated[tuple[Milliseconds, ...], AfterValidator(_rising)]
Period = Annotated[Milliseconds, Field(ge=timedelta(seconds=1))]  # of a schedule
Limit = Annotated[int, Field(ge=1)]
Url = str


class Settings(BaseSettings):
    """Frozen settings of one process; names are the environment variables in lower case."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    # Where things are.
    temporal_address: str = "127.0.0.1:7233"
    temporal_namespace: str = "default"
    database_url: Url = "sqlite:///var/darkroom.db"
    files_url: Url = Field(default_factory=lambda: f"file://{Path('var/files').absolute()}")
    files_options: dict[str, str] = Field(default_factory=dict[str, str], repr=False)  # keys of S3
    public_url: Url = "http://127.0.0.1:8080"  # where providers reach the gateway

    # The gateway's door. Source: brief, "Environment Variables".
    ws_host: str = "127.0.0.1"
    ws_port: Port = 8080
    ws_max_connections: int = Field(default=100, ge=1)
    ws_ping_interval: Milliseconds = timedelta(seconds=30)
    darkroom_dev_key: SecretStr | None = None
    darkroom_dev_owner: str = "dev"
    darkroom_operator_key: SecretStr | None = None  # of whoever runs the house
    signing_secret: SecretStr | None = None  # of callback and product-photo addresses

    # Who may work. An operator's change of the queue outlives these.
    queue_concurrency: int = Field(default=5, ge=1, le=MOST_SLOTS)  # jobs at work at a time
    queue_owner_limit: int | None = Field(default=None, ge=1, le=MOST_SLOTS)  # of one owner
    queue_aging: Milliseconds = Field(default=timedelta(minutes=10), gt=timedelta(0))  # one level
    queue_max_pending: int = Field(default=1000, ge=1, le=10_000)  # jobs that may wait; more: 429

    # Bounds of a job.
    queue_max_images: int = Field(default=200, ge=1, le=1000)
    image_concurrency: int = Field(default=4, ge=1, le=64)  # pictures of one job at once
    max_file_bytes: int = Field(default=10 * 1024 * 1024, ge=1)  # spec.md 4
    max_picture_bytes: int = Field(default=32 * 1024 * 1024, ge=1)  # providers.md 3.6
    job_timeout: Milliseconds = timedelta(minutes=10)
    job_timeout_image_generation: Milliseconds | None = None  # default: JOB_TIMEOUT
    job_timeout_batch_processing: Milliseconds | None = None  # default: JOB_TIMEOUT
    job_timeout_combination_analysis: Milliseconds | None = None  # default: JOB_TIMEOUT
    max_retry_attempts: int = Field(default=3, ge=0, le=20)
    retry_base_delay: Milliseconds = timedelta(seconds=1)
    retry_max_delay: Milliseconds = timedelta(seconds=60)
    retry_backoff_factor: float = Field(default=2.0, ge=1.0)
    # "kind/stage" -> strategy, where it is not exponential; a request may ask for another.
    retry_strategies: dict[Work, RetryStrategy] = Field(default_factory=dict[str, RetryStrategy])

    # The paid APIs. Models and prices move every month: providers.md 2.7, 3.1 and 3.2.
    deepseek_base_url: Url = "https://api.deepseek.com"
    deepseek_api_key: SecretStr | None = None
    deepseek_model: str = "deepseek-flash"
    deepseek_deadline: Milliseconds = timedelta(seconds=30)
    deepseek_prices_from: date = date(2026, 9, 1)
    deepseek_price_hit: Decimal = Decimal("0.003")  # USD per million tokens off peak; peak: twice
    deepseek_price_miss: Decimal = Decimal("0.15")
    deepseek_price_output: Decimal = Decimal("0.60")
    nanobanana_base_url: Url = "https://api.nanobananaapi.ai"
    nanobanana_api_key: SecretStr | None = None
    nanobanana_model: str = "nano-banana-2"
    nanobanana_post_deadline: Milliseconds = timedelta(seconds=30)
    nanobanana_grace: Milliseconds = timedelta(seconds=90)  # providers.md 3.6
    nanobanana_collect_deadline: Milliseconds = timedelta(minutes=10)
    nanobanana_download_hosts: tuple[str, ...] = ("tempfile.aiquickdraw.com",)
    nanobanana_prices_micros: dict[str, int] = Field(
        default_factory=lambda: {
            "nano-banana-2/1K": 20_000,
            "nano-banana-2/2K": 30_000,
            "nano-banana-2/4K": 45_000,
            "nano-banana-pro/1K": 120_000,
            "nano-banana-pro/2K": 120_000,
            "nano-banana-pro/4K": 215_000,
        }
    )
    gemini_base_url: Url = "https://generativelanguage.googleapis.com"
    gemini_api_key: SecretStr | None = None  # without it, no job can ask for Gemini
    gemini_model: str = "gemini-nano-banana-2.1"
    gemini_post_deadline: Milliseconds = timedelta(seconds=120)  # its reply is the picture
    gemini_prices_micros: dict[str, int] = Field(  # November 2026; the dearest that was seen
        default_factory=lambda: {
            "gemini-nano-banana-2.1/1K": 33_600,
            "gemini-nano-banana-2.1/2K": 67_000,
            "gemini-nano-banana-2.1/4K": 134_000,
            "gemini-3-pro-image/1K": 134_000,
            "gemini-3-pro-image/2K": 134_000,
            "gemini-3-pro-image/4K": 240_000,
        }
    )

    # How many calls a provider takes from all workers together; unset: as many as jobs make.
    nanobanana_concurrency: Limit | None = None
    nanobanana_per_minute: Limit | None = None
    nanobanana_per_hour: Limit | None = None
    gemini_concurrency: Limit | None = None
    gemini_per_minute: Limit | None = None
    gemini_per_hour: Limit | None = None
    deepseek_per_minute: Limit | None = None
    deepseek_per_hour: Limit | None = None

    # When calls to a model are held back, and what enhancement does meanwhile: docs/adr/0005.
    breaker_failures: int = Field(default=5, ge=1)  # in a row
    breaker_cooldown: Milliseconds = timedelta(seconds=10)  # doubles with each opening in a row
    breaker_longest_cooldown: Milliseconds = timedelta(minutes=5)
    enhance_fallback: EnhanceFallback = EnhanceFallback.TEMPLATE  # or wait

    # What happens by itself, and how operators are told.
    escalate_every: Period = timedelta(minutes=1)
    escalate_after: Ladder = tuple(timedelta(hours=hours) for hours in (0.25, 1, 4, 24))  # ages
    reconcile_every: Period = timedelta(minutes=2)
    operator_webhook_url: Url | None = None  # where alerts are posted, signed; default: log only
    operator_webhook_secret: SecretStr | None = None  # whsec_..., as Standard Webhooks has it

    # The worker.
    worker_max_cached_workflows: int = Field(default=300, ge=0)
    worker_max_activities: int = Field(default=100, ge=1)
    worker_shutdown_grace: Milliseconds = timedelta(seconds=5)

    def timeout_of(self, kind: JobKind) -> timedelta:
        """Processing time a job of this kind may take."""
        match kind:
            case JobKind.IMAGE_GENERATION:
                return self.job_timeout_image_generation or self.job_timeout
            case JobKind.BATCH_PROCESSING:
                return self.job_timeout_batch_processing or self.job_timeout
            case JobKind.COMBINATION_ANALYSIS:
                return self.job_timeout_combination_analysis or self.job_timeout

    def strategy_of(self, kind: JobKind, stage: Stage) -> RetryStrategy:
        """How a stage of a job of this kind is retried, unless the request says otherwise."""
        return self.retry_strategies.get(f"{kind}/{stage}", RetryStrategy.EXPONENTIAL)

    def call_limits(self) -> dict[str, CallLimits]:
        """Say how many calls each provider takes from all workers together."""
        return {
            "nanobanana": CallLimits(
                concurrency=self.nanobanana_concurrency,
                per_minute=self.nanobanana_per_minute,
                per_hour=self.nanobanana_per_hour,
                counted_within=self.nanobanana_collect_deadline,
                answered_within=self.nanobanana_post_deadline + ANSWER_MARGIN,
            ),
            "gemini": CallLimits(
                concurrency=self.gemini_concurrency,
                per_minute=self.gemini_per_minute,
                per_hour=self.gemini_per_hour,
                answered_within=self.gemini_post_deadline + ANSWER_MARGIN,
            ),
            "deepseek": CallLimits(
                per_minute=self.deepseek_per_minute,
                per_hour=self.deepseek_per_hour,
                answered_within=self.deepseek_deadline + ANSWER_MARGIN,
            ),
        }

    def secret(self, name: str) -> str:
        """Read a secret that this process cannot work without.

        Raises:
            ValueError: it is not set; the message names the variable.
        """
        value: SecretStr | None = getattr(self, name)
        if value is None:
            raise ValueError(f"{name.upper()} is not set; put it into the environment")
        return value.get_secret_value()

    def picture_prices(self) -> dict[str, dict[tuple[str, str], int]]:
        """Highest price by provider and (model, size), in micro-units of USD.

        Gemini is there when it has a key; nanobanana always, as the provider of a job that
        names none.
        """
        tables = {"nanobanana": _price_table(self.nanobanana_prices_micros)}
        if self.gemini_api_key is not None:
            tables["gemini"] = _price_table(self.gemini_prices_micros)
        return tables


def _price_table(prices: Mapping[str, int]) -> dict[tuple[str, str], int]:
    pairs = ((key.rsplit("/", 1), price) for key, price in prices.items())
    return {(model, size): price for (model, size), price in pairs}


class EmbeddedSettings(BaseSettings):
    """Ports and paths of the embedded stack (`make up`, `make demo`)."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    var_dir: Path = Path("var")
    out_dir: Path = Path("out")
    ws_port: Port = 8080
    temporal_port: Port = 7233
    temporal_ui_port: Port = 8233
    emulators_port: Port = 8400
    emulators_seed: int = 7
    emulators_chat_seconds: float = Field(default=0.4, ge=0)
    emulators_picture_seconds: float = Field(default=2.0, ge=0)
    emulators_picture_pixels: int = Field(default=1024, ge=16, le=4096)
    use_emulators: bool = True  # false: the real providers, with the keys in the environment
    database_url: Url | None = None  # default: SQLite under var_dir
    darkroom_dev_key: SecretStr | None = None  # default: made once and kept under var_dir
    darkroom_operator_key: SecretStr | None = None  # default: made once and kept under var_dir
    signing_secret: SecretStr | None = None  # default: made once and kept under var_dir


def environment_with(changes: Mapping[str, str]) -> dict[str, str]:
    """Give a child process this process's environment with some variables replaced."""
    return {**os.environ, **changes}
