"""Folders that earlier versions of bothways wrote still give the same vectors.

`data` holds folders of formats 1 to 3, and `vectors.json` and `fingerprints.json` what the version
that wrote them made of them.
"""

import json
from pathlib import Path

import numpy as np
import pytest

import bothways
from bothways.checkpoints import export, fingerprint, read_folder

DATA = Path(__file__).parent / "data"
FOLDERS = sorted(path.name for path in DATA.iterdir() if path.is_dir())
VECTORS = json.loads((DATA / "vectors.json").read_text())
FINGERPRINTS = json.loads((DATA / "fingerprints.json").read_text())
TEXTS = ["abc", "dabcab", "a"]
ROUNDING = 1e-6
"""Tolerance for float32, because processors can sum in different orders."""


def test_there_is_a_folder_of_every_earlier_format() -> None:
    assert {name.partition("-")[2][0] for name in FOLDERS} == {"1", "2", "3"}
    assert VECTORS.keys() == FINGERPRINTS.keys() == set(FOLDERS)


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_an_earlier_format_gives_the_same_vectors(name: str) -> None:
    vectors = bothways.load(DATA / name, backend="torch").encode(TEXTS)
    np.testing.assert_allclose(vectors, VECTORS[name], rtol=0, atol=ROUNDING)
    assert fingerprint(DATA / name) == FINGERPRINTS[name]


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_an_earlier_format_is_written_in_the_new_one(name: str, tmp_path: Path) -> None:
    old = read_folder(DATA / name)
    export(old, tmp_path / "new", "bothways")
    new = read_folder(tmp_path / "new")
    assert new.spec == old.spec
    weights = "model.safetensors"
    assert (tmp_path / "new" / weights).read_bytes() == (DATA / name / weights).read_bytes()
    before = json.loads((DATA / name / "bothways.json").read_text())
    after = json.loads((tmp_path / "new" / "bothways.json").read_text())
    assert (before.pop("format_version"), after.pop("format_version")) == (int(name[8]), 4)
    assert after.pop("encoder")["kind"] == before.pop("encoder").get("kind", "transformer")
    assert after == {"heads": []} | before


def test_format_1_describes_no_heads_and_keeps_their_weights() -> None:
    old, full = read_folder(DATA / "version-1"), read_folder(DATA / "version-2-everything")
    assert old.spec.heads == ()
    assert "no head of the folder has the weight 'heads.classifier.bias'" in old.unread_heads
    assert old.head_weights.keys() == full.head_weights.keys()
    assert [head.task for head in full.spec.heads] == ["classes", "masked_tokens"]
