"""Vocabularies of word pieces, byte pairs, residues; `test_text` compares with transformers."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from bothways.checkpoints.tokenizers.files import open_tokenizer
from bothways.errors import CheckpointError
from bothways.sequences import SymbolReader
from bothways.sequences.alphabet import Alphabet

FolderOf = Callable[..., Path]


def open_text(folder: Path) -> Tokenizer:
    tokenizer = open_tokenizer(folder)
    assert isinstance(tokenizer, Tokenizer)
    return tokenizer


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
def test_the_line_ends_of_a_vocabulary_do_not_matter(folder_of: FolderOf, ends: str) -> None:
    lines = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a\u2028b", "the", ""]
    folder = folder_of({"config.json": {"model_type": "bert"}})
    (folder / "vocab.txt").write_bytes(ends.join(lines).encode())
    tokenizer = open_text(folder)
    assert tokenizer.get_vocab_size() == 7
    assert tokenizer.token_to_id("a\u2028b") == 5
    assert tokenizer.encode("the").ids == [2, 6, 3]


def test_a_vocabulary_that_is_not_utf8_is_refused_with_the_byte(folder_of: FolderOf) -> None:
    folder = folder_of({"config.json": {"model_type": "bert"}})
    (folder / "vocab.txt").write_bytes(b"[PAD]\n\xff\n")
    with pytest.raises(CheckpointError, match=r"vocab\.txt: byte 6 is not UTF-8"):
        open_tokenizer(folder)


def test_a_word_in_two_segments_has_them_in_bert_and_not_in_mpnet(
    bert_folder: Path, mpnet_folder: Path
) -> None:
    bert = open_text(bert_folder).encode("the", "river")
    assert bert.tokens == ["[CLS]", "the", "[SEP]", "river", "[SEP]"]
    assert bert.type_ids == [0, 0, 0, 1, 1]
    mpnet = open_text(mpnet_folder).encode("the", "river")
    assert mpnet.tokens == ["<s>", "the", "</s>", "</s>", "river", "</s>"]
    assert mpnet.type_ids == [0] * 6


def test_byte_pair_settings_are_applied(roberta_folder: Path, folder_of: FolderOf) -> None:
    files = {
        name: (roberta_folder / name).read_text(encoding="utf-8")
        for name in ("vocab.json", "merges.txt", "config.json")
    }
    settings = {"add_prefix_space": True, "trim_offsets": False}
    spaced = open_text(folder_of({**files, "tokenizer_config.json": settings})).encode("a the")
    plain = open_text(roberta_folder).encode("a the")
    assert plain.tokens[1] == "a"
    assert spaced.tokens[1] == "Ġa"
    assert plain.offsets[2][0] == 2  # the space before is trimmed
    assert spaced.offsets[2][0] == 1


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"merges.txt": "a b c"}, r"merges\.txt, line 1: 'a b c'"),
        ({"merges.txt": "#version: 0.2\na b\n\nab"}, r"merges\.txt, line 4: 'ab'"),
        ({"merges.txt": "a b"}, r"merges\.txt: .*out of vocabulary"),
        ({"merges.txt": None}, r"merges\.txt: no such file"),
        ({"vocab.json": {"<s>": 0, "</s>": "1"}}, "'</s>' has the id '1'"),
        ({"vocab.json": {"<s>": 0, "</s>": True}}, "'</s>' has the id True"),
        ({"vocab.json": {"<s>": 0, "</s>": -1}}, "'</s>' has the id -1"),
        ({"vocab.json": {"<s>": 0}}, "sep_token='</s>' is not in the vocabulary"),
        ({"vocab.json": [1]}, "expected an object"),
    ],
)
def test_malformed_byte_pair_files_are_named(
    folder_of: FolderOf, files: dict[str, Any], named: str
) -> None:
    vocabulary = {"<s>": 0, "</s>": 1, "a": 2, "b": 3}
    base = {"vocab.json": vocabulary, "merges.txt": "", "config.json": {"model_type": "roberta"}}
    whole = {name: value for name, value in {**base, **files}.items() if value is not None}
    with pytest.raises(CheckpointError, match=named):
        open_tokenizer(folder_of(whole))


def test_residues_are_read_like_in_transformers(esm_folder: Path) -> None:
    theirs = pytest.importorskip("transformers").EsmTokenizer.from_pretrained(esm_folder)
    alphabet = open_tokenizer(esm_folder)
    assert isinstance(alphabet, Alphabet)
    reader = SymbolReader(alphabet)
    proteins = [
        "MKTAYIAKQR",
        "",
        " ",
        "MK TA\nY",
        "mkt",
        "MJJK",
        "M J J K",
        "M<mask>K",
        "MKT*",
        "12",
    ]
    proteins += [
        "<cls>M",
        "<null_1>.-",
        "<mas>",
        "M<",
        "Jx Yz",
        "é M",
        "M\u2028K",
        "<unk>",
        "<<eos>",
    ]
    for protein, tokenized in zip(proteins, reader.read(proteins), strict=True):
        assert tokenized.values.tolist() == theirs(protein)["input_ids"], protein


def test_an_esm_folder_without_an_end_token_is_read(folder_of: FolderOf) -> None:
    settings = {"tokenizer_class": "EsmTokenizer", "eos_token": None}
    alphabet = open_tokenizer(
        folder_of(
            {"vocab.txt": "<cls>\n<unk>\n<mask>\nACGTAC\nA", "tokenizer_config.json": settings}
        )
    )
    assert isinstance(alphabet, Alphabet)
    (tokenized,) = SymbolReader(alphabet).read(["ACGTACA"])
    assert tokenized.values.tolist() == [0, 3, 4]


def test_a_malformed_esm_vocabulary_is_named(folder_of: FolderOf) -> None:
    files = {"tokenizer_config.json": {"tokenizer_class": "EsmTokenizer"}, "vocab.txt": "A\nC\nA"}
    with pytest.raises(CheckpointError, match=r"vocab\.txt: symbols\[2\]='A': already"):
        open_tokenizer(folder_of(files))


NAMES = ("NewTok", "[ÉX]", "<Ent>")


@pytest.mark.parametrize("kind", ["bert", "mpnet", "roberta"])
@pytest.mark.parametrize("lowercase", [True, False])
def test_added_tokens_of_an_old_folder_are_matched_as_transformers_matches_them(
    kind: str, lowercase: bool, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    transformers = pytest.importorskip("transformers")
    classes = {
        "bert": transformers.BertTokenizer,
        "mpnet": transformers.MPNetTokenizer,
        "roberta": transformers.RobertaTokenizer,
    }
    folder = tmp_path / kind
    shutil.copytree(request.getfixturevalue(f"{kind}_folder"), folder)
    size = open_text(folder).get_vocab_size()
    added = {name: size + i for i, name in enumerate(NAMES)}
    (folder / "added_tokens.json").write_text(json.dumps(added))
    (folder / "special_tokens_map.json").write_text(json.dumps({"mask_token": "<Ent>"}))
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lowercase}))
    theirs, ours = classes[kind].from_pretrained(folder), open_text(folder)
    texts = [
        text
        for name in NAMES
        for word in (name, name.lower(), name.upper())
        for text in (word, f"the {word} river", f"a{word}the", f"{word} {word}")
    ]
    for text in [*texts, "[EX] e", "ex [E\u0301x]"]:
        assert ours.encode(text).ids == theirs(text)["input_ids"], text


def test_added_tokens_of_an_old_folder_of_residues_are_symbols(
    esm_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "esm"
    shutil.copytree(esm_folder, folder)
    size = len((folder / "vocab.txt").read_text().split("\n"))
    (folder / "added_tokens.json").write_text(json.dumps({"<ptm>": size, "J": size + 1}))
    theirs = pytest.importorskip("transformers").EsmTokenizer.from_pretrained(folder)
    alphabet = open_tokenizer(folder)
    assert isinstance(alphabet, Alphabet)
    proteins = ["MK<ptm>TA", "J", "MJJK", "<ptm><ptm>", "<PTM>M", "mj"]
    for protein, tokenized in zip(proteins, SymbolReader(alphabet).read(proteins), strict=True):
        assert tokenized.values.tolist() == theirs(protein)["input_ids"], protein
    (folder / "added_tokens.json").write_text(json.dumps({"<ptm>": size + 1}))
    with pytest.raises(CheckpointError, match=f"'<ptm>' has the id {size + 1}, and the vocabulary"):
        open_tokenizer(folder)


def test_deberta_reads_texts_like_in_transformers_and_a_pair_with_one_separator(
    folder_of: FolderOf,
) -> None:
    """transformers 5 puts two separators; its earlier versions and the released code put one."""
    theirs = pytest.importorskip("transformers").DebertaTokenizer
    names = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", *"abĠthe", "th", "Ġt", "Ġb", "[MASK]")
    folder = folder_of(
        {
            "vocab.json": {name: index for index, name in enumerate(names)},
            "merges.txt": "#version: 0.2\nt h\nĠ t\nĠ b\n",
            "config.json": {"model_type": "deberta"},
        }
    )
    tokenizer = open_text(folder)
    for text in ("the b", " a [MASK] b", "a[MASK]b", "tea"):
        assert tokenizer.encode(text).ids == theirs.from_pretrained(folder)(text)["input_ids"]
    pair = tokenizer.encode("a", "b")
    assert pair.tokens == ["[CLS]", "a", "[SEP]", "b", "[SEP]"]
    assert pair.type_ids == [0, 0, 0, 1, 1]
