"""An HTTP server for encoders: the same bits as `Encoder.encode`, whatever else is in the queue.

Needs the extra `[serve]`, which is imported when an application is created.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bothways.errors import MissingExtra
from bothways.server.settings import ModelSettings, ServerSettings

if TYPE_CHECKING:
    from bothways.server.app import Application

__all__ = ["ModelSettings", "ServerSettings", "create_app", "require_extra"]


def create_app(settings: ServerSettings, keys: Mapping[str, bytes] | None = None) -> "Application":
    """The server as an ASGI application, which can be mounted in another one.

    Models are loaded when the application starts; where it is mounted and does not start by itself,
    when the first request needs one.

    keys: SHA-256 of the key of each client, by its name, {} for none; None for those of the
        settings and the environment.

    Raises:
        MissingExtra: if the extra `[serve]` is not installed.
        ConfigError: if the keys cannot be read.
    """
    require_extra()
    from bothways.server.app import Application
    from bothways.server.runtime import Runtime
    from bothways.server.security import read_keys

    return Application(Runtime(settings, read_keys(settings.server) if keys is None else keys))


def require_extra() -> None:
    """Check that the extra `[serve]` is installed.

    Raises:
        MissingExtra: if a part of it is missing.
    """
    if not all(map(find_spec, ("msgspec", "prometheus_client", "starlette", "uvicorn"))):
        raise MissingExtra("serve", "a server")
