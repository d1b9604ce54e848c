"""Models of sentencepiece: the same ids as the package itself, with each class's own offsets.

`data/*.model` were trained with sentencepiece 0.2.3 on a few hundred lines of code and names in
many scripts, with a small table of replacements; `data/sentencepiece_ids.json` has its ids.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from bothways.checkpoints.tokenizers.files import open_tokenizer
from bothways.errors import CheckpointError, UnsupportedModel

DATA = Path(__file__).parent / "data"
EXPECTED = json.loads((DATA / "sentencepiece_ids.json").read_text())
TEXTS: list[str] = EXPECTED["texts"]

FolderOf = Callable[..., Path]


def open_model(folder: Path, name: str, files: dict[str, Any]) -> Tokenizer:
    """The tokenizer of a model of `data` beside these settings."""
    file = "sentencepiece.bpe.model" if "xlm" in str(files) else "spiece.model"
    shutil.copy(DATA / f"{name}.model", folder / file)
    for each, content in files.items():
        (folder / each).write_text(json.dumps(content))
    tokenizer = open_tokenizer(folder)
    assert isinstance(tokenizer, Tokenizer)
    return tokenizer


def config(model_type: str, **settings: Any) -> dict[str, Any]:
    return {"config.json": {"model_type": model_type}, "tokenizer_config.json": settings}


def xlm_roberta(index: int) -> int:
    """The id in fairseq's vocabulary, which has its special tokens in another order."""
    return {0: 3, 1: 0, 2: 2}.get(index, index + 1)


def camembert(index: int) -> int:
    return index + 4 if index else 3


@pytest.mark.parametrize("name", ["unigram", "bytes", "bpe", "bpe_bytes", "spaces"])
@pytest.mark.parametrize(
    ("model_type", "shifted"), [("xlm-roberta", xlm_roberta), ("camembert", camembert)]
)
def test_ids_are_those_of_sentencepiece_with_the_offsets_of_fairseq(
    tmp_path: Path, name: str, model_type: str, shifted: Callable[[int], int]
) -> None:
    tokenizer = open_model(tmp_path, name, config(model_type))
    for text, ids in zip(TEXTS, EXPECTED["ids"][name], strict=True):
        got = tokenizer.encode(text)
        assert got.ids[1:-1] == [shifted(index) for index in ids], text
        assert (got.tokens[0], got.tokens[-1]) == ("<s>", "</s>")


def test_t5_has_no_offset_and_its_sentinels_follow_the_pieces(tmp_path: Path) -> None:
    tokenizer = open_model(tmp_path, "t5", config("t5"))
    for text, ids in zip(TEXTS, EXPECTED["ids"]["t5"], strict=True):
        assert tokenizer.encode(text).ids == [*ids, 1], text
    assert tokenizer.get_vocab_size() == 450 + 100
    assert tokenizer.token_to_id("<extra_id_99>") == 450
    assert tokenizer.encode("<extra_id_0>").ids[0] == 549
    assert tokenizer.encode("the", "river").tokens.count("</s>") == 2


def test_deberta_v3_appends_its_mask_and_has_segments(tmp_path: Path) -> None:
    settings = config("deberta-v2", vocab_type="spm")
    tokenizer = open_model(tmp_path, "deberta", settings)
    for text, ids in zip(TEXTS, EXPECTED["ids"]["deberta"], strict=True):
        assert tokenizer.encode(text).ids == [1, *ids, 2], text
    assert tokenizer.token_to_id("[MASK]") == 450
    pair = tokenizer.encode("the", "river")
    assert pair.type_ids == [0] * pair.tokens.index("[SEP]") + [0] + [1] * (
        len(pair.ids) - pair.tokens.index("[SEP]") - 1
    )


