"""Data frames, tables, columns and arrays of texts in the place of a list of sequences."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.inference.conftest import MakeModel

import bothways
from bothways import Encoder, EncoderConfig
from bothways.errors import InputError
from bothways.inference.containers import is_table, rows_of
from bothways.model.heads import Head, HeadLayer
from bothways.sequences import Series, SeriesReader

TEXTS = ["a river", "the bank"]
SECOND = ["a loan", "the shore"]
LIBRARIES = ("pandas", "polars", "pyarrow")

HEADS = (
    Head(
        task="classes",
        layers=(HeadLayer(name="heads.classifier", outputs=2),),
        pooling="mean",
        labels=("no", "yes"),
    ),
    Head(
        task="values",
        layers=(HeadLayer(name="heads.values", outputs=1),),
        pooling="mean",
        labels=("score",),
    ),
)


@pytest.fixture
def encoder(make_model: MakeModel) -> Encoder:
    return bothways.load(make_model(*HEADS))


@pytest.fixture
def series_encoder(tmp_path: Path) -> Encoder:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=16, input="vectors", num_channels=2
    )
    reader = SeriesReader(Series.as_is(2))
    return bothways.load(bothways.create(tmp_path / "series", config, reader))


@pytest.fixture(params=LIBRARIES)
def table_of(request: pytest.FixtureRequest) -> Callable[[dict[str, list[Any]]], Any]:
    """A function that makes a table of one library from its columns."""
    library = pytest.importorskip(request.param, reason=f"{request.param} is not installed")
    return library.table if request.param == "pyarrow" else library.DataFrame  # type: ignore[no-any-return]


TableOf = Callable[[dict[str, list[Any]]], Any]


def test_a_table_of_one_column_holds_its_texts(encoder: Encoder, table_of: TableOf) -> None:
    table = table_of({"text": TEXTS})
    np.testing.assert_array_equal(encoder.encode(table), encoder.encode(TEXTS))
    np.testing.assert_array_equal(
        encoder.encode_detailed(table).num_tokens, encoder.encode_detailed(TEXTS).num_tokens
    )


def test_a_column_of_a_table_holds_its_texts(encoder: Encoder, table_of: TableOf) -> None:
    column = table_of({"text": TEXTS, "label": [0, 1]})["text"]
    np.testing.assert_array_equal(encoder.encode(column), encoder.encode(TEXTS))


COLUMNS: dict[str, Callable[[Any, list[str | None]], Any]] = {
    "pandas categories": lambda pd, texts: pd.Series(pd.Categorical(texts)),
    "pandas arrow strings": lambda pd, texts: pd.Series(texts, dtype="string"),
    "pandas index": lambda pd, texts: pd.Index(texts),
    "polars categories": lambda pl, texts: pl.Series(texts, dtype=pl.Categorical),
    "polars enum": lambda pl, texts: pl.Series(texts, dtype=pl.Enum(TEXTS)),
    "pyarrow large strings": lambda pa, texts: pa.array(texts, pa.large_string()),
    "pyarrow string views": lambda pa, texts: pa.array(texts, pa.string_view()),
    "pyarrow dictionary": lambda pa, texts: pa.chunked_array([pa.array(texts).dictionary_encode()]),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_every_kind_of_column_of_texts_is_read(encoder: Encoder, kind: str) -> None:
    name = kind.split()[0]
    library = pytest.importorskip(name, reason=f"{name} is not installed")
    column = COLUMNS[kind](library, [*TEXTS])
    np.testing.assert_array_equal(encoder.encode(column), encoder.encode(TEXTS))
    with pytest.raises(InputError, match=r"sequence 1: got (None|nan|<NA>), a missing value"):
        encoder.encode(COLUMNS[kind](library, [TEXTS[0], None]))


def test_two_columns_are_pairs_for_heads_that_read_pairs(
    encoder: Encoder, table_of: TableOf
) -> None:
    table = table_of({"first": TEXTS, "second": SECOND})
    pairs = list(zip(TEXTS, SECOND, strict=True))
    np.testing.assert_array_equal(encoder.predict(table), encoder.predict(pairs))
    np.testing.assert_array_equal(
        encoder.classify(table).probabilities, encoder.classify(pairs).probabilities
    )


def test_encode_refuses_two_columns_with_their_names(encoder: Encoder, table_of: TableOf) -> None:
    table = table_of({"first": TEXTS, "second": SECOND})
    for method in (encoder.encode, encoder.encode_detailed, encoder.contextualize):
        with pytest.raises(
            InputError, match="table of 2 columns \\('first', 'second'\\); pass one"
        ):
            method(table)


def test_three_columns_are_refused_everywhere(encoder: Encoder, table_of: TableOf) -> None:
    table = table_of({"id": [1, 2], "first": TEXTS, "second": SECOND})
    with pytest.raises(InputError, match=r"3 columns .*for pairs"):
        encoder.predict(table)


def test_a_missing_value_is_named_by_its_row(encoder: Encoder, table_of: TableOf) -> None:
    with pytest.raises(InputError, match=r"sequence 1: got (None|nan), a missing value"):
        encoder.encode(table_of({"text": ["a river", None]}))
    with pytest.raises(InputError, match=r"sequence 1: got (None|nan), a missing value"):
        encoder.predict(table_of({"first": TEXTS, "second": ["a loan", None]}))


def test_documents_to_rerank_may_be_a_column(encoder: Encoder, table_of: TableOf) -> None:
    expected = encoder.rerank("a river", SECOND).scores
    table = table_of({"text": SECOND})
    np.testing.assert_array_equal(encoder.rerank("a river", table).scores, expected)
    np.testing.assert_array_equal(encoder.rerank("a river", table["text"]).scores, expected)


def test_a_table_of_numbers_is_one_series(series_encoder: Encoder, table_of: TableOf) -> None:
    values = np.arange(6, dtype=np.float64).reshape(3, 2)
    table = table_of({"x": values[:, 0].tolist(), "y": [0.1, 0.3, 0.5]})
    values[:, 1] = [0.1, 0.3, 0.5]
    expected = series_encoder.encode(values)
    assert expected.ndim == 1
    np.testing.assert_array_equal(series_encoder.encode(table), expected)
    np.testing.assert_array_equal(series_encoder.encode([table, table])[1], expected)


def test_a_series_with_a_gap_is_refused(series_encoder: Encoder, table_of: TableOf) -> None:
    with pytest.raises(InputError, match=r"position 1, channel 1: nan|column 'y' has missing"):
        series_encoder.encode(table_of({"x": [1.0, 2.0], "y": [1.0, None]}))
    with pytest.raises(InputError, match="column 'y' has"):
        series_encoder.encode(table_of({"x": [1.0, 2.0], "y": ["low", "high"]}))


def test_lists_in_a_column_are_ids(encoder: Encoder, table_of: TableOf) -> None:
    table = table_of({"ids": [[2, 5, 3], [2, 6, 7, 3]]})
    expected = encoder.encode([[2, 5, 3], [2, 6, 7, 3]])
    np.testing.assert_array_equal(encoder.encode(table), expected)


def test_pyarrow_arrays_are_columns(encoder: Encoder) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    np.testing.assert_array_equal(encoder.encode(pyarrow.array(TEXTS)), encoder.encode(TEXTS))
    lists = pyarrow.array([[2, 5, 3]])
    np.testing.assert_array_equal(encoder.encode(lists), encoder.encode([[2, 5, 3]]))


def test_torch_tensors_are_ids_and_series(encoder: Encoder, series_encoder: Encoder) -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    ids = [2, 5, 6, 3]
    np.testing.assert_array_equal(encoder.encode(torch.tensor(ids)), encoder.encode([ids])[0])
    np.testing.assert_array_equal(encoder.encode([torch.tensor(ids)]), encoder.encode([ids]))
    series = torch.arange(6.0, requires_grad=True).reshape(3, 2)
    expected = series_encoder.encode(np.arange(6.0).reshape(3, 2))
    np.testing.assert_array_equal(series_encoder.encode(series), expected)


@pytest.mark.parametrize("dtype", ["U", "O", np.dtypes.StringDType()], ids=str)
def test_arrays_of_strings_hold_texts(encoder: Encoder, dtype: Any) -> None:
    array = np.array(TEXTS, dtype=dtype)
    np.testing.assert_array_equal(encoder.encode(array), encoder.encode(TEXTS))
    np.testing.assert_array_equal(encoder.encode(array[:, None]), encoder.encode(TEXTS))
    pairs = np.stack([array, array], axis=1)
    np.testing.assert_array_equal(
        encoder.predict(pairs), encoder.predict([(text, text) for text in TEXTS])
    )
    with pytest.raises(InputError, match=r"shape \(2, 2\); expected shape \(n,\): pass one column"):
        encoder.encode(pairs)


def test_a_masked_text_is_missing(encoder: Encoder) -> None:
    masked: Any = np.ma.array(TEXTS, mask=[False, True])
    with pytest.raises(InputError, match="sequence 1: got None, a missing value"):
        encoder.encode(masked)


@pytest.mark.parametrize("missing", [None, float("nan"), np.float32("nan")], ids=str)
def test_a_missing_value_in_a_list_is_named(encoder: Encoder, missing: Any) -> None:
    with pytest.raises(InputError, match=r"sequence 1: got (None|nan), a missing value"):
        encoder.encode(["a river", missing])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"text": TEXTS}, "got a dict with the keys 'text'; .*data\\['text'\\]"),
        (b"a river", "got bytes; expected a str: decode it first"),
        (Path("rivers.txt"), "got the path rivers.txt; .*read the file first"),
        ({"a river"}, "got a set, which has no order; pass a list"),
        (7, "got int; expected a sequence, or an iterable"),
        (None, "got None; expected a sequence, or an iterable"),
        (np.array("a river"), "got <U7 array of shape \\(\\); expected a sequence"),
    ],
    ids=["dict", "bytes", "path", "set", "int", "none", "0-d array"],
)
@pytest.mark.parametrize(
    "method", ["encode", "encode_detailed", "contextualize", "classify", "predict"]
)
def test_what_contains_no_sequences_is_refused(
    encoder: Encoder, method: str, value: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        getattr(encoder, method)(value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (b"a river", "sequence 1: got bytes; .*decode it first"),
        (Path("rivers.txt"), "sequence 1: got (Posix|Windows)Path; expected a str"),
        ({"text": "a river"}, "sequence 1: got dict; expected a str"),
    ],
    ids=["bytes", "path", "dict"],
)
def test_an_item_that_is_no_text_is_named(encoder: Encoder, value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoder.encode(["a river", value])


def test_a_generator_and_the_values_of_a_dict_are_accepted(encoder: Encoder) -> None:
    expected = encoder.encode(TEXTS)
    np.testing.assert_array_equal(encoder.encode(text for text in TEXTS), expected)
    np.testing.assert_array_equal(encoder.encode(iter(TEXTS)), expected)
    np.testing.assert_array_equal(encoder.encode({0: TEXTS[0], 1: TEXTS[1]}.values()), expected)


def test_rerank_refuses_a_single_document_and_a_list_of_queries(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="documents: got a single text; expected a list"):
        encoder.rerank("a river", "the bank")
    with pytest.raises(InputError, match="query: got list; expected a str"):
        encoder.rerank(["a river"], TEXTS)  # type: ignore[arg-type]


def test_a_table_is_recognized_by_its_interface() -> None:
    class Columns:
        """As `datasets.Dataset` has it: names, and a column for each."""

        column_names = ("text",)

        def __iter__(self) -> Any:
            return iter([{"text": text} for text in TEXTS])

        def __getitem__(self, name: str) -> list[str]:
            assert name == "text"
            return TEXTS

    assert is_table(Columns())
    assert rows_of(Columns(), None, pairs=False) == TEXTS
    assert not is_table(TEXTS)
    assert not is_table(np.zeros((2, 2)))


def test_columns_with_the_same_name_are_two_columns(encoder: Encoder) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    table = pandas.DataFrame(list(zip(TEXTS, SECOND, strict=True)), columns=["text", "text"])
    pairs = list(zip(TEXTS, SECOND, strict=True))
    np.testing.assert_array_equal(encoder.predict(table), encoder.predict(pairs))


def test_a_lazy_frame_is_to_be_collected_first(encoder: Encoder) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    with pytest.raises(InputError, match="got a LazyFrame; collect it"):
        encoder.encode(polars.LazyFrame({"text": TEXTS}))


def test_arrays_and_scalars_of_pyarrow_are_read_as_their_values(
    encoder: Encoder, series_encoder: Encoder
) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    expected = encoder.encode(TEXTS)
    for texts in (
        pyarrow.chunked_array([TEXTS[:1], TEXTS[1:]]),
        pyarrow.array(TEXTS).dictionary_encode(),
        list(pyarrow.array(TEXTS)),
    ):
        np.testing.assert_array_equal(encoder.encode(texts), expected)
    ids = [[2, 5, 3], [2, 6, 7, 3]]
    for columns in (pyarrow.chunked_array([ids]), [pyarrow.array(row) for row in ids]):
        np.testing.assert_array_equal(encoder.encode(columns), encoder.encode(ids))
    series = np.arange(12.0).reshape(2, 3, 2)
    for values in (
        pyarrow.array(series.tolist()),
        pyarrow.FixedShapeTensorArray.from_numpy_ndarray(series),
    ):
        np.testing.assert_array_equal(series_encoder.encode(values), series_encoder.encode(series))
    one = series_encoder.encode(pyarrow.Tensor.from_numpy(series[0]))
    np.testing.assert_array_equal(one, series_encoder.encode(series[0]))


def test_tables_in_a_list_are_series(series_encoder: Encoder, table_of: TableOf) -> None:
    columns: list[dict[str, list[Any]]] = [
        {"x": [1.0, 2.0, 3.0], "y": [0.0, 0.5, 1.0]},
        {"x": [4], "y": [5]},
    ]
    expected = series_encoder.encode([np.array(list(c.values())).T for c in columns])
    tables = [table_of(c) for c in columns]
    np.testing.assert_array_equal(series_encoder.encode(tables), expected)
    np.testing.assert_array_equal(series_encoder.encode(iter(tables)), expected)
    with pytest.raises(InputError, match="sequence 1: column 'y' has missing values or values"):
        series_encoder.encode([tables[0], table_of({"x": [1.0], "y": ["z"]})])


def test_an_array_of_whole_numbers_is_one_series(series_encoder: Encoder) -> None:
    series = np.arange(6).reshape(3, 2)
    vector = series_encoder.encode(series)
    np.testing.assert_array_equal(vector, series_encoder.encode(series.astype(float)))
    assert vector.shape == (8,)


@pytest.mark.parametrize("series", [np.zeros((2, 5)), np.zeros((1, 2, 5)), [np.zeros((2, 5))]])
def test_channels_before_positions_are_recognized(series_encoder: Encoder, series: Any) -> None:
    with pytest.raises(InputError, match=r"sequence 0: shape \(2, 5\); .*transpose it"):
        series_encoder.encode(series)


def test_padded_batches_of_ids_are_refused(encoder: Encoder) -> None:
    """[PAD] has id 0."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    padded = [[2, 5, 6, 3], [2, 5, 3, 0]]
    for batch in (padded, np.array(padded), torch.tensor(padded), torch.tensor(padded)[1:]):
        with pytest.raises(InputError, match=r"sequence \d: ends with the padding token '\[PAD\]'"):
            encoder.encode(batch)
    without = [[2, 5, 0, 3], [2, 5, 6, 3]]
    np.testing.assert_array_equal(
        encoder.encode(torch.tensor(without)), encoder.encode(np.array(without))
    )
