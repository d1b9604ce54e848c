"""Texts and pairs: agreement with transformers, use from several threads, and errors."""

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from bothways.checkpoints.readers import open_folder_reader
from bothways.errors import CheckpointError, InputError
from bothways.model.config import EncoderConfig
from bothways.sequences.text import TextReader, _chunks

FOLDERS = ["bert_folder", "mpnet_folder", "roberta_folder", "minilm_folder"]

ENOUGH_SECONDS = 120
"""For what takes some ten seconds on a quiet core; a quadratic algorithm would take days."""

Config = Callable[..., EncoderConfig]


def word_reader(words: str = "[UNK] the river bank", **processor: Any) -> TextReader:
    """A reader of whole words."""
    vocabulary = {word: index for index, word in enumerate(words.split())}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    if processor:
        tokenizer.post_processor = processors.TemplateProcessing(**processor)
    return TextReader(tokenizer, vocab_size=100)


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest) -> Path:
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture
def reader(folder: Path, config_of: Config) -> TextReader:
    reader = open_folder_reader(folder, config_of())
    assert isinstance(reader, TextReader)
    return reader


@pytest.fixture(scope="module")
def minilm_reader(minilm_folder: Path) -> TextReader:
    config = EncoderConfig(
        num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=30522, num_segments=2
    )
    reader = open_folder_reader(minilm_folder, config)
    assert isinstance(reader, TextReader)
    return reader


def transformers_tokenizer(folder: Path) -> Any:
    return pytest.importorskip("transformers").AutoTokenizer.from_pretrained(folder)


def test_ids_and_spans_of_unusual_texts_agree_with_transformers(
    folder: Path, reader: TextReader, strange_texts: list[str]
) -> None:
    expected = transformers_tokenizer(folder)(strange_texts, return_offsets_mapping=True)
    for index, tokenized in enumerate(reader.read(strange_texts)):
        assert tokenized.values.tolist() == expected["input_ids"][index], strange_texts[index]
        assert tokenized.offsets is not None
        spans = [tuple(span) for span in tokenized.offsets.tolist()]
        assert spans == expected["offset_mapping"][index], strange_texts[index]


def test_pairs_agree_with_transformers(
    folder: Path, reader: TextReader, strange_texts: list[str]
) -> None:
    pairs = list(zip(strange_texts, reversed(strange_texts), strict=True))
    theirs = transformers_tokenizer(folder)
    expected = theirs([a for a, _ in pairs], [b for _, b in pairs], return_token_type_ids=True)
    for index, tokenized in enumerate(reader.read(pairs)):
        assert tokenized.values.tolist() == expected["input_ids"][index]
        assert tokenized.segments is not None
        assert tokenized.segments.tolist() == expected["token_type_ids"][index]


def test_a_model_without_segments_gets_none(bert_folder: Path, config_of: Config) -> None:
    reader = open_folder_reader(bert_folder, config_of(num_segments=0))
    assert reader is not None
    assert reader.read([("the", "river")])[0].segments is None


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=60))
def test_any_valid_text_can_be_read(minilm_reader: TextReader, text: str) -> None:
    (tokenized,) = minilm_reader.read([text])
    assert tokenized.values[0] == 101
    assert tokenized.values[-1] == 102
    assert tokenized.offsets is not None
    assert len(tokenized.tokens) == len(tokenized.offsets) == len(tokenized)
    assert ((tokenized.offsets >= 0) & (tokenized.offsets <= len(text))).all()


@settings(deadline=None)
@given(
    words=st.lists(st.sampled_from(["river", "bank", "the", "loan", "of", "a"]), max_size=12),
    prompt=st.sampled_from(["", "query: ", "the", "river "]),
)
def test_the_span_of_a_word_covers_the_word(
    minilm_reader: TextReader, words: list[str], prompt: str
) -> None:
    text = " ".join(words)
    if prompt and not prompt.endswith(" "):
        text = f" {text}"
    (tokenized,) = minilm_reader.read([text], prompt=prompt)
    assert tokenized.offsets is not None
    content = slice(tokenized.prefix + tokenized.prompt, len(tokenized) - tokenized.suffix)
    spans = tokenized.offsets[content].tolist()
    assert [text[start:end] for start, end in spans] == words == tokenized.tokens[content]
    assert not tokenized.offsets[: content.start].any()


