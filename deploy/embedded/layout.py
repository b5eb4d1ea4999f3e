"""Where the embedded stack keeps things and how its processes find each other."""

import json
import secrets
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from darkroom.settings import EmbeddedSettings

LOOPBACK = "127.0.0.1"
KEY_BYTES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Ports, paths and keys of one stack."""

    var_dir: Path
    gateway_port: int
    temporal_port: int
    temporal_ui_port: int
    emulators_port: int
    database_url: str
    dev_key: str
    operator_key: str
    signing_secret: str

    def ports(self) -> dict[str, int]:
        """Ports by the environment variable that sets them."""
        return {
            "WS_PORT": self.gateway_port,
            "TEMPORAL_PORT": self.temporal_port,
            "TEMPORAL_UI_PORT": self.temporal_ui_port,
            "EMULATORS_PORT": self.emulators_port,
        }

    def port_fields(self) -> dict[str, int]:
        """Ports by the name of their field here."""
        return {
            "gateway_port": self.gateway_port,
            "temporal_port": self.temporal_port,
            "temporal_ui_port": self.temporal_ui_port,
            "emulators_port": self.emulators_port,
        }

    @property
    def gateway_url(self) -> str:
        """Address of the gateway."""
        return f"http://{LOOPBACK}:{self.gateway_port}"

    @property
    def temporal_ui_url(self) -> str:
        """Address of the Temporal Web UI."""
        return f"http://{LOOPBACK}:{self.temporal_ui_port}"

    @property
    def temporal_address(self) -> str:
        """Address of the Temporal server's gRPC."""
        return f"{LOOPBACK}:{self.temporal_port}"

    @property
    def emulators_url(self) -> str:
        """Address of the emulators."""
        return f"http://{LOOPBACK}:{self.emulators_port}"

    @property
    def log_dir(self) -> Path:
        """Where the processes write what they say."""
        return self.var_dir / "logs"

    def environment(self, settings: EmbeddedSettings) -> dict[str, str]:
        """Variables that worker and gateway get on top of ours."""
        found = {
            "TEMPORAL_ADDRESS": self.temporal_address,
            "DATABASE_URL": self.database_url,
            "FILES_URL": f"file://{(self.var_dir / 'files').absolute()}",
            "WS_HOST": LOOPBACK,
            "WS_PORT": str(self.gateway_port),
            "DARKROOM_DEV_KEY": self.dev_key,
            "DARKROOM_OPERATOR_KEY": self.operator_key,
            "SIGNING_SECRET": self.signing_secret,
        }
        return found | (self._emulated() if settings.use_emulators else {})

    def _emulated(self) -> dict[str, str]:
        return {
            "PUBLIC_URL": self.gateway_url,  # real providers need an address of yours
            "DEEPSEEK_BASE_URL": self.emulators_url,
            "DEEPSEEK_API_KEY": "emulator",
            "NANOBANANA_BASE_URL": self.emulators_url,
            "NANOBANANA_API_KEY": "emulator",
            "NANOBANANA_DOWNLOAD_HOSTS": json.dumps([self.emulators_url]),
            "GEMINI_BASE_URL": self.emulators_url,
            "GEMINI_API_KEY": "emulator",
        }


def plan_layout(settings: EmbeddedSettings) -> Layout:
    """Lay a stack out as the settings say; keys are made once and kept under var_dir."""
    var_dir = settings.var_dir.absolute()
    var_dir.mkdir(parents=True, exist_ok=True)
    database = settings.database_url or f"sqlite:///{var_dir / 'darkroom.db'}"
    return Layout(
        var_dir=var_dir,
        gateway_port=settings.ws_port,
        temporal_port=settings.temporal_port,
        temporal_ui_port=settings.temporal_ui_port,
        emulators_port=settings.emulators_port,
        database_url=database,
        dev_key=_kept(settings.darkroom_dev_key, var_dir / "dev.key"),
        operator_key=_kept(settings.darkroom_operator_key, var_dir / "operator.key"),
        signing_secret=_kept(settings.signing_secret, var_dir / "signing.key"),
    )


def _kept(given: SecretStr | None, path: Path) -> str:
    if given is not None:
        return given.get_secret_value()
    if path.exists():
        return path.read_text().strip()
    key = secrets.token_urlsafe(KEY_BYTES)
    path.touch(mode=0o600)
    path.write_text(key)
    return key
