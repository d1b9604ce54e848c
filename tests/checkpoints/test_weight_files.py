import json
import re
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bothways.checkpoints.weight_files import (
    StoredTensor,
    find_weights,
    inside,
    read_safetensors,
    read_weights,
    write_safetensors,
)
from bothways.errors import CheckpointError

SECONDS = 2.0
"""Time limit for refusing a malformed file, generous for a busy machine."""

ROOM = 8 * 2**20
"""Memory limit in bytes for refusing a file, far below the sizes that the file claims."""


def write_raw(path: Path, header: object, data: bytes = b"", size: int | None = None) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if size is None else size).to_bytes(8, "little") + text + data)
    return path


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_every_floating_point_type_is_read_as_float32(dtype: torch.dtype, tmp_path: Path) -> None:
    tensor = torch.randn(5, 3, generator=torch.Generator().manual_seed(1)).to(dtype)
    tensor[0, 0] = torch.finfo(torch.float16).tiny / 4  # subnormal in half precision
    save_file({"x": tensor, "scalar": tensor[0, 1].clone()}, tmp_path / "x.safetensors")
    arrays = read_safetensors(tmp_path / "x.safetensors")
    assert arrays["x"].dtype == np.float32
    assert np.array_equal(arrays["x"], tensor.float().numpy())
    assert arrays["scalar"].shape == ()


def test_integers_stay_integers(tmp_path: Path) -> None:
    save_file({"ids": torch.arange(4)[None], "flag": torch.tensor([True])}, tmp_path / "x")
    arrays = read_safetensors(tmp_path / "x")
    assert arrays["ids"].dtype == np.int64
    assert arrays["flag"].tolist() == [True]


def test_arrays_can_be_written_to_without_changing_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    write_safetensors(path, {"x": np.ones(3)})
    arrays = read_safetensors(path)
    arrays["x"][:] = 7
    assert torch.from_numpy(arrays["x"]).sum() == 21
    assert read_safetensors(path)["x"].tolist() == [1, 1, 1]


def test_unaligned_data_is_read(tmp_path: Path) -> None:
    header = json.dumps({"x": entry("F32", [1], 0, 4)}).encode()
    path = write_raw(tmp_path / "x", header + b" " * (7 - len(header) % 8), np.float32(5).tobytes())
    assert read_safetensors(path)["x"].tolist() == [5.0]