def test_empty_text_and_whitespace_are_only_special_tokens(
    minilm_reader: TextReader,
) -> None:
    for tokenized in minilm_reader.read(["", " ", "\n\t\r ", "\x00", "\ufeff", "\u2028"]):
        assert tokenized.values.tolist() == [101, 102]
        assert tokenized.tokens == ["[CLS]", "[SEP]"]


def test_a_special_token_in_a_text_is_read_as_that_token(minilm_reader: TextReader) -> None:
    (tokenized,) = minilm_reader.read(["a [SEP] b"])
    assert tokenized.tokens == ["[CLS]", "a", "[SEP]", "b", "[SEP]"]
    assert tokenized.suffix == 1
    assert tokenized.offsets is not None
    assert tokenized.offsets[2].tolist() == [2, 7]


def test_a_byte_level_token_has_the_span_of_its_whole_character(
    roberta_folder: Path, config_of: Config
) -> None:
    reader = open_folder_reader(roberta_folder, config_of())
    assert reader is not None
    (tokenized,) = reader.read(["\U0010ffff"])  # four bytes, four tokens, one character
    assert tokenized.offsets is not None
    assert tokenized.offsets.tolist() == [[0, 0], *[[0, 1]] * (len(tokenized) - 2), [0, 0]]


def test_truncation_and_padding_in_the_file_are_ignored(minilm_reader: TextReader) -> None:
    short, long = minilm_reader.read(["river", "river " * 400])
    assert (len(short), len(long)) == (3, 402)


@pytest.mark.parametrize("prompt", ["", "query: ", "passage:", " ", "[SEP]", "the [MASK]"])
def test_the_length_of_a_prompt_agrees_with_sentence_transformers(
    minilm_folder: Path, minilm_reader: TextReader, prompt: str
) -> None:
    modules = pytest.importorskip("sentence_transformers.sentence_transformer.modules")
    theirs = modules.Transformer(str(minilm_folder))
    features = theirs.preprocess(["a river bank"], prompt=prompt)
    assert minilm_reader.prompt_length(prompt) == features.get("prompt_length", 0)
    (ours,) = minilm_reader.read(["a river bank"], prompt=prompt)
    assert ours.values.tolist() == features["input_ids"][0].tolist()


def test_a_prompt_is_added_before_the_first_text_of_a_pair(minilm_reader: TextReader) -> None:
    (tokenized,) = minilm_reader.read([("river", "bank")], prompt="query: ")
    assert tokenized.tokens == ["[CLS]", "query", ":", "river", "[SEP]", "bank", "[SEP]"]
    assert (tokenized.prompt, tokenized.first, tokenized.middle) == (2, 3, 1)
    assert tokenized.offsets is not None
    assert tokenized.offsets.tolist()[3:] == [[0, 5], [0, 0], [0, 4], [0, 0]]


def test_the_span_of_a_token_across_the_prompt_excludes_the_prompt(
    minilm_reader: TextReader,
) -> None:
    (tokenized,) = minilm_reader.read(["ver"], prompt="ri")
    assert tokenized.tokens == ["[CLS]", "river", "[SEP]"]
    assert tokenized.offsets is not None
    assert tokenized.offsets.tolist() == [[0, 0], [0, 3], [0, 0]]


