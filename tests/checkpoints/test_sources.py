"""The ways to name a model, and the errors for models that cannot be found."""

import re
from pathlib import Path
from typing import Any

import pytest

from bothways.checkpoints import hub, sources, wheels
from bothways.checkpoints.sources import ALIASES, resolve
from bothways.errors import SourceError


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, offline and with its own cache."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOTHWAYS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BOTHWAYS_OFFLINE", "1")
    return tmp_path / "here"


def model_folder(path: Path) -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    return path


@pytest.mark.parametrize("source", ["mine", "./mine", "deep/er/mine", "org/mine"])
def test_an_existing_folder_is_returned(here: Path, source: str) -> None:
    folder = model_folder(here / source)
    assert resolve(source).samefile(folder)
    assert resolve(Path(source)).samefile(folder)
    assert resolve(str(folder)) == folder


def test_a_tilde_is_the_home_folder(here: Path) -> None:
    folder = model_folder(here.parent / "home" / "mine")
    assert resolve("~/mine") == folder


@pytest.mark.parametrize(
    "source", ["./mine", "../mine", "models/of/mine", "mine/", "/no/mine", "~x/y"]
)
def test_the_error_for_a_missing_folder_names_its_path(here: Path, source: str) -> None:
    with pytest.raises(SourceError) as caught:
        resolve(source)
    message = str(caught.value)
    assert message.startswith(f"{source}: no such folder; looked for /")
    assert "Expected a model folder, the alias 'minilm', or another source" in message


def test_a_missing_path_is_never_read_as_an_alias_or_a_hub_model(here: Path) -> None:
    for path in (Path("minilm"), Path("org/name")):
        with pytest.raises(SourceError, match="no such folder; looked for"):
            resolve(path)


def test_the_error_for_a_file_suggests_its_folder(here: Path) -> None:
    folder = model_folder(here / "mine")
    with pytest.raises(SourceError, match="a file; expected a model folder, such as mine"):
        resolve("mine/config.json")
    with pytest.raises(SourceError, match=re.escape(f"such as {folder}")):
        resolve(folder / "config.json")


def test_a_name_that_is_too_long_is_a_source_error(here: Path) -> None:
    with pytest.raises(SourceError, match="name too long"):
        resolve("x" * 5000)
    with pytest.raises(SourceError, match="no such folder"):
        resolve("./with\0nul")


def test_an_alias_takes_precedence_over_a_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = model_folder(here / "minilm")
    asked: list[str] = []

    def from_wheel(wheel: wheels.WheelFolder, *_: Any) -> Path:
        asked.append(str(wheel))
        return Path("the pinned one")

    monkeypatch.setattr(sources, "_from_wheel", from_wheel)
    with pytest.warns(UserWarning, match=r"the local folder minilm is not read. Write \./minilm"):
        assert resolve("minilm") == Path("the pinned one")
    assert asked == [ALIASES["minilm"].source]
    assert resolve("./minilm").samefile(folder)
    assert resolve(Path("minilm")).samefile(folder)


def test_the_error_for_an_unknown_name_suggests_aliases_and_other_sources(here: Path) -> None:
    with pytest.raises(SourceError) as caught:
        resolve("MiniLM2")
    message = str(caught.value)
    assert f"'MiniLM2' is neither an alias nor a folder in {here}" in message
    assert "did you mean 'minilm'?" in message
    for form in (
        "./name",
        "org/name",
        "hf:org/name@revision",
        "pypi:package==version/path/in/wheel",
    ):
        assert form in message
    with pytest.raises(SourceError, match=r"Known aliases: 'minilm'") as caught:
        resolve("zzz")
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("source", ["", "https://host/org/name", "s3:bucket", "org/na me"])
def test_the_error_for_a_malformed_source_lists_the_forms(here: Path, source: str) -> None:
    with pytest.raises(SourceError, match=r"org/name or hf:org/name@revision"):
        resolve(source)


@pytest.mark.parametrize(
    ("source", "repository", "revision"),
    [
        ("org/name", "org/name", None),
        ("org/name@v1.0", "org/name", "v1.0"),
        ("hf:org/name", "org/name", None),
        ("hf:org/name@refs/pr/3", "org/name", "refs/pr/3"),
        ("hf:name", "name", None),
    ],
)
def test_a_hub_source_is_split_into_repository_and_revision(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    repository: str,
    revision: str | None,
) -> None:
    asked: list[Any] = []

    def fetch(*question: Any, rehash: bool) -> Path:
        asked.append(question)
        return here

    monkeypatch.setattr(hub, "fetch", fetch)
    model_folder(here / "hf:org" / "name")  # no folder is meant by hf:
    assert resolve(source, offline=False) == here
    assert asked == [(repository, revision, False, None)]


@pytest.mark.parametrize("source", ["hf:", "hf:a/b/c", "hf:org/name@", "hf:org/na me"])
def test_a_malformed_hub_source_is_refused_without_a_request(here: Path, source: str) -> None:
    with pytest.raises(SourceError, match="expected hf:org/name or hf:org/name@revision"):
        resolve(source)


@pytest.mark.parametrize(
    "source",
    [
        "pypi:",
        "pypi:name/folder",
        "pypi:name>=1/folder",
        "pypi:name==1.*/folder",
        "pypi:name[extra]==1/folder",
        "pypi:--index-url==1/folder",
        "pypi:-rfile==1/folder",
        "pypi:name ==1/folder",
        "pypi:name==1/../up",
        "pypi:name==1/a/./b",
        "pypi:name==1/a//b",
        "pypi:name==1/a\\b",
        "pypi:name==1 --pre/folder",
        "pypi:name==1;x/folder",
    ],
)
def test_a_malformed_wheel_source_is_refused_without_a_request(here: Path, source: str) -> None:
    with pytest.raises(SourceError, match="expected pypi:package==version/path/in/wheel"):
        resolve(source)


def test_all_spellings_of_a_wheel_share_a_cache_folder() -> None:
    spellings = (
        "pypi:Some_Model==1.0/a/b",
        "pypi:some.model==1.0/a/b/",
        "pypi:some--model==1.0/a/b",
    )
    assert {str(wheels.parse(s)) for s in spellings} == {"pypi:some-model==1.0/a/b"}


def test_every_alias_is_pinned_to_a_wheel_and_to_the_hash_of_every_file() -> None:
    for alias in ALIASES.values():
        assert str(wheels.parse(alias.source)) == alias.source
        assert alias.title
        assert {"config.json", "model.safetensors"} <= set(alias.sha256)
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in alias.sha256.values())


def test_minilm_is_the_model_in_its_wheel(minilm_folder: Path) -> None:
    import hashlib

    digests = {
        path.relative_to(minilm_folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in minilm_folder.rglob("*")
        if path.is_file()
    }
    assert digests == ALIASES["minilm"].sha256
    assert digests["model.safetensors"].startswith("53aa5117")
