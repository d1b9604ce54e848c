"""Sequences whose tokens are mostly unknown: counted, warned of with advice, or refused."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.inference.conftest import MakeModel
from tests.support.heads import pooled_head
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import Unigram, WordPiece

import bothways
from bothways import Alphabet, Encoder, EncoderConfig
from bothways.errors import InputError, UnknownTokenWarning
from bothways.sequences import SymbolReader
from bothways.sequences.text import TextReader
from bothways.sequences.unknown_tokens import unknown_id

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@pytest.fixture
def residues(make_model: MakeModel) -> Encoder:
    """A model of proteins that reads a residue as a word, as ProtBERT does."""
    vocabulary = {token: index for index, token in enumerate((*SPECIAL, *"ACDEFGHIKL"))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(list(SPECIAL))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    reader = TextReader(tokenizer, vocab_size=16, num_segments=2)
    return bothways.load(make_model(pooled_head(), reader=reader))


@pytest.mark.parametrize(
    ("sequence", "advice"),
    [
        ("ACDE", "put a space between residues"),
        ("a c d e", "write them in upper case"),
        ("acde", "write them in upper case, with a space between residues"),
        ("1 2 3", "use a model, or an alphabet, that was made for such sequences"),
    ],
)
def test_a_warning_counts_and_says_what_to_do(
    residues: Encoder, sequence: str, advice: str
) -> None:
    message = f"1 of 2 sequences consist mostly of tokens .* is sequence 1: .*; {advice}"
    with pytest.warns(UnknownTokenWarning, match=message):
        residues.encode(["A C D E", sequence])
    with pytest.warns(UnknownTokenWarning, match=message):
        residues.contextualize(["A C D E", sequence])
    with pytest.warns(UnknownTokenWarning, match=message):
        residues.classify(["A C D E", sequence])


def test_unknown_tokens_of_a_prompt_are_not_of_the_sequence(residues: Encoder) -> None:
    assert residues.encode_detailed(["A C"], prompt="1 2 3 ").num_unknown.tolist() == [0]
    residues.encode(["A C"], prompt="1 2 3 ")  # without a warning
    assert residues.encode_detailed(["A 1 C"], prompt="A ").num_unknown.tolist() == [1]


def test_few_unknown_tokens_are_counted_without_a_warning(residues: Encoder) -> None:
    detailed = residues.encode_detailed(["A C D Z", "ACDE", "A C", ""])
    assert detailed.num_tokens.tolist() == [6, 3, 4, 2]
    assert detailed.num_unknown.tolist() == [1, 1, 0, 0]
    assert detailed.mostly_unknown.tolist() == [False, True, False, False]
    assert detailed[0].num_unknown == 1
    residues.encode(["A C D Z", "A C", ""])


def test_unknown_tokens_that_are_cut_off_are_not_counted(residues: Encoder) -> None:
    text = "A " * 10 + "Z " * 30
    assert residues.max_length == 12
    assert residues.encode_detailed(text).num_unknown == 0


def test_a_sequence_of_which_only_a_part_of_the_prompt_is_kept_is_not_unknown(
    residues: Encoder,
) -> None:
    detailed = residues.encode_detailed(["A C"], prompt="A " * 8, max_length=4)
    assert detailed.truncated.tolist() == [True]
    assert detailed.mostly_unknown.tolist() == [False]


def test_the_prompt_does_not_hide_unknown_tokens(residues: Encoder) -> None:
    with pytest.warns(UnknownTokenWarning):
        residues.encode("ACDE", prompt="A A A A ")


def test_sequences_of_unknown_tokens_can_be_refused_or_ignored(residues: Encoder) -> None:
    message = "sequence 1: 1 of 3 tokens are unknown to the model; put a space"
    for method in (residues.encode, residues.encode_detailed, residues.classify):
        with pytest.raises(InputError, match=message):
            method(["A C", "ACDE"], on_unknown="error")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        residues.encode(["A C", "ACDE"], on_unknown="ignore")
    with pytest.raises(InputError, match="on_unknown='raise': expected one of warn, error, ignore"):
        residues.encode("A C", on_unknown="raise")  # type: ignore[arg-type]


def test_symbols_outside_an_alphabet_are_unknown(tmp_path: Path) -> None:
    alphabet = Alphabet(symbols=("<unknown>", "C", "N"), unknown="<unknown>")
    config = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=3)
    encoder = bothways.load(bothways.create(tmp_path / "m", config, SymbolReader(alphabet)))
    with pytest.warns(UnknownTokenWarning, match="write them in upper case"):
        encoder.encode(["CCN", "ccn"])
    assert encoder.encode_detailed(["CCN", "Ccn"]).num_unknown.tolist() == [0, 2]


def test_the_unknown_token_of_a_unigram_model_is_found_by_its_name() -> None:
    tokenizer = Tokenizer(Unigram([("<pad>", 0.0), ("<unk>", 0.0), ("a", -1.0)], unk_id=1))
    assert unknown_id(TextReader(tokenizer, vocab_size=3)) == 1
    assert unknown_id(None) is None


def test_the_vectors_are_those_without_the_check(residues: Encoder) -> None:
    texts = ["A C D E", "A"]
    np.testing.assert_array_equal(
        residues.encode(texts), residues.encode(texts, on_unknown="ignore")
    )
