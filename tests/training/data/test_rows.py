"""A record becomes a row, or an error with its place."""

from collections.abc import Callable
from typing import Any

import pytest

from bothways.errors import DataFileError
from bothways.training.data.source import DataSource
from bothways.training.options.data import ColumnNames

OpenSource = Callable[..., DataSource]
Write = Callable[[str, Any], str]


def inputs(source: DataSource) -> list[tuple[Any, ...]]:
    return [row.inputs for row in source.rows()]


def labels(source: DataSource) -> list[tuple[Any, ...]]:
    return [row.labels for row in source.rows()]


def test_a_table_of_labeled_texts(open_source: OpenSource) -> None:
    source = open_source("classify", "label,text\nx,one\ny,two\n")
    assert source.kind == "text"
    assert inputs(source) == [("one",), ("two",)]
    assert labels(source) == [("x",), ("y",)]
    assert str(next(source.rows()).at_label()) == "x.csv, row 1 (line 2), column 'label'"


def test_pairs_of_texts_are_one_input(open_source: OpenSource) -> None:
    source = open_source("classify", "a,b,y\np,q,1\n", columns=["a", "b"], labels=["y"])
    assert inputs(source) == [(("p", "q"),)]


def test_several_targets(open_source: OpenSource) -> None:
    source = open_source("regress", "text,p,q\nx,1,2\n", labels=["p", "q"])
    assert labels(source) == [("1", "2")]


def test_symbols_with_a_tag_each(open_source: OpenSource) -> None:
    source = open_source("tag", "seq,ss\nMKT,HHE\n", kind="symbols", labels=["ss"])
    (row,) = source.rows()
    assert (row.inputs, row.labels) == (("MKT",), (["H", "H", "E"],))


def test_contrast_has_anchor_positive_and_negatives(open_source: OpenSource) -> None:
    rows = [
        {"anchor": "a", "positive": "p"},
        {"anchor": "b", "positive": "q", "negatives": ["m", "", "n"], "negative_2": "o"},
        {"anchor": "c", "positive": "r", "negative": None},
    ]
    expected = [("a", "p"), ("b", "q", "m", "n", "o"), ("c", "r")]
    assert inputs(open_source("contrast", rows)) == expected
    table = "query,answer,negative\na,p,\nb,q,n\n"
    assert inputs(open_source("contrast", table)) == [("a", "p"), ("b", "q", "n")]


@pytest.mark.parametrize(
    ("task", "content", "message"),
    [
        ("classify", "text,label\na,x\n,y\n", r"row 2 \(line 3\), column 'text': empty; fill"),
        ("classify", 'text,label\n" ",x\n', "column 'text': blank; fill in the value"),
        ("contrast", "a,b\nx,\n", r"row 1 \(line 2\), column 'b': empty"),
        ("contrast", [{"anchor": "a", "positive": None}], "expected a text, found null"),
        ("classify", [{"text": 3, "label": "a"}], "no column can hold sequences"),
        ("classify", [{"text": "a", "label": "x"}, {"text": 3, "label": "x"}],
         "row 2, column 'text': expected a text, found the number 3"),
        ("classify", [{"text": "a", "label": "x"}, {"label": "x"}],
         "row 2: no column 'text'; the file has 'label'"),
        ("tag", [{"tokens": ["a", "b"], "tags": ["X"]}],
         "row 1, column 'tags': 1 tags for 2 words in column 'tokens'; expected one tag per word"),
        ("tag", [{"tokens": ["a", 3], "tags": ["X", "Y"]}], "column 'tokens': word 1 is int"),
        ("tag", [{"tokens": ["a", ""], "tags": ["X", "Y"]}], "word 1 is empty; remove it together"),
        ("tag", [{"tokens": [], "tags": []}], "expected a list of words, found a list of 0"),
        ("tag", [{"tokens": ["a"], "tags": None}], "expected a list of tags, found null"),
    ],
)  # fmt: skip
def test_an_invalid_row_is_named(
    open_source: OpenSource, task: Any, content: Any, message: str
) -> None:
    with pytest.raises(DataFileError, match=message):
        list(open_source(task, content).rows())


def test_rows_have_the_group_of_the_split(write: Write) -> None:
    table = write("a.csv", "text,label,doc\na,x,7\n")
    by_column = DataSource.open([table], "classify", names=ColumnNames(group="doc"))
    assert [row.group for row in by_column.rows()] == ["7"]
    by_file = DataSource.open(
        [table], "classify", names=ColumnNames(labels=("label",), group="file")
    )
    assert [row.group for row in by_file.rows()] == ["a.csv"]
    conll = write("a.conll", "-DOCSTART- O\n\na X\n\n-DOCSTART- O\n\nb Y\n")
    by_document = DataSource.open([conll], "tag", names=ColumnNames(group="document"))
    assert len({row.group for row in by_document.rows()}) == 2
    by_nothing = DataSource.open([conll], "tag")
    assert {row.group for row in by_nothing.rows()} == {None}


def test_lists_that_pandas_printed_into_a_table_are_read_as_lists(open_source: OpenSource) -> None:
    table = "tokens,ner_tags\n\"['EU', 'rejects', 'it']\",\"['B-ORG', 'O', 'O']\"\na b,X Y\n"
    source = open_source("tag", table)
    assert (source.kind, inputs(source)) == ("text", [(["EU", "rejects", "it"],), (["a", "b"],)])
    assert labels(source) == [(["B-ORG", "O", "O"],), (["X", "Y"],)]
    numbered = open_source("tag", "words,tags\n\"['a' 'b']\",[3 0]\n")
    assert (inputs(numbered), labels(numbered)) == ([(["a", "b"],)], [(["3", "0"],)])
    pairs = open_source("contrast", "query,pos,neg\nq,\"['p', 'r']\",\"['n']\"\n")
    assert inputs(pairs) == [("q", "p", "n"), ("q", "r", "n")]


def test_printed_lists_show_the_kind_of_a_sequence(open_source: OpenSource) -> None:
    series = open_source("regress", 'series,target\n"[0.5, 1.5]",1\n')
    assert series.kind == "series"
    assert inputs(series)[0][0].tolist() == [[0.5], [1.5]]
    symbols = open_source("classify", "events,label\n\"['open', 'close']\",x\n")
    assert (symbols.kind, inputs(symbols)) == ("symbols", [(["open", "close"],)])
    assert open_source("classify", "text,label\n[1],x\n").kind == "text"


def test_a_printed_list_that_is_not_complete_is_an_error(open_source: OpenSource) -> None:
    source = open_source("tag", "words,tags\na b,\"['X', Y]\"\n")
    with pytest.raises(DataFileError, match=r"row 1 .*column 'tags'.*looks like a list"):
        list(source.rows())
