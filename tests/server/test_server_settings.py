"""Settings: options over environment over file over defaults, and errors that name the field."""

from pathlib import Path
from typing import Any

import pytest

from bothways.errors import ConfigError
from bothways.server.settings import ModelSettings, ServerSettings
from bothways.server.settings_sources import read_settings

FILE = """
[server]
port = 9000
allowed_hosts = ["a.test"]
[limits]
max_inputs = 10
[batching]
coalesce = false
[models.small]
source = "minilm"
precision = "int8"
token_ids = "model"
[models."text-embedding-3-small"]
alias = "small"
prompt_name = "query"
"""


def write(tmp_path: Path, text: str = FILE) -> Path:
    path = tmp_path / "serve.toml"
    path.write_text(text)
    return path


def test_each_setting_comes_from_the_first_place_that_has_it(tmp_path: Path) -> None:
    environment = {
        "BOTHWAYS_SERVE_PORT": "9001",
        "BOTHWAYS_SERVE_MAX_INPUTS": "11",
        "BOTHWAYS_SERVE_LOG_FORMAT": "json",
        "BOTHWAYS_SERVE_ALLOWED_HOSTS": "b.test, c.test",
        "BOTHWAYS_SERVE_API_KEYS": "a:secret",
        "OTHER": "x",
    }
    given: dict[str, dict[str, Any]] = {"server": {"port": 9002}, "models": {"threads": 2}}
    settings = read_settings(write(tmp_path), given, (), environment)
    assert settings.server.port == 9002
    assert settings.server.allowed_hosts == ("b.test", "c.test")
    assert settings.limits.max_inputs == 11
    assert settings.limits.max_requests == 512
    assert settings.batching.coalesce is False
    assert settings.log.format == "json"
    small, other = settings.models.values()
    assert (small.precision, small.threads, small.token_ids) == ("int8", 2, "model")
    assert (other.alias, other.prompt_name) == ("small", "query")


def test_models_of_the_command_line_are_served_beside_those_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reranker").mkdir()
    monkeypatch.chdir(tmp_path)
    settings = read_settings(write(tmp_path), {}, ("org/name", "./reranker"), {})
    sources = {name: model.source for name, model in settings.models.items()}
    assert sources == {
        "small": "minilm",
        "text-embedding-3-small": "",
        "org/name": "org/name",
        "reranker": "./reranker",
    }
    environment = {"BOTHWAYS_SERVE_MODELS": "minilm,org/name"}
    assert set(read_settings(None, {}, (), environment).models) == {"minilm", "org/name"}
    environment = {"BOTHWAYS_SERVE_CONFIG": str(write(tmp_path))}
    assert read_settings(None, {}, (), environment).server.port == 9000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nport = 70000", r"serve.toml: server: port=70000: expected at least 0"),
        ("[server]\nprot = 1", r"serve.toml: server: unknown option 'prot'; available: host, port"),
        ("[sever]\nport = 1", r"serve.toml: sever: expected one of the tables \[server\]"),
        ("[limits]\nmax_inputs = '1'", r"limits: max_inputs='1': expected an integer"),
        ("[models]\na = 'minilm'", r"models.a: expected a table \[models.a\]"),
        ("[models.a]\nprecision = 'int8'", "models.a: expected either source"),
        ("[models.a]\nsource = 'x'\nalias = 'b'", "models.a: expected either source"),
        ("[models.a]\nalias = 'b'", "models.a: alias='b': expected a served model"),
        ("[models.a]\nsource = 'x'\nprecision = 'int3'", "models.a: precision='int3'"),
        ("[server]\nmetrics_address = 'x'", "metrics_address='x': expected HOST:PORT"),
        ("[server]\n", "no model to serve"),
    ],
)
def test_an_invalid_file_names_the_field(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(write(tmp_path, text), {}, (), {})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("POTR", "1", "BOTHWAYS_SERVE_POTR: no such setting.*PORT"),
        ("PORT", "x", "BOTHWAYS_SERVE_PORT='x'"),
        ("COALESCE", "yes", "BOTHWAYS_SERVE_COALESCE='yes': expected true or false"),
        ("MAX_INPUTS", "0", "max_inputs=0"),
    ],
)
def test_an_invalid_variable_is_named(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_settings(None, {}, ("minilm",), {f"BOTHWAYS_SERVE_{name}": value})


def test_two_models_with_one_name_are_refused(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "model").mkdir(parents=True)
    sources = (str(tmp_path / "a" / "model"), str(tmp_path / "b" / "model"))
    with pytest.raises(ConfigError, match="two models would be served as 'model'"):
        read_settings(None, {}, sources, {})


def test_an_alias_of_an_alias_is_refused() -> None:
    models = {
        "a": ModelSettings(source="x"),
        "b": ModelSettings(alias="a"),
        "c": ModelSettings(alias="b"),
    }
    with pytest.raises(ConfigError, match=r"models.c: alias='b'.*: a$"):
        ServerSettings(models=models)
