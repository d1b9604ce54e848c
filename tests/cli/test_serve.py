"""`bothways serve`: settings that are checked, and a model that cannot be loaded."""

import importlib.util
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bothways.installation import install_command

Run = Callable[..., tuple[int, str, str]]


def test_check_prints_what_would_run_as_a_settings_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    keys = tmp_path / "keys"
    keys.write_text("search:secret")
    keys.chmod(0o600)
    config = tmp_path / "serve.toml"
    config.write_text(f'[server]\nport = 9000\napi_keys_file = "{keys}"\n')
    options = ("--check", "--config", config, "--precision", "int8", "--max-inputs", 10)
    code, out, err = run("serve", "./model", *options)
    assert code == 0, err
    tables: dict[str, Any] = tomllib.loads(out)
    assert tables["server"]["port"] == 9000
    assert tables["limits"]["max_inputs"] == 10
    assert tables["models"]["model"]["precision"] == "int8"
    assert "search" in err
    assert "secret" not in out + err
    config.write_text(out)
    assert run("serve", "--check", "--config", config) == (0, out, err)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no model to serve"),
        (("./nothing", "--check"), "no such folder"),
        (("minilm", "--host", "0.0.0.0"), "api_keys_file"),  # noqa: S104
        (("minilm", "--config", "none.toml"), "none.toml: cannot be read"),
        (("minilm", "--api-keys-file", "none"), "none: cannot be read"),
        (("./empty", "--port", "0"), "empty"),
    ],
)
def test_what_cannot_run_is_an_error_in_one_line(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run("serve", *arguments)
    assert code == 1
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in err


def test_the_extra_is_named_where_it_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "bothways.server.find_spec", lambda name: None if name == "msgspec" else find_spec(name)
    )
    code, _, err = run("serve", "minilm")
    assert (code, err) == (1, f"error: a server needs an extra: {install_command('serve')}\n")
