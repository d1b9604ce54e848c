"""`bothways serve`: answer requests for vectors, scores and labels over HTTP."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bothways.cli.command import command
from bothways.cli.console import note, warn
from bothways.cli.generated_options import GivenOptions
from bothways.errors import SourceError
from bothways.io.options import Option
from bothways.server.settings import (
    BatchingSettings,
    Limits,
    LogSettings,
    ModelSettings,
    NetworkSettings,
)
from bothways.server.settings_sources import read_settings

if TYPE_CHECKING:
    from bothways.server.settings import ServerSettings

__all__ = ["COMMAND", "serve"]

Values = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Where settings come from, and whether only to check them."""

    config: Annotated[
        str | None,
        Option(
            "TOML file with tables [server], [limits], [batching], [log] and [models.NAME]; "
            "options and BOTHWAYS_SERVE_... variables override it.",
            unit="FILE",
        ),
    ] = None
    check: Annotated[bool, Option("Check all settings, print them, load nothing, and stop.")] = (
        False
    )


def serve(
    network: Annotated[Values, GivenOptions(NetworkSettings)],
    model: Annotated[Values, GivenOptions(ModelSettings, table="models.NAME")],
    limits: Annotated[Values, GivenOptions(Limits)],
    batching: Annotated[Values, GivenOptions(BatchingSettings)],
    log: Annotated[Values, GivenOptions(LogSettings)],
    options: ServeOptions,
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Models to serve: aliases, folders or hub ids; or those of --config.",
        ),
    ] = None,
) -> None:
    """Serve models over HTTP, with the bits that `encode` gives.

    Answers /v1/embeddings and /v1/rerank in the dialects of OpenAI and Jina, and the routes of
    text-embeddings-inference. SIGTERM finishes running requests and ends; SIGHUP reads the settings
    again. Keys for clients are in --api-keys-file or in BOTHWAYS_SERVE_API_KEYS.

    \b
        bothways serve minilm
        bothways serve minilm ./reranker --port 9000 --precision int8
        bothways serve --check --config serve.toml
    """
    from bothways.server import require_extra

    require_extra()
    given = {
        "server": network, "models": model, "limits": limits, "batching": batching, "log": log
    }  # fmt: skip

    def read() -> "ServerSettings":
        config = None if options.config is None else Path(options.config)
        return read_settings(config, given, tuple(models or ()))

    settings = read()
    if options.check:
        _check(settings)
    else:
        _serve(settings, read)


def _serve(settings: "ServerSettings", read: "Callable[[], ServerSettings]") -> None:
    from bothways.server.lifecycle import serve as run_server

    run_server(settings, read, announce=lambda address: note(f"listening on {address}"))


def _check(settings: "ServerSettings") -> None:
    """Print what would run, as the tables of a settings file.

    Raises:
        ConfigError: if keys are missing or cannot be read.
        SourceError: if a model is neither on this machine nor available elsewhere.
    """
    from bothways.server.security import check_exposure, read_keys

    keys = read_keys(settings.server)
    check_exposure(settings.server, keys)
    for name, served in settings.models.items():
        if served.source:
            _check_source(name, served.source)
    for table in ("server", "limits", "batching", "log"):
        _print_table(table, getattr(settings, table))
    for name, served in settings.models.items():
        _print_table(f"models.{json.dumps(name, ensure_ascii=False)}", served)
    note(f"settings are valid; clients with a key: {', '.join(keys) or 'none'}")


def _check_source(name: str, source: str) -> None:
    from bothways.checkpoints import ALIASES, resolve

    try:
        resolve(source, offline=True)
    except SourceError as error:
        is_local = source.startswith((".", "~", "/")) or source.count("/") != 1
        if is_local and source not in ALIASES and not source.startswith(("pypi:", "hf:")):
            raise
        warn(f"models.{name}: not on this machine, and fetched at the start: {error}")


def _print_table(name: str, values: Any) -> None:
    print(f"[{name}]")
    for field in dataclasses.fields(values):
        value = getattr(values, field.name)
        if value is not None and value != "":
            print(f"{field.name} = {json.dumps(value, ensure_ascii=False)}")


COMMAND = command(serve)
