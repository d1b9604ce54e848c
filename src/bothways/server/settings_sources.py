"""Where the settings of a server come from: options, the environment and a TOML file."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from bothways.errors import ConfigError
from bothways.io.options import OptionField, from_table, options_of, read_toml
from bothways.server.settings import (
    ENVIRONMENT_PREFIX,
    BatchingSettings,
    Limits,
    LogSettings,
    ModelSettings,
    NetworkSettings,
    ServerSettings,
)

__all__ = ["model_name", "read_settings"]

TABLES: Mapping[str, type[Any]] = {
    "server": NetworkSettings,
    "limits": Limits,
    "batching": BatchingSettings,
    "log": LogSettings,
}
"""The tables of a settings file besides [models.NAME], and what they fill."""

MODEL_DEFAULTS = "models"
"""The key of options for every model, in what `read_settings` takes."""


def read_settings(
    config: Path | None,
    given: Mapping[str, Mapping[str, Any]],
    models: tuple[str, ...] = (),
    environment: Mapping[str, str] = os.environ,
) -> ServerSettings:
    """Settings from options, the environment, a TOML file and defaults, the first one that has it.

    config: the file, or None for the one that the environment names. given: options by table;
    those of `models` are for every model. models: sources from the command line, which are served
    beside those of the file.

    Raises:
        ConfigError: naming the place, the field, its value and what was expected.
    """
    from_environment = dict(_environment(environment))
    listed = from_environment.pop("MODELS", "")
    config_name = from_environment.pop("CONFIG", "")
    if config is None and config_name:
        config = Path(config_name)
    file = {} if config is None else read_toml(config, (*TABLES, "models"))
    by_flag = {
        _variable(field): (table, field)
        for table, dataclass in {**TABLES, MODEL_DEFAULTS: ModelSettings}.items()
        for field in options_of(dataclass)
        if field.option.command_line
    }
    layers: dict[str, dict[str, Any]] = {table: {} for table in (*TABLES, MODEL_DEFAULTS)}
    for name, text in from_environment.items():
        if name not in by_flag:
            known = ", ".join(sorted([*by_flag, "CONFIG", "MODELS", "API_KEYS"]))
            raise ConfigError(
                f"{ENVIRONMENT_PREFIX}{name}: no such setting; after {ENVIRONMENT_PREFIX} comes "
                f"one of {known}"
            )
        table, field = by_flag[name]
        layers[table][field.name] = _from_text(field, text, ENVIRONMENT_PREFIX + name)
    for table, values in given.items():
        layers[table] |= values
    where = "" if config is None else f"{config}: "
    tables = {
        table: from_table(dataclass, file.get(table, {}) | layers[table], f"{where}{table}:")
        for table, dataclass in TABLES.items()
    }
    sources = models or tuple(part.strip() for part in listed.split(",") if part.strip())
    served = _models(file.get("models", {}), sources, layers[MODEL_DEFAULTS], where)
    return ServerSettings(models=served, **tables)


def model_name(source: str) -> str:
    """The served name of a source: the last part of a folder's path, else the source itself."""
    path = Path(source).expanduser()
    return path.resolve().name if path.is_dir() else source


def _models(
    file: Mapping[str, Any], sources: tuple[str, ...], options: Mapping[str, Any], where: str
) -> dict[str, ModelSettings]:
    tables: dict[str, Mapping[str, Any]] = {}
    for name, table in file.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{where}models.{name}: expected a table [models.{name}]")
        tables[name] = table if "alias" in table else {**table, **options}
    for source in sources:
        name = model_name(source)
        if name in tables and tables[name].get("source") != source:
            raise ConfigError(
                f"{source}: two models would be served as {name!r}; give them names in tables "
                "[models.NAME] of the --config file"
            )
        tables[name] = {**tables.get(name, {}), "source": source, **options}
    return {
        name: from_table(ModelSettings, table, f"{where}models.{name}:")
        for name, table in tables.items()
    }


def _environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in environment.items():
        if name.startswith(ENVIRONMENT_PREFIX) and name != f"{ENVIRONMENT_PREFIX}API_KEYS":
            yield name.removeprefix(ENVIRONMENT_PREFIX), text


def _variable(field: OptionField) -> str:
    """The environment variable of an option, without the prefix: its flag in capitals."""
    flag = field.option.flags[0].partition("/")[0] if field.option.flags else field.name
    return flag.removeprefix("--").replace("-", "_").upper()


def _from_text(field: OptionField, text: str, name: str) -> Any:
    """The value of a field as an environment variable writes it; bounds are checked later."""
    types = (field.item_type, *get_args(field.item_type))
    if field.is_repeatable:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if bool in types:
        values = {"1": True, "true": True, "0": False, "false": False}
        if text.lower() not in values:
            raise ConfigError(f"{name}={text!r}: expected true or false")
        return values[text.lower()]
    for type_ in (int, float):
        if type_ in types:
            try:
                return type_(text)
            except ValueError:
                raise ConfigError(f"{name}={text!r}: expected {field.option.bounds}") from None
    return text
