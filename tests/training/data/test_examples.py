"""Examples in flat arrays come back as they went in."""

import numpy as np
import pytest

from bothways.files.rows import Place
from bothways.training.data.dataset import IGNORED
from bothways.training.data.examples import ExampleWriter

PLACES = [Place("a.csv", 1, 2), Place("b.csv", 7, 7), Place("b.csv", 8)]


def test_ids_segments_and_places_come_back() -> None:
    writer = ExampleWriter("none", ["a.csv", "b.csv"], prefix=1, suffix=2)
    sequences = [np.array([1, 2, 3, 4]), np.array([5, 6, 7]), np.array([8, 9, 10, 11])]
    segments = [np.array([0, 0, 1, 1]), np.array([0, 0, 0]), np.array([0, 1, 1, 1])]
    for ids, segment, place in zip(sequences, segments, PLACES, strict=True):
        writer.add([ids], segment, None, place)
    examples = writer.finish()
    assert len(examples) == 3
    for i, example in enumerate(examples):
        (piece,) = example.sequences
        assert piece.values.dtype == np.int64
        assert np.array_equal(piece.values, sequences[i])
        assert piece.segments is not None
        assert np.array_equal(piece.segments, segments[i])
        assert piece.content == slice(1, len(sequences[i]) - 2)
        assert example.target is None
        assert example.place == str(PLACES[i])


def test_series_come_back_in_single_precision() -> None:
    writer = ExampleWriter("none", ["a.csv"], prefix=0, suffix=0, channels=2)
    series = np.array([[0.1, 2.0], [3.0, 4.0]])
    writer.add([series], None, None, PLACES[0])
    piece = writer.finish()[0].sequences[0]
    assert piece.values.dtype == np.float32
    assert np.array_equal(piece.values, series.astype(np.float32))
    assert piece.segments is None


def test_examples_may_have_any_number_of_sequences() -> None:
    writer = ExampleWriter("none", ["a.csv"], prefix=0, suffix=0)
    numbers = [[np.arange(n) for n in lengths] for lengths in ([2, 3], [1, 4, 5, 6], [7, 8])]
    for pieces in numbers:
        writer.add(pieces, None, None, PLACES[0])
    examples = writer.finish()
    assert [[len(p.values) for p in e.sequences] for e in examples] == [
        [2, 3],
        [1, 4, 5, 6],
        [7, 8],
    ]
    assert examples.to_dataset().lengths.tolist() == [5, 16, 15]
    assert [e.num_tokens for e in examples] == [5, 16, 15]


def test_targets_of_each_form_come_back() -> None:
    def target(form: object, value: object, num_targets: int = 1) -> np.ndarray:
        writer = ExampleWriter(form, ["a.csv"], prefix=0, suffix=0, num_targets=num_targets)  # type: ignore[arg-type]
        for _ in range(2):
            writer.add([np.arange(3)], None, np.array(value), PLACES[0])
        found = writer.finish()[1].target
        assert found is not None
        return found

    one = target("class", 7)
    assert (one.dtype, one.shape, int(one)) == (np.dtype(np.int64), (), 7)
    several = target("labels", [0.0, 1.0, 1.0], 3)
    assert (several.dtype, several.tolist()) == (np.dtype(np.float32), [0, 1, 1])
    values = target("values", [1.5, -2.0], 2)
    assert (values.dtype, values.tolist()) == (np.dtype(np.float32), [1.5, -2.0])
    tags = target("tags", [4, IGNORED, 5])
    assert (tags.dtype, tags.tolist()) == (np.dtype(np.int64), [4, IGNORED, 5])


def test_examples_are_a_sequence() -> None:
    writer = ExampleWriter("class", ["a.csv"], prefix=0, suffix=0)
    for n in range(1, 6):
        writer.add([np.arange(n)], None, np.array(n), PLACES[0])
    examples = writer.finish()
    assert examples[-1].num_tokens == 5
    assert [e.num_tokens for e in examples[1:4:2]] == [2, 4]
    with pytest.raises(IndexError, match="example 5 of 5"):
        examples[5]


def test_a_short_line_takes_few_bytes() -> None:
    writer = ExampleWriter("none", ["a.txt"], prefix=1, suffix=1)
    ids = np.arange(10)
    for row in range(1000):
        writer.add([ids], None, None, Place("a.txt", row))
    examples = writer.finish()
    stored = sum(array.nbytes for array in vars(examples).values() if isinstance(array, np.ndarray))
    assert stored / 1000 < 4 * 10 + 8 + 8 + 12 + 1  # ids, two ends, a place; and the first ends
