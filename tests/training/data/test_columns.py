"""Which columns are meant."""

from typing import Any

import pytest

from bothways.errors import DataFileError
from bothways.training.data.columns import DataColumns, choose_columns
from bothways.training.options.data import ColumnNames
from bothways.training.options.objective import TrainingTask


def chosen(task: TrainingTask, fields: dict[str, Any] | str, **names: Any) -> DataColumns:
    if isinstance(fields, str):
        fields = dict.fromkeys(fields.split(), "a value")
    return choose_columns(task, "x.csv", fields, ColumnNames(**names))


@pytest.mark.parametrize(
    ("task", "fields", "inputs", "labels"),
    [
        ("classify", "text label", ("text",), ("label",)),
        ("classify", "id sentence category", ("sentence",), ("category",)),
        ("classify", "Text Class", ("Text",), ("Class",)),
        ("classify", "text genre", ("text",), ("genre",)),
        ("regress", "name smiles y", ("smiles",), ("y",)),
        ("regress", "sequence half_life", ("sequence",), ("half_life",)),
        ("mlm", "text", ("text",), ()),
        ("mlm", "anything", ("anything",), ()),
    ],
)
def test_common_names_and_single_candidates_are_found(
    task: TrainingTask, fields: str, inputs: tuple[str, ...], labels: tuple[str, ...]
) -> None:
    columns = chosen(task, fields)
    assert (columns.inputs, columns.labels) == (inputs, labels)


def test_conll_lines_have_tokens_and_tags() -> None:
    fields = {"id": 3, "text": "a b", "tokens": ["a", "b"], "tags": ["X", "Y"]}
    assert chosen("tag", fields) == DataColumns(("tokens",), ("tags",))


def test_only_texts_and_lists_can_be_sequences() -> None:
    assert chosen("classify", {"id": 7, "x": [1.0], "y": "a"}).inputs == ("x",)
    with pytest.raises(DataFileError, match="no column can hold sequences"):
        chosen("mlm", {"id": 7})


def test_named_columns_are_used() -> None:
    columns = chosen("classify", "a b c", inputs=("a", "b"), labels=("c",))
    assert (columns.inputs, columns.labels) == (("a", "b"), ("c",))
    assert chosen("regress", "text p q", labels=("p", "q")).labels == ("p", "q")


@pytest.mark.parametrize(
    ("task", "fields", "names", "message"),
    [
        ("classify", "text a b", {}, "which column holds the labels? Name it with --label: "),
        ("regress", "text a b", {}, "the numbers to predict? Name it with --target: "),
        ("classify", "a b label", {}, "which column holds the sequences? Name it with --column"),
        ("classify", "text", {}, "has only 'text'; classify also needs a column of labels"),
        ("classify", "text", {"inputs": ("text",)}, "has only 'text'; classify also needs"),
        ("classify", "text label", {"labels": ("y",)}, "no column 'y'; the file has 'text', "),
        ("classify", "text label", {"group": "doc"}, "no column 'doc'"),
        ("mlm", "a b", {"inputs": ("a", "b")}, "2 input columns, 'a', 'b'; mlm accepts 1"),
        ("contrast", "a b c", {}, "which columns hold the pairs? Name the anchor"),
        ("contrast", "a b", {"inputs": ("a",)}, "contrast needs pairs; name two columns"),
    ],
)
def test_an_ambiguous_column_is_an_error(
    task: TrainingTask, fields: str, names: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataFileError, match=message.replace("?", r"\?")):
        chosen(task, fields, **names)


@pytest.mark.parametrize(
    ("fields", "pair"),
    [
        ("anchor positive negative", ("anchor", "positive")),
        ("id query passage hard_neg_1 negatives", ("query", "passage")),
        ("short long", ("short", "long")),
        ("sentence1 sentence2 score", ("sentence1", "sentence2")),
    ],
)
def test_pairs_are_found(fields: str, pair: tuple[str, str]) -> None:
    assert chosen("contrast", fields).inputs == pair


def test_negatives_are_found_by_name_in_each_row_or_given() -> None:
    row = dict.fromkeys(["anchor", "positive", "negative_1", "neg2", "note"], "")
    assert chosen("contrast", row).negative_columns({"negatives": ""}) == ("negatives",)
    assert chosen("contrast", row).negative_columns(row) == ("negative_1", "neg2")
    named = chosen("contrast", row, inputs=("anchor", "positive", "note"))
    assert named.negative_columns(row) == ("note",)
    assert chosen("contrast", row, inputs=("anchor", "note")).negative_columns(row) == ()


def test_only_needed_columns_are_read() -> None:
    row = dict.fromkeys(["id", "anchor", "positive", "negative", "doc"], "")
    columns = chosen("contrast", row, group="doc")
    assert columns.required(row) == ["anchor", "positive", "negative", "doc"]


def test_the_split_can_keep_files_together() -> None:
    assert chosen("classify", "text label", group="file").group == "file"


@pytest.mark.parametrize("column", ["score", "label", "is_duplicate", "Similarity"])
def test_a_column_that_scores_or_labels_pairs_is_found(column: str) -> None:
    row = {"sentence1": "a", "sentence2": "b", "id": 7, column: "1"}
    assert chosen("contrast", row).labels == (column,)
    assert chosen("contrast", row, pair_loss="in-batch").labels == ()
    assert chosen("contrast", row, labels=("id",)).labels == ("id",)


@pytest.mark.parametrize(
    ("row", "names", "message"),
    [
        ({"query": "a", "answer": "b", "gold": "0.3"}, {}, "does column 'gold' say how similar"),
        ({"query": "a", "answer": "b", "gold": 1}, {}, "use --loss in-batch"),
        ({"query": "a", "answer": "b"}, {"pair_loss": "cosine"}, "--loss cosine needs a column"),
        (
            {"query": "a", "answer": "b", "score": 1, "negative": "c"},
            {},
            "column 'negative' holds negatives, and column 'score' labels pairs",
        ),
        (
            {"query": "a", "answer": "b", "score": 1},
            {"labels": ("score",), "pair_loss": "in-batch"},
            "--loss in-batch does not use column 'score'",
        ),
    ],
)
def test_numbers_that_might_score_a_pair_are_never_ignored(
    row: dict[str, Any], names: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataFileError, match=message):
        chosen("contrast", row, **names)


def test_numbers_in_a_pair_itself_score_nothing() -> None:
    assert chosen("contrast", {"first": "12", "second": "13"}).labels == ()
    assert chosen("contrast", {"id": 3, "query": "12", "answer": "13"}).labels == ()
