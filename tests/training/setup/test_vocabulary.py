"""Vocabularies trained from texts, and alphabets by name."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from tokenizers import Tokenizer

from bothways.errors import ConfigError, InputError
from bothways.sequences import Alphabet, Kmers
from bothways.training.options.new_model import Vocabulary
from bothways.training.setup.vocabulary import choose_alphabet, train_tokenizer

KINDS: tuple[Vocabulary, ...] = get_args(Vocabulary)

TEXTS = [
    "The river rose, and the bank of the river gave way.",
    "A bank gave a loan to the men of the river; the loan rose.",
    "Über den Fluss führt eine Brücke über dem Wasser.",
    "Rivers, banks, loans and bridges: banking, loaning and bridging.",
] * 3


def texts() -> Iterator[str]:
    yield from TEXTS


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return train_tokenizer(texts, request.param, size=400)


def test_special_tokens_have_bert_s_names_and_the_first_ids(tokenizer: Tokenizer) -> None:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert [tokenizer.token_to_id(token) for token in special] == [0, 1, 2, 3, 4]
    added = tokenizer.get_added_tokens_decoder()
    assert {added[index].content for index in added if added[index].special} == set(special)
    assert tokenizer.encode("a [MASK] b").ids.count(4) == 1


def test_texts_and_pairs_are_put_between_special_tokens(tokenizer: Tokenizer) -> None:
    one = tokenizer.encode("river")
    assert (one.ids[0], one.ids[-1]) == (2, 3)
    pair = tokenizer.encode("river", "bank")
    assert [pair.ids[0], pair.ids[-1], pair.ids.count(3)] == [2, 3, 2]
    assert pair.type_ids[0] == 0
    assert pair.type_ids[-2:] == [1, 1]


def test_frequent_words_are_one_token(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("river").ids) == 3


def test_offsets_are_those_of_the_words(tokenizer: Tokenizer) -> None:
    text = "the river, rose"
    encoding = tokenizer.encode(text)
    assert "river" in [text[start:end].strip() for start, end in encoding.offsets]


def test_the_vocabulary_has_at_most_the_given_size(tokenizer: Tokenizer) -> None:
    assert 30 < tokenizer.get_vocab_size() <= 400


@pytest.mark.parametrize("kind", KINDS)
def test_case_is_kept_or_not_and_accents_always(kind: Vocabulary) -> None:
    lower, exact = (
        train_tokenizer(texts, kind, size=400, lowercase=flag) for flag in (True, False)
    )
    assert lower.encode("THE River").ids == lower.encode("the river").ids
    assert exact.encode("The river").ids != exact.encode("the river").ids
    assert lower.encode("über").ids != lower.encode("uber").ids


def test_byte_pairs_encode_every_character() -> None:
    tokenizer = train_tokenizer(texts, "bpe", size=300)
    assert 1 not in tokenizer.encode("日本 😀 \u0000").ids
    assert tokenizer.decode(tokenizer.encode("日本 😀").ids).strip() == "日本 😀"


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
def test_the_same_texts_give_the_same_vocabulary_in_every_process(kind: str) -> None:
    code = (
        "from bothways.training.setup.vocabulary import train_tokenizer\n"
        f"texts = {TEXTS!r}\n"
        f"print(train_tokenizer(lambda: texts, {kind!r}, size=300).to_str())"
    )
    found = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
        for _ in range(2)
    }
    assert len(found) == 1


def test_rare_characters_are_unknown_to_word_pieces() -> None:
    alphabet = "".join(map(chr, range(0x4E00, 0x4E00 + 1200)))
    tokenizer = train_tokenizer(lambda: [*TEXTS, alphabet], size=4000)
    ids = [tokenizer.encode(character).ids[1] for character in alphabet]
    known = sum(index != 1 for index in ids)
    assert 900 < known < 1000


def test_no_text_gives_no_vocabulary() -> None:
    with pytest.raises(InputError, match="no text to train a vocabulary on"):
        train_tokenizer(lambda: ["", " "])


@pytest.mark.parametrize(("kind", "size"), [("wordpiece", 10), ("bpe", 100)])
def test_a_vocabulary_smaller_than_its_characters_is_an_error(kind: Vocabulary, size: int) -> None:
    with pytest.raises(
        InputError, match=f"a vocabulary of {size}: these texts have [0-9]+ characters and special"
    ):
        train_tokenizer(texts, kind, size=size)


def test_alphabets_have_names(tmp_path: Path) -> None:
    def sequences() -> Iterator[str]:
        yield "C[Na+] b"

    assert choose_alphabet("protein", sequences) == Alphabet.protein()
    assert choose_alphabet("dna", sequences) == Alphabet.dna()
    assert choose_alphabet("dna:3", sequences).splitting == Kmers(3)
    assert "[Na+]" in choose_alphabet("smiles", sequences).symbols
    assert choose_alphabet("characters", sequences).symbols[4:] == tuple(" +CN[]ab")
    assert choose_alphabet("words", sequences).symbols[4:] == ("C[Na+]", "b")
    Alphabet.dna().save(tmp_path / "mine.json")
    assert choose_alphabet(str(tmp_path / "mine.json"), sequences) == Alphabet.dna()


def test_an_unknown_alphabet_is_an_error_that_lists_them() -> None:
    with pytest.raises(ConfigError, match="alphabet 'proteins': expected one of smiles, protein,"):
        choose_alphabet("proteins", list)