def test_spans_refer_to_the_text_before_lowercasing(
    folder_of: Callable[..., Path], config_of: Config
) -> None:
    files = {
        "vocab.txt": "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nriver\ni\ni̇",
        "config.json": {"model_type": "bert"},
        "tokenizer_config.json": {"do_lower_case": False, "strip_accents": False},
    }
    exact = open_folder_reader(folder_of(files), config_of())
    lower = open_folder_reader(folder_of(files), config_of(), lowercase=True)
    assert exact is not None
    assert lower is not None
    text = "THE İ river"  # İ becomes two characters
    assert exact.read([text])[0].tokens == ["[CLS]", "[UNK]", "[UNK]", "river", "[SEP]"]
    (tokenized,) = lower.read([text])
    assert tokenized.tokens == ["[CLS]", "the", "i̇", "river", "[SEP]"]
    assert tokenized.offsets is not None
    assert tokenized.offsets.tolist() == [[0, 0], [0, 3], [4, 5], [6, 11], [0, 0]]


@pytest.mark.parametrize("lone", [chr(0xD800), chr(0xDFFF), chr(0xD83D) + chr(0xDE00)])
def test_a_lone_surrogate_is_refused_with_its_position(
    minilm_reader: TextReader, lone: str
) -> None:
    with pytest.raises(InputError, match=r"^sequence 1: character 6 of the text is U\+D[8F]") as e:
        minilm_reader.read(["fine", f"river {lone}"], prompt="query: ")
    assert e.value.sequence == 1
    with pytest.raises(InputError, match=r"^sequence 0: character 1 of the text"):
        minilm_reader.read([("a", f"b{lone}")])
    with pytest.raises(InputError, match=r"^character 0 of the prompt"):
        minilm_reader.read(["fine"], prompt=lone)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        (None, "None"),
        (3, "int"),
        (float("nan"), "float"),
        (b"river", "bytes; .*decode it"),
        (["river"], "list"),
        (["river", "bank"], "list"),
        (("a", "b", "c"), "tuple"),
        (("a", 1), "tuple"),
        ({"text": "river"}, "dict"),
    ],
)
def test_a_value_that_is_not_text_is_refused_with_its_index_and_type(
    minilm_reader: TextReader, wrong: Any, named: str
) -> None:
    with pytest.raises(InputError, match=f"^sequence 2: got {named.split(';')[0]}; expected a str"):
        minilm_reader.read(["river", "bank", wrong])


def test_the_failing_text_is_named_in_any_chunk(minilm_reader: TextReader) -> None:
    texts = ["river"] * 3000
    texts[2500] = "\udc00"
    with pytest.raises(InputError, match=r"^sequence 2500: character 0"):
        minilm_reader.read(texts)


def test_many_texts_are_read_in_order(minilm_reader: TextReader) -> None:
    texts = [str(number) for number in range(3000)] + ["long " * 300_000, "river"]
    read = minilm_reader.read(texts)
    assert len(read) == len(texts)
    for index in (0, 1023, 1024, 2999, 3000, 3001):
        assert read[index].values.tolist() == minilm_reader.read([texts[index]])[0].values.tolist()


def test_threads_can_share_a_reader(minilm_reader: TextReader, strange_texts: list[str]) -> None:
    expected = [tokenized.values.tolist() for tokenized in minilm_reader.read(strange_texts)]
    prompted = [t.values.tolist() for t in minilm_reader.read(strange_texts, prompt="query: ")]
    start = threading.Barrier(8)

    def read(number: int) -> bool:
        start.wait()
        prompt, wanted = ("query: ", prompted) if number % 2 else ("", expected)
        for _ in range(5):
            got = minilm_reader.read(strange_texts, prompt=prompt)
            if [t.values.tolist() for t in got] != wanted or got[0].offsets is None:
                return False
            minilm_reader.read([("a", "b")])
            minilm_reader.prompt_length(f"query {number}: ")
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(8)))


@pytest.mark.parametrize("text", ["the quick brown fox " * 500_000, "x" * 10_000_000])
def test_a_text_of_ten_megabytes_is_read_in_linear_time(
    minilm_reader: TextReader, text: str
) -> None:
    start = time.monotonic()
    (tokenized,) = minilm_reader.read([text])
    assert time.monotonic() - start < ENOUGH_SECONDS
    assert len(tokenized) == (2_000_002 if " " in text else 3)


