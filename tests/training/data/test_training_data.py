"""The data of a run: both sides of the split, and where they came from."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from bothways.errors import DataFileError
from bothways.sequences import Alphabet, SymbolReader
from bothways.sequences.text import TextReader
from bothways.training.data.training_data import TrainingData
from bothways.training.options.data import DataOptions
from bothways.training.setup.vocabulary import train_tokenizer

Write = Callable[[str, Any], str]

ROWS = "text,label\n" + "".join(f"row {i},{'xy'[i % 2]}\n" for i in range(20))
READER = SymbolReader(Alphabet.from_sequences([ROWS]))


def read(*files: str, task: Any = "classify", **options: Any) -> TrainingData:
    return TrainingData.read(task, files, DataOptions(**options), kind=None, seed=0)


def test_part_of_the_data_is_held_out(write: Write) -> None:
    data = read(write("x.csv", ROWS), held_out=0.2)
    assert (data.num_training, data.num_held_out) == (16, 4)
    examples = data.tokenize(READER, 64)
    assert (len(examples.train), len(examples.validation or ())) == (16, 4)
    assert set(data.validation_texts().values()) < {f"row {i}" for i in range(20)}
    assert len(data.validation_texts()) == 4


def test_a_run_without_held_out_data_has_a_report(write: Write) -> None:
    data = read(write("x.csv", ROWS), held_out=0.0)
    assert data.num_held_out == 0
    assert data.tokenize(READER, 64).validation is None


def test_validation_files_replace_held_out_rows(write: Write) -> None:
    other = write("v.csv", "text,label\nrow 0,x\nnew,y\n")
    data = read(write("x.csv", ROWS), validation=(other,))
    assert (data.num_training, data.num_held_out, data.shared) == (20, 2, 1)
    examples = data.tokenize(READER, 64)
    assert examples.validation is not None
    assert [example.place for example in examples.validation] == [
        "v.csv, row 1 (line 2)",
        "v.csv, row 2 (line 3)",
    ]
    assert data.validation_texts() == {("v.csv", 1): "row 0", ("v.csv", 2): "new"}


def test_validation_files_need_no_group_column(write: Write) -> None:
    train = write("x.csv", "text,label,doc\na,x,1\nb,y,1\nc,x,1\nd,y,1\n")
    other = write("v.csv", "text,label\na,x\n")
    names = {"columns": ("text",), "labels": ("label",)}
    assert read(train, validation=(other,), split_by="doc", **names).num_held_out == 1


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        (ROWS, "text,label\na,z\n", "v.csv, row 1 .*: the label 'z' is not in the training data"),
        (ROWS, 'text,label\na,"[""x""]"\n', "training and validation data must both have"),
    ],
)
def test_validation_files_must_be_consistent_with_training_files(
    write: Write, train: str, validation: str, message: str
) -> None:
    with pytest.raises(DataFileError, match=message):
        read(write("x.csv", train), validation=(write("v.csv", validation),))


def test_validation_series_need_the_same_number_of_channels(write: Write) -> None:
    files = [write(f"{n}.jsonl", [{"x": [[1.0] * n]}, {"x": [[2.0] * n]}]) for n in (1, 2)]
    with pytest.raises(DataFileError, match="2 channels, but the training data"):
        read(files[0], task="mlm", validation=(files[1],))


def test_a_vocabulary_is_built_from_training_rows_only(write: Write) -> None:
    data = read(write("x.csv", ROWS), held_out=0.2)
    seen = list(data.sequences())
    assert len(seen) == 16
    assert not set(seen) & set(data.validation_texts().values())


def test_a_vocabulary_gets_pairs_and_words_as_texts(write: Write) -> None:
    pairs = write("p.csv", "a,b\np,q\nr,s\n")
    assert list(read(pairs, task="contrast", held_out=0.0).sequences()) == ["p", "q", "r", "s"]
    words = write("t.conll", "a X\nb Y\n\nc X\n")
    assert list(read(words, task="tag", held_out=0.0).sequences()) == ["a b", "c"]


def test_provenance_has_names_and_hashes_of_all_files(write: Write) -> None:
    other = write("v.csv", "text,label\na,x\n")
    provenance = read(write("x.csv", ROWS), validation=(other,)).provenance()
    assert provenance == {
        "files": [
            {
                "name": "x.csv",
                "bytes": len(ROWS),
                "sha256": hashlib.sha256(ROWS.encode()).hexdigest(),
            }
        ],
        "validation": [
            {"name": "v.csv", "bytes": 15, "sha256": provenance["validation"][0]["sha256"]}
        ],
        "rows": 20,
        "held_out": 1,
    }


def test_data_without_training_examples_is_an_error(write: Write) -> None:
    data = read(write("x.jsonl", [{"text": "\u0000"}]), task="mlm", held_out=0.0)
    tokenizer = train_tokenizer(lambda: ["a b"])
    reader = TextReader(tokenizer, vocab_size=tokenizer.get_vocab_size())
    with pytest.raises(DataFileError, match="no row contains a training example"):
        data.tokenize(reader, 64)
