"""Who may use a server: keys, the names of hosts, the types of bodies."""

import hashlib
import hmac
import ipaddress
import os
import stat
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path

from bothways.errors import ConfigError
from bothways.server.errors import ApiError
from bothways.server.settings import ENVIRONMENT_PREFIX, NetworkSettings

__all__ = ["LOOPBACK_NAMES", "Guard", "check_exposure", "is_loopback", "read_keys"]

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""Names that a request to this machine has in its Host header."""

KEYS_VARIABLE = f"{ENVIRONMENT_PREFIX}API_KEYS"
"""The environment variable of keys, `name:key` each, separated by commas or lines."""


def read_keys(
    settings: NetworkSettings, environment: Mapping[str, str] = os.environ
) -> dict[str, bytes]:
    """SHA-256 of each key, by its name, from the file of keys and the environment.

    Raises:
        ConfigError: if the file cannot be read, others can read it, or a line is malformed.
    """
    keys: dict[str, bytes] = {}
    for where, line in _key_lines(settings, environment):
        name, colon, key = line.partition(":")
        if not (name and colon and key.strip()):
            raise ConfigError(f"{where}: expected name:key")
        if name in keys:
            raise ConfigError(f"{where}: the name {name!r} has a key already")
        keys[name] = hashlib.sha256(key.strip().encode()).digest()
    return keys


def _key_lines(
    settings: NetworkSettings, environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if settings.api_keys_file:
        path = Path(settings.api_keys_file)
        try:
            if os.name == "posix" and path.stat().st_mode & stat.S_IROTH:
                raise ConfigError(f"{path}: every user can read these keys; run: chmod 600 {path}")
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
        except UnicodeDecodeError:
            raise ConfigError(f"{path}: not UTF-8") from None
        if not any(line.strip() and not line.startswith("#") for line in lines):
            raise ConfigError(f"{path}: no keys; expected a line name:key for each")
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                yield f"{path}:{number}", line.strip()
    for entry in environment.get(KEYS_VARIABLE, "").replace(",", "\n").splitlines():
        if entry.strip():
            yield KEYS_VARIABLE, entry.strip()


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(settings: NetworkSettings, keys: Mapping[str, bytes]) -> None:
    """Refuse to listen beyond this machine without keys.

    Raises:
        ConfigError: naming what to do.
    """
    if not (settings.uds or is_loopback(settings.host) or keys or settings.allow_open):
        raise ConfigError(
            f"host={settings.host!r}: others could use this server without a key; set "
            f"api_keys_file or {KEYS_VARIABLE}, or allow_open if a firewall decides who connects"
        )


class Guard:
    """Checks the headers of requests.

    keys: SHA-256 of the key of each client; requests need none if it is empty.
    """

    def __init__(self, settings: NetworkSettings, keys: Mapping[str, bytes]) -> None:
        self.keys = dict(keys)
        hosts = settings.allowed_hosts or (("*",) if keys else LOOPBACK_NAMES)
        self._hosts = {host.lower() for host in hosts}

    def check_host(self, host: str) -> None:
        """Refuse a request by another name of this machine, against DNS rebinding.

        Raises:
            ApiError: 421.
        """
        name = host.lower()
        if not name.endswith("]"):
            name = name.rpartition(":")[0] if ":" in name else name
        if "*" not in self._hosts and name not in self._hosts:
            raise ApiError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "host_not_allowed",
                "the host name of this request is not one of allowed_hosts; add it to the "
                "settings of the server if it belongs to it",
                reason="host",
            )

    def client(self, authorization: str) -> str | None:
        """The name of the client whose key a request has; None if requests need no key.

        Raises:
            ApiError: 401.
        """
        if not self.keys:
            return None
        scheme, _, sent = authorization.partition(" ")
        digest = hashlib.sha256(sent.strip().encode("utf-8", "surrogateescape")).digest()
        names = [name for name, key in self.keys.items() if hmac.compare_digest(key, digest)]
        if scheme.lower() != "bearer" or not names:
            raise ApiError(
                HTTPStatus.UNAUTHORIZED,
                "invalid_api_key",
                "this server needs a key; send the header `Authorization: Bearer KEY`",
                headers={"WWW-Authenticate": "Bearer"},
                reason="auth",
            )
        return names[0]


def check_body_type(content_type: str, encoding: str) -> None:
    """Refuse a body that is not plain JSON: no web page can send that without permission.

    Raises:
        ApiError: 415.
    """
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_content_type",
            "expected the header `Content-Type: application/json`",
            reason="type",
        )
    if encoding.strip().lower() not in ("", "identity"):
        raise ApiError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_content_encoding",
            "Content-Encoding is not supported; send the body uncompressed",
            reason="type",
        )
