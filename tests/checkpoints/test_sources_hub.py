"""Models of the hub: the real huggingface_hub with a fake hub on this machine.

The stand-in answers as the hub's API is documented to answer; the hub itself is never asked.
"""

import http.server
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import safetensors.numpy
import torch

from bothways.checkpoints import sources
from bothways.errors import MissingExtra

COMMITS = {"main": "a" * 40, "v1": "b" * 40}
WHOLE = {
    "config.json": b"{}",
    "model.safetensors": bytes(300_000),
    "modules.json": b"[]",
    "1_Pooling/config.json": b"{}",
    "2_Dense/model.safetensors": b"dense",
    "tokenizer.json": b"{}",
    "vocab.txt": b"a",
    "merges.txt": b"a b",
    "sentencepiece.bpe.model": b"pieces",
}
UNWANTED = {
    "pytorch_model.bin": b"pickle",
    "modeling_custom.py": b"raise SystemExit",
    "README.md": b"read me",
    "onnx/model.onnx": b"onnx",
    "onnx/config.json": b"{}",
    "checkpoint-500/model.safetensors": b"earlier",
}
RESOLVE = """
import sys
from bothways.checkpoints.sources import pull
from bothways.errors import SourceError
seen = []
try:
    print(pull(sys.argv[1], progress=lambda *bytes_done: seen.append(bytes_done)))
    print(seen[-1] if seen else None, file=sys.stderr)
except SourceError as error:
    sys.exit(f"SourceError: {error}")
"""
PATIENCE_SECONDS = 60