def test_albert_lowercases_strips_accents_and_splits_commas_from_numbers(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    plain = open_model(tmp_path, "albert", config("albert"))
    exact = open_model(
        tmp_path / "plain", "albert", config("albert", keep_accents=True, do_lower_case=False)
    )
    for text, ids in zip(TEXTS, EXPECTED["ids"]["albert"], strict=True):
        if "``" not in text and not any(f"{digit}," in text for digit in range(10)):
            assert exact.encode(text).ids[1:-1] == ids, text
    assert plain.encode("HELLO ÀÉ").ids == exact.encode("hello ae").ids
    assert plain.encode("``quoted''").ids == exact.encode('"quoted"').ids
    assert exact.encode("= 1, 0,").tokens[1:-1] == ["▁=", "▁", "1", ",", "▁", "0", ","]
    assert exact.encode("a [MASK] b").tokens.count("[MASK]") == 1


def test_big_bird_has_the_ids_of_its_model_and_segments(tmp_path: Path) -> None:
    tokenizer = open_model(tmp_path, "albert", config("big_bird"))
    for text, ids in zip(TEXTS, EXPECTED["ids"]["albert"], strict=True):
        got = tokenizer.encode(text)
        assert got.ids[1:-1] == ids, text
        assert (got.tokens[0], got.tokens[-1]) == ("[CLS]", "[SEP]")
    pair = tokenizer.encode("the", "river")
    assert pair.type_ids == sorted(pair.type_ids)
    assert pair.type_ids.count(1) == len(tokenizer.encode("river").ids) - 1


def test_special_tokens_are_those_of_the_settings(tmp_path: Path) -> None:
    files = config("xlm-roberta") | {"special_tokens_map.json": {"mask_token": "<m>"}}
    tokenizer = open_model(tmp_path, "unigram", files)
    assert tokenizer.token_to_id("<m>") == tokenizer.get_vocab_size() - 1 == 501
    assert tokenizer.encode("river <m>").ids[-2] == 501


def test_names_of_special_tokens_are_matched_before_normalization_only(tmp_path: Path) -> None:
    tokenizer = open_model(tmp_path, "unigram", config("xlm-roberta"))
    assert "<s>" in tokenizer.encode("a <s> b").tokens[1:-1]
    assert "<s>" not in tokenizer.encode("a ＜s＞ b").tokens[1:-1]


def varint(number: int) -> bytes:
    more, digits = b"", number
    while digits > 0x7F:
        more, digits = more + bytes([digits & 0x7F | 0x80]), digits >> 7
    return more + bytes([digits])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def piece(text: str, score: bytes = bytes(4), kind: int = 1) -> bytes:
    return field(1, field(1, text.encode()) + b"\x15" + score + b"\x18" + bytes([kind]))


TRIE = (1024).to_bytes(4, "little") + bytes(1024)
"""A table of replacements without any."""


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "no pieces"),
        (b"binary", "of the unknown type|beyond the end|ends within"),
        (b"\xff" * 100, "a number of more than 10 bytes"),
        (field(1, b"\x0a\xff\xff\xff\xff\x0f"), "goes beyond the end"),
        (b"\x08\x01", "a number in place of bytes"),
        (piece("a") + piece("a"), "a piece appears twice"),
        (piece(""), "0 characters"),
        (piece("a" * 129), "129 characters"),
        (piece("a", b"\x00\x00\xc0\x7f"), "score nan"),
        (piece("a", kind=9), "type 9"),
        (field(1, field(1, b"\xff")), "not a model of sentencepiece"),
        (field(1, field(1, b"a") + b"\x10\x00"), "has no score"),
        (piece("a") + field(2, b"\x18\x09"), "model_type=9"),
        (piece("a") + field(2, field(3, b"x")), "bytes in place of a number"),
        (piece("a") + field(3, field(2, b"\xff\xff\xff\x7fab")), "a trie of"),
        (piece("a") + field(3, field(2, TRIE + b"\xff")), "not a model of sentencepiece"),
        (piece("a") + field(3, field(2, TRIE[:8] + b"\xff\xff\xff\x7f" + TRIE[12:])), "beyond its"),
        (piece("a") + field(3, field(2, TRIE[:8] + b"\x09\0\0\x80" + TRIE[12:])), "beyond its"),
        (
            piece("a") + field(3, field(2, TRIE[:8] + b"\x01\0\0\x80" + TRIE[12:] + "é".encode())),
            "into a character",
        ),
        (piece("a"), "unk_token='<unk>' is not in|is not in the vocabulary"),
        (b"version https://git-lfs.github.com/spec/v1\noid x\nsize 9\n", "Git LFS pointer"),
    ],
)
def test_a_file_that_is_no_model_of_sentencepiece_is_refused(
    tmp_path: Path, content: bytes, named: str
) -> None:
    (tmp_path / "spiece.model").write_bytes(content)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(CheckpointError, match=named):
        open_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ((DATA / "words.model").read_bytes(), "a sentencepiece model of words"),
        (piece("a") + field(2, b"\xc0\x01\x01"), "does not mark the beginnings of words"),
        (
            piece("<unk>", kind=2) + piece("</s>", kind=3) + piece("ab", kind=4)
            + field(2, b"\x18\x02"),
            "symbols chosen by hand",
        ),
    ],
)  # fmt: skip
def test_models_that_cannot_be_read_exactly_are_refused(
    tmp_path: Path, content: bytes, named: str
) -> None:
    (tmp_path / "spiece.model").write_bytes(content)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    with pytest.raises(UnsupportedModel, match=named):
        open_tokenizer(tmp_path)


@pytest.mark.parametrize("value", [-1, "many", 10**9, True])
def test_a_number_of_sentinels_that_makes_no_sense_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(CheckpointError, match="extra_ids"):
        open_model(tmp_path, "t5", config("t5", extra_ids=value))


def test_decomposed_hangul_becomes_the_syllables_of_the_vocabulary(tmp_path: Path) -> None:
    """The table of NFKC rules composes three letters, which the library's step does not."""
    rules = field(3, field(1, b"nmt_nfkc") + field(2, TRIE))
    pieces = [piece("<unk>", kind=2), piece("<s>", kind=3), piece("</s>", kind=3)]
    content = b"".join([*pieces, piece("▁"), piece("각")]) + rules
    (tmp_path / "spiece.model").write_bytes(content)
    (tmp_path / "config.json").write_text('{"model_type": "t5"}')
    tokenizer = open_tokenizer(tmp_path)
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.encode("\u1100\u1161\u11a8").tokens == ["▁", "각", "</s>"]