def test_written_files_follow_the_umask(tmp_path: Path) -> None:
    (tmp_path / "other").touch()
    write_safetensors(tmp_path / "x.safetensors", {"x": np.ones(3)})
    assert (tmp_path / "x.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


HUGE = 10**12


@pytest.mark.parametrize(
    ("header", "data", "size"),
    [
        pytest.param({"x": entry("F32", [2], 0, 8)}, b"\0" * 7, None, id="truncated"),
        pytest.param({"x": entry("F32", [2], 0, 8)}, b"\0" * 9, None, id="bytes to spare"),
        pytest.param(
            {"x": entry("F32", [2], 0, 8), "y": entry("F32", [2], 4, 12)}, b"\0" * 12, None,
            id="overlapping",
        ),
        pytest.param(
            {"x": entry("F32", [1], 0, 4), "y": entry("F32", [1], 8, 12)}, b"\0" * 12, None,
            id="a hole",
        ),
        pytest.param({"x": entry("F32", [3], 0, 8)}, b"\0" * 8, None, id="shape unlike size"),
        pytest.param({"x": entry("F32", [-2], 0, 8)}, b"\0" * 8, None, id="negative shape"),
        pytest.param({"x": entry("F32", [2], 8, 0)}, b"\0" * 8, None, id="backwards"),
        pytest.param({"x": entry("F32", [HUGE], 0, 4 * HUGE)}, b"\0" * 8, None, id="terabytes"),
        pytest.param({"x": entry("F32", [2**40, 2**40], 0, 8)}, b"\0" * 8, None, id="overflow"),
        pytest.param({"x": entry("F32", [0, 2**62], 0, 0)}, b"", None, id="empty and enormous"),
        pytest.param({"x": entry("F32", [1] * 100, 0, 4)}, b"\0" * 4, None, id="100 dimensions"),
        pytest.param({"x": entry("F31", [2], 0, 8)}, b"\0" * 8, None, id="unknown type"),
        pytest.param({"x": entry("F8_E4M3", [8], 0, 8)}, b"\0" * 8, None, id="a type of 8 bits"),
        pytest.param({"x": {"dtype": "F32"}}, b"", None, id="no shape"),
        pytest.param({}, b"", 10**15, id="a header of a petabyte"),
        pytest.param({}, b"", 10**6, id="a header beyond the file"),
        pytest.param(b"\xff\xfe", b"", None, id="not UTF-8"),
        pytest.param(b"[1]", b"", None, id="not an object"),
        pytest.param(b"[" * 100_000, b"", None, id="nested without end"),
        pytest.param(
            b'{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
            b'"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}',
            b"\0" * 8, None, id="a name twice",
        ),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused_quickly_and_without_memory(
    header: object, data: bytes, size: int | None, tmp_path: Path
) -> None:
    path = write_raw(tmp_path / "model.safetensors", header, data, size)
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        read_safetensors(path)
    assert time.monotonic() - start < SECONDS
    assert tracemalloc.get_traced_memory()[1] < ROOM
    tracemalloc.stop()


@pytest.mark.parametrize("content", [b"", b"abc", b"\0" * 8, b"version https://git-lfs", b"PK\3\4"])
def test_a_file_that_is_not_safetensors_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.safetensors: not a valid safetensors file"):
        read_safetensors(tmp_path / "model.safetensors")


def test_any_single_damage_to_a_header_is_an_error_or_harmless(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    write_safetensors(path, {"a": np.arange(4.0), "b": np.ones((2, 2))})
    content = path.read_bytes()
    length = 8 + int.from_bytes(content[:8], "little")
    outcomes: set[type] = set()
    for position in range(length):
        damaged = bytearray(content)
        damaged[position] ^= 0x15
        path.write_bytes(damaged)
        try:
            outcomes.add(type(read_safetensors(path)))
        except CheckpointError:
            outcomes.add(CheckpointError)
    assert outcomes == {dict, CheckpointError}  # nothing else is raised, and some was harmless


def shards(folder: Path, suffix: str = ".safetensors") -> dict[str, str]:
    arrays = {"a": np.full(2, 1.0), "b": np.full(2, 2.0), "c": np.full(2, 3.0)}
    names = {"a": f"one{suffix}", "b": f"two{suffix}", "c": f"one{suffix}"}
    for name in set(names.values()):
        of_shard = {key: arrays[key] for key in arrays if names[key] == name}
        if suffix == ".bin":
            torch.save({k: torch.from_numpy(a) for k, a in of_shard.items()}, folder / name)
        else:
            write_safetensors(folder / name, of_shard)
    return names


def write_index(folder: Path, names: object, file: str = "model.safetensors") -> None:
    index = {"metadata": {"total_size": 24}, "weight_map": names}
    (folder / f"{file}.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("suffix", "file"), [(".safetensors", "model.safetensors"), (".bin", "pytorch_model.bin")]
)
def test_shards_are_read_according_to_their_index(suffix: str, file: str, tmp_path: Path) -> None:
    write_index(tmp_path, shards(tmp_path, suffix), file)
    arrays, named, file_of = read_weights(tmp_path)
    assert {key: array.tolist() for key, array in arrays.items()} == {
        "a": [1.0, 1.0], "b": [2.0, 2.0], "c": [3.0, 3.0],
    }  # fmt: skip
    assert named.name == f"{file}.index.json"
    assert {path.name for path in file_of.values()} == {f"one{suffix}", f"two{suffix}"}
    for key, path in file_of.items():
        assert np.array_equal(StoredTensor(path, key).read(), arrays[key])
    assert [path.name for path in find_weights(tmp_path)[1:]] == [f"one{suffix}", f"two{suffix}"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    write_index(tmp_path, shards(tmp_path))
    (tmp_path / "two.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"index\.json: shard two\.safetensors is missing"):
        read_weights(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d": "two.safetensors"}, "weight 'd' is not in two.safetensors"),
        ({"a": "two.safetensors"}, "weight 'a': model.safetensors.index.json says it is in two"),
        ({"a": "../one.safetensors"}, "'../one.safetensors' leaves the folder"),
        ({"a": "/etc/passwd"}, "'/etc/passwd' leaves the folder"),
        ({"a": "sub/one.safetensors"}, "expected a *.safetensors file next to the index"),
        ({"a": "one.bin"}, "expected a *.safetensors file next to the index"),
        ({"a": "."}, "expected a *.safetensors file next to the index"),
        ({"a": ""}, "weight_map: 'a': expected a file name"),
        ({"a": 3}, "weight_map: 'a': expected a file name"),
    ],
)
def test_a_wrong_index_is_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    write_index(tmp_path, dict(shards(tmp_path)) | changes)
    with pytest.raises(CheckpointError, match=re.escape(message)):
        read_weights(tmp_path)


@pytest.mark.parametrize("names", [None, [], {}, "x"])
def test_an_index_without_weights_is_refused(names: object, tmp_path: Path) -> None:
    write_index(tmp_path, names)
    with pytest.raises(CheckpointError, match=r"index\.json: weight_map"):
        read_weights(tmp_path)


def test_safetensors_and_single_files_take_precedence(tmp_path: Path) -> None:
    torch.save({"x": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    assert read_weights(tmp_path)[1].name == "pytorch_model.bin"
    write_index(tmp_path, shards(tmp_path))
    assert read_weights(tmp_path)[1].name == "model.safetensors.index.json"
    write_safetensors(tmp_path / "model.safetensors", {"x": np.ones(1)})
    assert read_weights(tmp_path)[1].name == "model.safetensors"


def test_the_error_for_missing_weights_lists_expected_and_existing_files(
    tmp_path: Path,
) -> None:
    (tmp_path / "model.pth").touch()
    with pytest.raises(
        CheckpointError, match=r"looked for model\.safetensors, pytorch_model\.bin.*model\.pth"
    ):
        read_weights(tmp_path)


def test_paths_cannot_leave_a_folder(tmp_path: Path) -> None:
    assert inside(tmp_path, "", tmp_path) == tmp_path
    assert inside(tmp_path, "1_Pooling", tmp_path) == tmp_path / "1_Pooling"
    for bad in ("..", "a/../..", "/", "//x", "\\\\host\\x", "c:x", "a\0b", "..\\x"):
        with pytest.raises(CheckpointError, match="leaves the folder"):
            inside(tmp_path, bad, tmp_path)
