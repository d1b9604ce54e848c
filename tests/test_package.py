"""The package: its public names, the cost of its import, and the hierarchy of its errors."""

import importlib
import pickle
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import bothways
from bothways import errors

HEAVY = (
    "torch",
    "typer",
    "click",
    "rich",
    "pyarrow",
    "tokenizers",
    "huggingface_hub",
    "transformers",
)


def test_every_public_name_exists_and_is_documented() -> None:
    for name in bothways.__all__:
        assert getattr(bothways, name).__doc__, name


def test_dir_lists_the_public_names_and_no_others() -> None:
    assert dir(bothways) == sorted(bothways.__all__)


def test_every_name_a_module_exports_exists() -> None:
    for name in (
        "model.config",
        "model.weights",
        "model.packing",
        "errors",
        "encoder",
        "reference",
        "nn",
    ):
        module = importlib.import_module(f"bothways.{name}")
        assert all(hasattr(module, public) for public in module.__all__), name


def test_importing_bothways_imports_nothing_heavy() -> None:
    code = f"import sys, bothways; print(sorted(set(sys.modules) & set({HEAVY!r})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_error_is_drawn_in_the_hierarchy() -> None:
    assert errors.__doc__ is not None
    for name in errors.__all__:
        error = getattr(errors, name)
        if issubclass(error, errors.BothwaysError):
            assert name in errors.__doc__


@pytest.mark.parametrize(
    "error",
    [
        errors.ConfigError("a"),
        errors.InputError("a", sequence=3),
        errors.MissingExtra("torch", "training"),
        errors.UnknownTokenWarning("a", count=3, first=1, advice="b"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_of_a_worker_process_arrives_as_it_was(error: Exception) -> None:
    arrived = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(arrived) is type(error)
    assert str(arrived) == str(error)
    assert vars(arrived) == vars(error)


ROOT = Path(__file__).parent.parent


def test_the_lowest_constraints_are_the_bounds_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [project["dependencies"], *(extras[name] for name in extras if name != "dev")]
    bounds = dict(_bound(requirement) for group in wanted for requirement in group)
    pins = [
        tuple(line.strip().split("=="))
        for line in (ROOT / "constraints-lowest.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert pins == sorted(bounds.items(), key=lambda pair: pair[0].lower())


def _bound(requirement: str) -> tuple[str, str]:
    match = re.match(r"([\w.-]+)>=([\d.]+)", requirement)
    assert match is not None, f"{requirement} has no lower bound"
    return match[1], match[2]