class Hub:
    """A fake hub: its models, its gated models, and the requests that it received."""

    def __init__(self) -> None:
        self.models: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.broken = False
        self.asked: list[str] = []
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.path)
                self.answer(*hub.answer(self.path.partition("?")[0]))

            do_HEAD = do_GET  # noqa: N815 (http.server's name)

            def answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        form = r"(?:/api/models)?/(\w+/\w+)/(revision|tree|resolve)/(\w+)(?:/(.+))?"
        match = re.fullmatch(form, path)
        if match is None or match[1] not in self.models:
            return 404, {"X-Error-Code": "RepoNotFound"}, b""
        repository, question, revision, name = match.groups()
        commit = COMMITS.get(revision, revision if revision in COMMITS.values() else None)
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        files = self.models[repository]
        if question == "revision":
            about: dict[str, Any] = {"id": repository, "sha": commit}
            about["siblings"] = [{"rfilename": name} for name in files]  # read before version 2
            return 200, {"Content-Type": "application/json"}, json.dumps(about).encode()
        if question == "tree":
            listing = [
                {"type": "file", "path": n, "size": len(c), "oid": self.tag(n)}
                for n, c in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(listing).encode()
        if repository in self.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if self.broken:
            return 403, {}, b""
        if name not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        return 200, {"ETag": f'"{self.tag(name)}"', "X-Repo-Commit": commit}, files[name]

    @staticmethod
    def tag(name: str) -> str:
        return f"{name.encode().hex():0<40}"[:40]


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    threading.Thread(target=hub.server.serve_forever, daemon=True).start()
    hub.models["org/whole"] = WHOLE | UNWANTED
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


class Outcome:
    """The output of a process that pulled a model: a folder or an error."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.stderr = done.stderr
        self.error = done.stderr.partition("SourceError: ")[2].strip() if done.returncode else ""
        assert done.returncode in (0, 1), done.stderr
        assert bool(self.error) == bool(done.returncode), done.stderr
        self.folder = Path(done.stdout.strip()) if not done.returncode else None

    def files(self) -> dict[str, bytes]:
        assert self.folder is not None, self.error
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in paths}


def pull(
    source: str, hub: Hub, tmp_path: Path, environment: dict[str, str] | None = None
) -> Outcome:
    settings = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", RESOLVE, source],
        env=os.environ | settings | {"HF_HUB_DISABLE_XET": "1"} | (environment or {}),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return Outcome(done)


def test_only_weights_settings_and_tokenizer_are_downloaded(hub: Hub, tmp_path: Path) -> None:
    outcome = pull("org/whole", hub, tmp_path)
    assert outcome.files() == WHOLE
    assert outcome.folder is not None
    assert outcome.folder.is_relative_to(tmp_path / "hf")
    size = sum(map(len, WHOLE.values()))
    if hasattr(huggingface_hub, "get_cached_repo_tree"):  # before, it has only a bar of its own
        assert outcome.stderr.strip().endswith(f"({size}, {size})")  # the progress, and no bar
    assert not [path for path in hub.asked for name in UNWANTED if path.endswith(f"/{name}")]


def test_a_model_in_the_hubs_cache_is_found_offline_without_a_request(
    hub: Hub, tmp_path: Path
) -> None:
    online = pull("hf:org/whole@v1", hub, tmp_path)
    assert online.folder is not None
    assert online.folder.name == COMMITS["v1"]
    hub.asked.clear()
    for variable in ("HF_HUB_OFFLINE", "BOTHWAYS_OFFLINE"):
        offline = pull("hf:org/whole@v1", hub, tmp_path, {variable: "1"})
        assert offline.folder == online.folder
        absent = pull("hf:org/whole", hub, tmp_path, {variable: "1"})
        assert "missing or incomplete in the hub's cache" in absent.error
        assert "`bothways pull` while online" in absent.error
    assert hub.asked == []


def test_a_partially_downloaded_model_is_not_used_offline(hub: Hub, tmp_path: Path) -> None:
    hub.broken = True
    assert (
        "hf:org/whole: could not be downloaded from the hub (403"
        in pull("org/whole", hub, tmp_path).error
    )
    hub.broken = False
    assert (
        "missing or incomplete" in pull("org/whole", hub, tmp_path, {"HF_HUB_OFFLINE": "1"}).error
    )
    assert pull("org/whole", hub, tmp_path).files() == WHOLE


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "org/nothing",
            "hf:org/nothing: the hub has no such model, or it is private: check the name",
        ),
        ("org/whole@v9", "hf:org/whole@v9: the model exists, but has no revision 'v9'"),
        ("org/gated", "hf:org/gated: access to this model must be requested"),
        (
            "org/pickled",
            "hf:org/pickled: ",  # damaged
        ),
        ("org/graph", "hf:org/graph: the model has no weights, neither safetensors nor"),
        ("hf:or--g/x", "hf:or--g/x: not a valid name of a model"),
    ],
)
def test_an_unavailable_model_is_an_error_with_a_reason(
    hub: Hub, tmp_path: Path, source: str, message: str
) -> None:
    hub.models["org/gated"] = WHOLE
    hub.gated.add("org/gated")
    hub.models["org/pickled"] = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    hub.models["org/graph"] = {"config.json": b"{}", "onnx/model.onnx": b"onnx"}
    error = pull(source, hub, tmp_path).error
    assert error.startswith(message)
    assert ("There is no folder org/" in error) == source.startswith("org/")


def saved(arrays: dict[str, np.ndarray]) -> bytes:
    content = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, content)
    return content.getvalue()


PICKLED = {
    "config.json": b"{}",
    "pytorch_model.bin": saved({"a.weight": np.ones((2, 3), np.float16)}),
    "modules.json": json.dumps(
        [
            {"path": "", "type": "sentence_transformers.models.Transformer"},
            {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"path": "2_Dense", "type": "sentence_transformers.models.Dense"},
        ]
    ).encode(),
    "1_Pooling/config.json": b"{}",
    "2_Dense/config.json": b"{}",
    "2_Dense/pytorch_model.bin": saved({"linear.weight": np.arange(4, dtype=np.float32)}),
}


def test_a_pickled_encoder_in_a_folder_of_its_own_is_converted(hub: Hub, tmp_path: Path) -> None:
    """As the first releases of sentence-transformers wrote models."""
    entries = [{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}]
    hub.models["org/old"] = {
        "modules.json": json.dumps(entries).encode(),
        "0_Transformer/config.json": b"{}",
        "0_Transformer/pytorch_model.bin": PICKLED["pytorch_model.bin"],
    }
    files = pull("org/old", hub, tmp_path, {"BOTHWAYS_CACHE": str(tmp_path / "cache")}).files()
    assert "0_Transformer/model.safetensors" in files
    assert "model.safetensors" not in files


@pytest.mark.parametrize("root", ["pickled", "safetensors"])
def test_pickled_weights_are_converted_once(root: str, hub: Hub, tmp_path: Path) -> None:
    hub.models["org/pickled"] = dict(PICKLED)
    if root == "safetensors":  # and only the dense layer is pickled
        hub.models["org/pickled"] |= {"model.safetensors": b"whole"}
    cache = {"BOTHWAYS_CACHE": str(tmp_path / "cache")}
    outcome = pull("org/pickled", hub, tmp_path, cache)
    files = outcome.files()
    expected = {name.replace("pytorch_model.bin", "model.safetensors") for name in PICKLED}
    assert files.keys() == expected
    assert safetensors.numpy.load(files["2_Dense/model.safetensors"])["linear.weight"][3] == 3
    if root == "pickled":
        (weight,) = safetensors.numpy.load(files["model.safetensors"]).values()
        assert weight.dtype == np.float32
        assert weight.tolist() == [[1.0] * 3] * 2
    else:
        assert files["model.safetensors"] == b"whole"
        assert not [path for path in hub.asked if path.endswith("main/pytorch_model.bin")]

    hub.asked.clear()
    assert outcome.folder is not None
    (outcome.folder / "2_Dense/model.safetensors").write_bytes(b"damaged")  # `pull` repairs it
    offline = pull("org/pickled", hub, tmp_path, cache | {"HF_HUB_OFFLINE": "1"})
    assert (offline.folder, offline.files()) == (outcome.folder, files)
    assert hub.asked == []


def test_a_pickle_with_code_is_an_error_and_not_run(hub: Hub, tmp_path: Path) -> None:
    code = b"cos\nsystem\n(S'touch " + str(tmp_path / "mark").encode() + b"'\ntR."
    hub.models["org/pickled"] = PICKLED | {"pytorch_model.bin": code}
    error = pull("org/pickled", hub, tmp_path, {"BOTHWAYS_CACHE": str(tmp_path / "c")}).error
    assert "none of its code was run" in error
    assert not (tmp_path / "mark").exists()
    assert not list((tmp_path / "c").rglob("model.safetensors"))


def test_a_hub_that_cannot_be_reached_is_named_as_the_reason(hub: Hub, tmp_path: Path) -> None:
    nobody = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    message = "hf:org/whole: could not be downloaded from the hub ("
    assert pull("org/whole", hub, tmp_path, nobody).error.startswith(message)


def test_a_cache_that_may_lack_files_is_used_with_a_warning(hub: Hub, tmp_path: Path) -> None:
    """Other programs download single files, which does not show whether modules.json exists."""
    snapshot = tmp_path / "hf" / "hub" / "models--org--whole" / "snapshots" / COMMITS["main"]
    snapshot.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (snapshot / name).write_bytes(WHOLE[name])
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text(COMMITS["main"])
    unsure = pull("org/whole", hub, tmp_path, {"HF_HUB_OFFLINE": "1"})
    assert unsure.folder == snapshot
    assert "which may be incomplete" in unsure.stderr
    absent = snapshot.parent.parent / ".no_exist" / COMMITS["main"] / "modules.json"
    absent.parent.mkdir(parents=True)
    absent.touch()
    assert "more files" not in pull("org/whole", hub, tmp_path, {"HF_HUB_OFFLINE": "1"}).stderr


def test_without_huggingface_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"downloading hf:org/name needs .*\[hub\]"):
        sources.resolve("hf:org/name", offline=False)
