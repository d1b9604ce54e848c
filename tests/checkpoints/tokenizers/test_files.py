"""Which tokenizer a folder has, and folders that are refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from bothways.checkpoints.tokenizers.files import open_tokenizer
from bothways.errors import CheckpointError, UnsupportedModel
from bothways.sequences.alphabet import Alphabet

FolderOf = Callable[..., Path]

PIECES = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nThe\n中\nriver\nré"


def tokens(folder: Path, text: str) -> list[str]:
    tokenizer = open_tokenizer(folder)
    assert isinstance(tokenizer, Tokenizer)
    return tokenizer.encode(text).tokens


def tokenizer_json(folder: Path) -> dict[str, Any]:
    tokenizer = open_tokenizer(folder)
    assert isinstance(tokenizer, Tokenizer)
    fields: dict[str, Any] = json.loads(tokenizer.to_str())
    return fields


@pytest.mark.parametrize(
    "name", ["BertTokenizer", "BertTokenizerFast", "DistilBertTokenizerFast", "ElectraTokenizer"]
)
def test_the_tokenizer_class_determines_a_word_piece_vocabulary(
    folder_of: FolderOf, name: str
) -> None:
    folder = folder_of({"vocab.txt": PIECES, "tokenizer_config.json": {"tokenizer_class": name}})
    assert tokens(folder, "The river") == ["[CLS]", "the", "river", "[SEP]"]


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "electra", "nomic_bert"])
def test_the_model_type_determines_a_word_piece_vocabulary(
    folder_of: FolderOf, model_type: str
) -> None:
    folder = folder_of({"vocab.txt": PIECES, "config.json": {"model_type": model_type}})
    assert tokens(folder, "The river") == ["[CLS]", "the", "river", "[SEP]"]


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"config.json": {"model_type": "albert"}, "tokenizer_config.json": {}},
        {"config.json": {"model_type": "albert"}},
        {"config.json": {"model_type": ["bert"]}},
        {"tokenizer_config.json": {"tokenizer_class": "BertJapaneseTokenizer"}},
        {"tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast"}},
    ],
)
def test_a_vocabulary_of_unknown_kind_is_not_read(
    folder_of: FolderOf, files: dict[str, Any]
) -> None:
    assert open_tokenizer(folder_of({"vocab.txt": PIECES, "vocab.json": {"a": 0}, **files})) is None


def test_the_class_in_config_json_alone_decides(folder_of: FolderOf) -> None:
    named = {"model_type": "bert", "tokenizer_class": "BertJapaneseTokenizer"}
    assert open_tokenizer(folder_of({"vocab.txt": PIECES, "config.json": named})) is None
    both = {"config.json": named, "tokenizer_config.json": {"tokenizer_class": "BertTokenizer"}}
    folder = folder_of({"vocab.txt": PIECES, **both}, "both")
    assert tokens(folder, "The river") == ["[CLS]", "the", "river", "[SEP]"]


def test_a_smiles_vocabulary_is_not_read_as_word_pieces(rxnmapper_folder: Path) -> None:
    assert open_tokenizer(rxnmapper_folder) is None


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["the", "[UNK]", "中", "中"]),
        ({"do_lower_case": False}, ["The", "ré", "中", "中"]),
        ({"strip_accents": False}, ["the", "ré", "中", "中"]),
        ({"do_lower_case": False, "strip_accents": True}, ["The", "[UNK]", "中", "中"]),
        ({"tokenize_chinese_chars": False}, ["the", "[UNK]", "[UNK]"]),
    ],
)
def test_word_piece_settings_are_applied(
    folder_of: FolderOf, settings: dict[str, Any], expected: list[str]
) -> None:
    bare = folder_of({"vocab.txt": PIECES, "config.json": {"model_type": "bert"}}, "bare")
    with_settings = folder_of(
        {
            "vocab.txt": PIECES,
            "config.json": {"model_type": "bert"},
            "tokenizer_config.json": settings,
        }
    )
    assert tokens(with_settings, "The ré 中中")[1:-1] == expected
    # The same settings over a tokenizer.json that says otherwise, as in transformers.
    whole = tokenizer_json(bare)
    contradictory = folder_of(
        {
            "tokenizer.json": whole,
            "tokenizer_config.json": {"tokenizer_class": "BertTokenizer", **settings},
        },
        "contradictory",
    )
    assert tokens(contradictory, "The ré 中中")[1:-1] == expected


def test_a_tokenizer_file_without_a_class_is_used_unchanged(
    folder_of: FolderOf, bert_folder: Path
) -> None:
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "do_lower_case": False}
    folder = folder_of(
        {"tokenizer.json": tokenizer_json(bert_folder), "tokenizer_config.json": settings}
    )
    assert tokens(folder, "THE RIVER") == ["[CLS]", "the", "river", "[SEP]"]


def test_truncation_and_padding_of_a_tokenizer_file_are_disabled(
    folder_of: FolderOf, bert_folder: Path
) -> None:
    whole = tokenizer_json(bert_folder)
    whole["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0}
    whole["truncation"]["direction"] = "Right"
    whole["padding"] = {
        "strategy": {"Fixed": 9},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "[PAD]",
    }
    folder = folder_of({"tokenizer.json": whole})
    assert len(tokens(folder, "the")) == 3
    assert len(tokens(folder, "the river of the water")) == 7


@pytest.mark.parametrize("where", ["tokenizer.json", "tokenizer_config.json"])
def test_a_tokenizer_that_truncates_at_the_start_is_refused(
    folder_of: FolderOf, bert_folder: Path, where: str
) -> None:
    whole = tokenizer_json(bert_folder)
    files = {"tokenizer.json": whole}
    if where == "tokenizer.json":
        whole["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0}
        whole["truncation"]["direction"] = "Left"
    else:
        files[where] = {"truncation_side": "left"}
    with pytest.raises(UnsupportedModel, match="on the 'left' side"):
        open_tokenizer(folder_of(files))


def test_added_tokens_are_whole_words_with_the_ids_the_folder_gives(folder_of: FolderOf) -> None:
    files = {"vocab.txt": PIECES, "added_tokens.json": {"[ENT]": 11, "NEW": 10}}
    files |= {"config.json": {"model_type": "bert"}}
    tokenizer = open_tokenizer(folder_of(files))
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.encode("NEW the[ENT]").ids == [2, 10, 5, 11, 3]
    with pytest.raises(CheckpointError, match="added token 'NEW' has the id 12"):
        open_tokenizer(folder_of({**files, "added_tokens.json": {"NEW": 12}}, "gap"))


def test_the_tokenizer_config_takes_precedence_for_special_tokens(
    folder_of: FolderOf,
) -> None:
    files = {
        "vocab.txt": "<pad>\n<unk>\n<begin>\n<end>\nthe",
        "config.json": {"model_type": "bert"},
        "special_tokens_map.json": {"cls_token": "nowhere", "sep_token": {"content": "<end>"}},
        "tokenizer_config.json": {"cls_token": "<begin>", "unk_token": "<unk>", "mask_token": None},
    }
    assert tokens(folder_of(files), "the [SEP]")[0] == "<begin>"
    assert tokens(folder_of(files), "the")[-1] == "<end>"


def test_an_esm_vocabulary_is_an_alphabet(esm_folder: Path) -> None:
    alphabet = open_tokenizer(esm_folder)
    assert isinstance(alphabet, Alphabet)
    assert alphabet.special == {
        "begin": "<cls>",
        "end": "<eos>",
        "unknown": "<unk>",
        "mask": "<mask>",
    }


@pytest.mark.parametrize("name", ["spiece.model", "sentencepiece.bpe.model", "tokenizer.model"])
@pytest.mark.parametrize("tokenizer_class", ["BarthezTokenizer", None])
def test_the_error_for_a_sentencepiece_model_of_an_unknown_class_shows_its_conversion(
    folder_of: FolderOf, name: str, tokenizer_class: str | None
) -> None:
    settings = {"tokenizer_class": tokenizer_class}
    with pytest.raises(CheckpointError, match=rf"{name}.*{tokenizer_class}.*save_pretrained"):
        open_tokenizer(folder_of({name: "binary", "tokenizer_config.json": settings}))


@pytest.mark.parametrize(
    "content",
    ["", "{}", "[]", "nonsense", "[" * 100_000, '{"model":' * 1000, '{"model": {"type": "Magic"}}'],
)
def test_a_file_that_is_not_a_tokenizer_is_refused(folder_of: FolderOf, content: str) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json: not a tokenizer"):
        open_tokenizer(folder_of({"tokenizer.json": content}))


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"tokenizer_config.json": {"tokenizer_class": 3}}, "tokenizer_class=3"),
        ({"tokenizer_config.json": {"do_lower_case": "yes"}}, "do_lower_case='yes'"),
        ({"tokenizer_config.json": {"strip_accents": 1}}, "strip_accents=1"),
        ({"tokenizer_config.json": {"cls_token": 5}}, "cls_token=5"),
        ({"tokenizer_config.json": {"cls_token": None}}, "cls_token is null"),
        ({"tokenizer_config.json": {"cls_token": {"content": "a", "lstrip": 1}}}, "cls_token="),
        ({"tokenizer_config.json": {"sep_token": "<none>"}}, "sep_token='<none>' is not in"),
        ({"tokenizer_config.json": {"added_tokens_decoder": []}}, "expected an object"),
        ({"tokenizer_config.json": {"added_tokens_decoder": {"x": "a"}}}, "has the id 'x'"),
        ({"tokenizer_config.json": {"added_tokens_decoder": {"10": 4}}}, "expected a token"),
        ({"tokenizer_config.json": []}, "expected an object"),
        ({"tokenizer_config.json": "{"}, "not valid JSON"),
        ({"special_tokens_map.json": "[" * 100_000}, "nested deeper than"),
        ({"added_tokens.json": {"a": -1}}, "has the id -1"),
        ({"added_tokens.json": {"a": 10**400}}, "has the id 1000"),
        ({"vocab.txt": "the\nriver"}, r"vocab\.txt: cls_token='\[CLS\]' is not in the vocabulary"),
    ],
)
def test_the_error_for_a_malformed_file_names_the_field(
    folder_of: FolderOf, files: dict[str, Any], named: str
) -> None:
    base = {"vocab.txt": PIECES, "config.json": {"model_type": "bert"}}
    with pytest.raises(CheckpointError, match=named):
        open_tokenizer(folder_of({**base, **files}))


@pytest.mark.parametrize("name", ["BertTokenizer", "ElectraTokenizer", "RobertaTokenizer"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"add_prefix_space": True},
        {"add_prefix_space": False},
        {"cls_token": "<x>", "sep_token": "<y>"},
        {"sep_token": "<y>", "mask_token": "river"},
    ],
)
def test_settings_that_contradict_a_tokenizer_file_win_as_in_transformers(
    folder_of: FolderOf, name: str, settings: dict[str, Any]
) -> None:
    vocabulary = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary += ["[PAD]", "<x>", "<y>", "river", "Ġ", "Ġriver"]
    vocabulary += [*"rive", "ri", "ver"]
    ids = {token: index for index, token in enumerate(vocabulary)}
    roles = {"cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
    around: processors.PostProcessor
    around = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    if name == "RobertaTokenizer":
        merges = [("r", "i"), ("v", "e"), ("ve", "r"), ("ri", "ver"), ("Ġ", "river")]
        ids |= {"ve": len(ids)}
        tokenizer = Tokenizer(models.BPE(ids, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    else:
        tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))  # noqa: S106
        tokenizer.normalizer = normalizers.BertNormalizer()
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        roles = {"cls_token": "[CLS]", "sep_token": "[SEP]"}
        around = processors.BertProcessing(("[SEP]", 7), ("[CLS]", 6))
    tokenizer.post_processor = around
    tokenizer.add_special_tokens(vocabulary[:10])
    config = {"tokenizer_class": name, **roles, **settings}
    folder = folder_of({"tokenizer.json": tokenizer.to_str(), "tokenizer_config.json": config})
    theirs = getattr(transformers, name).from_pretrained(folder)
    opened = open_tokenizer(folder)
    assert isinstance(opened, Tokenizer)
    for text in ("river", "river river", "river <mask> [MASK]"):
        assert opened.encode(text).ids == theirs(text)["input_ids"], text
        assert opened.encode(text, "river").ids == theirs(text, "river")["input_ids"], text