def test_reading_many_texts_keeps_only_ids(minilm_reader: TextReader) -> None:
    tokenized = minilm_reader.read(["a river bank"])[0]
    held = sum(sys.getsizeof(value) for value in vars(tokenized).values())
    assert held < 1000  # bytes; the library's own account of a text is many times that


def test_saving_and_opening_gives_the_same_reader(
    reader: TextReader, strange_texts: list[str], tmp_path: Path, config_of: Config
) -> None:
    reader.save(tmp_path)
    again = open_folder_reader(tmp_path, config_of())
    assert again is not None
    assert again.kind == "text"
    for old, new in zip(reader.read(strange_texts), again.read(strange_texts), strict=True):
        assert old.values.tolist() == new.values.tolist()
        assert (old.prefix, old.suffix) == (new.prefix, new.suffix)


def test_without_special_tokens_the_empty_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"^sequence 1: has no tokens"):
        word_reader().read(["the river", ""])
    assert word_reader().read(["the"])[0].prefix == 0


def test_a_tokenizer_larger_than_the_embedding_is_refused(bert_folder: Path) -> None:
    with pytest.raises(CheckpointError, match=r"ids up to 3\d.*vocab_size is 20"):
        open_folder_reader(
            bert_folder,
            EncoderConfig(num_layers=1, num_heads=1, d_model=8, d_ff=8, vocab_size=20),
        )


def test_a_template_beyond_the_embedding_is_refused() -> None:
    with pytest.raises(CheckpointError, match="special tokens with ids up to 900"):
        word_reader(single="$A end", pair="$A $B end", special_tokens=[("end", 900)])


@pytest.mark.parametrize("single", ["$A $A", "begin", "$A begin $A"])
def test_a_template_that_does_not_keep_the_text_once_is_refused(single: str) -> None:
    with pytest.raises(CheckpointError, match=r"post_processor|does not work"):
        word_reader(single=single, pair="$A $B", special_tokens=[("begin", 1)])


def test_a_template_that_reorders_a_pair_is_refused_for_pairs() -> None:
    reader = word_reader(single="$A", pair="$B $A", special_tokens=[])
    assert reader.read(["the river"])[0].values.tolist() == [1, 2]
    with pytest.raises(CheckpointError, match="in order"):
        reader.read([("the", "river")])


def test_the_template_is_found_for_a_tokenizer_without_letters() -> None:
    tokenizer = Tokenizer(models.WordLevel({"river": 0, "bank": 1, "^": 2}))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="^ $A", pair="^ $A $B", special_tokens=[("^", 2)]
    )
    reader = TextReader(tokenizer, vocab_size=3)
    assert reader.read(["river"])[0].prefix == 1


def test_a_text_that_the_library_cannot_encode_is_named() -> None:
    reader = TextReader(Tokenizer(models.WordLevel({"river": 0})), vocab_size=3)
    with pytest.raises(InputError, match=r"^sequence 1: the tokenizer failed: .*Missing"):
        reader.read(["river", "xyz"])


def test_a_chunk_keeps_its_limit_of_characters_for_pairs_as_for_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bothways.sequences.text._CHUNK_CHARACTERS", 100)
    texts: list[str | tuple[str, str]] = [("a" * 30, "b" * 30)] * 5
    texts += ["a" * 60] * 3 + [("a" * 20, "b" * 20)] * 3 + ["a" * 150, "b"]
    chunks = list(_chunks(texts))
    assert [start for start, _ in chunks] == [0, *(stop for _, stop in chunks[:-1])]
    assert chunks[-1][1] == len(texts)
    for start, stop in chunks:
        assert sum(len("".join(text)) for text in texts[start:stop]) <= 100 or stop == start + 1
    assert [stop - start for start, stop in chunks] == [1, 1, 1, 1, 1, 1, 1, 2, 2, 1, 1]
