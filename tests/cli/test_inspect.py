"""What `bothways inspect` says of a model that is known."""

import json
from pathlib import Path

import pytest

from bothways.cli.app import app


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        app(["inspect", *arguments])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_programs_get_every_fact(minilm_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    facts = json.loads(printed(capsys, str(minilm_folder), "--json"))
    assert facts["family"] == "bert"
    assert facts["input"] == "text"
    assert facts["max_length"] == 256
    assert (facts["pooling"], facts["after_pooling"]) == (["mean"], ["normalize"])
    assert facts["parameters"] == {
        "embedding": 11_918_592,
        "attention": 3_548_160,
        "feed-forward": 7_089_408,
        "norms": 9_216,
        "total": 22_565_376,
    }
    assert facts["bytes"]["fp32"] == 4 * 22_565_376
    assert facts["heads"] == {"heads.pooler.weight": 384 * 384, "heads.pooler.bias": 384}
    assert facts["operations_per_token"]["formula"] == "10,616,832 + 4,608 L"
    assert facts["operations_per_token"]["at_length"]["256"] == 10_616_832 + 4_608 * 256
    assert facts["config"]["num_layers"] == 6
    assert len(facts["fingerprint"]) == 64


def test_people_get_a_page(minilm_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, str(minilm_folder)).splitlines()
    page = dict(line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
    assert page["family"] == "bert"
    assert page["pooling"] == "mean, then normalize"
    assert page["parameters"] == "22,565,376"
    assert page["d_model"] == "384"
    assert all(line == line.rstrip() for line in lines)
