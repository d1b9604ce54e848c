"""Log lines: one per request, in text or JSON, without its input."""

import logging
import sys
import time
from typing import Any

import msgspec

from bothways.server.exchange import Exchange
from bothways.server.settings import LogSettings

__all__ = ["configure_logging", "log_request"]

_requests = logging.getLogger("bothways.server.requests")

_PARTS = ("read", "tokenize", "queue", "compute", "write", "total")


def configure_logging(settings: LogSettings) -> None:
    """Write the log lines of the server, and warnings of its parts, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if settings.format == "json" else _TextLines())
    for name, level in (("bothways.server", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)


def log_request(exchange: Exchange, status: int) -> None:
    """Log a request that has ended."""
    if not _requests.isEnabledFor(logging.INFO):
        return
    seconds = exchange.seconds
    facts = {
        "id": exchange.id,
        "client": exchange.client,
        "route": exchange.route,
        "model": exchange.model,
        "inputs": exchange.inputs,
        "tokens": exchange.tokens,
        "truncated": len(exchange.truncated),
        "ms": {part: round(1000 * seconds[part], 2) for part in _PARTS if part in seconds},
        "status": int(status),
    }
    if trace := exchange.trace_id():
        facts["trace"] = trace
    _requests.info("request", extra={"facts": facts})


def _time(record: logging.LogRecord) -> str:
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One JSON object."""
        line: dict[str, Any] = {"time": _time(record), "level": record.levelname.lower()}
        line |= getattr(record, "facts", None) or {"message": record.getMessage()}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class _TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """One line of words, and a traceback if there is one."""
        facts = getattr(record, "facts", None)
        text = record.getMessage() if facts is None else " ".join(_words(facts))
        line = f"{_time(record)} {record.levelname.lower()} {text}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _words(facts: dict[str, Any]) -> list[str]:
    words = [f"{name}={value}" for name, value in facts.items() if name != "ms"]
    return words + [f"{part}={ms}ms" for part, ms in facts["ms"].items()]
