"""What is wrong with data is found at the first reading, with its place."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bothways.errors import DataFileError
from bothways.training.data.label_checks import KnownLabels
from bothways.training.data.source import DataSource
from bothways.training.data.survey import survey

OpenSource = Callable[..., DataSource]


def table(*rows: str) -> str:
    return "text,label\n" + "".join(f"{row}\n" for row in rows)


def test_classes_are_counted_in_a_head_s_order(open_source: OpenSource) -> None:
    found = survey(open_source("classify", table("a,y", "b,x", "c,y", "d,x", "e,y")))
    assert found.labels == ("x", "y")
    assert found.counts.tolist() == [2, 3]
    assert found.classes is not None
    assert found.classes.tolist() == [1, 0, 1, 0, 1]
    assert not found.multilabel
    assert found.num_rows == 5
    assert found.longest == 1


def test_the_order_of_a_head_s_labels_is_kept(open_source: OpenSource) -> None:
    source = open_source("classify", table("a,y", "b,x", "c,y", "d,x"))
    assert survey(source, preferred=("z", "y", "x")).labels == ("z", "y", "x")
    assert survey(source, preferred=("z", "y")).labels == ("x", "y")


def test_several_labels_are_counted(open_source: OpenSource) -> None:
    rows = [{"text": "a", "labels": ["p", "q"]}, {"text": "b", "labels": []},
            {"text": "c", "labels": ["q"]}]  # fmt: skip
    found = survey(open_source("classify", rows))
    assert (found.labels, found.counts.tolist(), found.multilabel) == (("p", "q"), [1, 2], True)
    assert found.classes is None
    found = survey(open_source("classify", table("a,p;q", "c,q")), separator=";")
    assert (found.labels, found.counts.tolist(), found.multilabel) == (("p", "q"), [1, 2], True)


def test_tags_are_counted_by_position(open_source: OpenSource) -> None:
    found = survey(open_source("tag", "a X\nb Y\n\nc X\n", "x.conll"))
    assert (found.labels, found.counts.tolist()) == (("X", "Y"), [2, 1])


def test_targets_have_their_columns_names(open_source: OpenSource) -> None:
    source = open_source("regress", "text,p,q\na,1,5\nb,2,6\n", labels=["p", "q"])
    assert survey(source).labels == ("p", "q")


@pytest.mark.parametrize(
    ("task", "content", "message"),
    [
        ("classify", table("a,x", "b,", "c,x"),
         r"row 2 \(line 3\), column 'label': the label is missing; add one, or remove the row"),
        ("classify", table("a,x", "b,x", "c,y"),
         r"row 3 \(line 4\), column 'label': only this row has the class 'y'; a class needs two"),
        ("classify", table("a,x", "b,x"), r"x\.csv: only one label, 'x'; training needs two"),
        ("classify", [{"text": "a", "label": 1}, {"text": "b", "label": "1"}],
         r"row 2, column 'label': the text '1', but x\.jsonl, row 1 has a number; all labels must"),
        ("classify", [{"text": "a", "label": "x"}, {"text": "b", "label": ["x"]}],
         "row 2, column 'label': a list of 1, but .* has a text"),
        ("classify", [{"text": "a", "label": 1.5}], "to predict numbers, use: bothways"),
        ("tag", "a X\nb X\n", "only one label, 'X'"),
        ("regress", "text,y\na,1\nb,x\n", r"row 2 \(line 3\), column 'y': expected a finite"),
        ("regress", "text,y\na,1\nb,\n", "column 'y': the label is missing"),
        ("regress", "text,y\na,1\nb,1\n", "column 'y': all values are 1; there is nothing to"),
        ("mlm", [{"x": [1, 2]}, {"x": [[1, 2]]}],
         "row 2: 2 channels, but the first row has 1"),
        ("mlm", [{"x": [1, 2]}, {"x": [1, float("nan")]}],
         "row 2, position 1: channel 0 is nan; expected a finite number: fill gaps first"),
    ],
)  # fmt: skip
def test_invalid_data_is_an_error_with_its_place(
    open_source: OpenSource, task: Any, content: Any, message: str
) -> None:
    name = "x.conll" if task == "tag" else None
    with pytest.raises(DataFileError, match=message):
        survey(open_source(task, content, name))


def test_rare_tags_and_rare_labels_of_several_are_allowed(open_source: OpenSource) -> None:
    assert survey(open_source("tag", "a X\nb Y\n", "x.conll")).counts.tolist() == [1, 1]
    rows = [{"text": "a", "label": ["p"]}, {"text": "b", "label": ["q"]}]
    assert survey(open_source("classify", rows)).counts.tolist() == [1, 1]


def test_validation_labels_must_be_known(open_source: OpenSource) -> None:
    source = open_source("classify", table("a,x", "b,z"))
    with pytest.raises(DataFileError, match=r"row 2 .*: the label 'z' is not in the training data"):
        survey(source, known=KnownLabels(labels=("x", "y")))
    found = survey(open_source("classify", table("a,x")), known=KnownLabels(labels=("w", "x")))
    assert (found.labels, found.counts.tolist()) == (("w", "x"), [0, 1])


def test_equal_sequences_have_equal_keys(open_source: OpenSource) -> None:
    keys = survey(open_source("classify", table("a,x", "b,x", "a,y", "c,y"))).keys
    assert keys.shape == (4, 1)
    assert keys[0] == keys[2]
    assert len(np.unique(keys)) == 3


def test_series_and_lists_have_keys_by_their_content(open_source: OpenSource) -> None:
    series = survey(open_source("mlm", [{"x": [1, 2]}, {"x": [2, 1]}, {"x": [1, 2]}])).keys
    assert series[0] == series[2] != series[1]
    symbols = survey(open_source("mlm", [{"x": ["ab", "c"]}, {"x": ["a", "bc"]}])).keys
    assert symbols[0] != symbols[1]


def test_groups_have_keys_by_their_name(open_source: OpenSource) -> None:
    source = open_source("contrast", "a,b,doc\np,q,1\nr,s,1\nt,u,2\n", group="doc")
    keys = survey(source).keys
    assert keys.shape == (3, 2)
    assert (keys[0] == keys[1]).all()
    assert (keys[0] != keys[2]).all()


def test_files_with_different_targets_are_refused(
    open_source: OpenSource, write: Callable[[str, Any], str]
) -> None:
    files = [write("a.csv", "text,y\na,1\n"), write("b.csv", "text,score\nb,2\n")]
    with pytest.raises(DataFileError, match="targets in 'score', but other files have 'y'"):
        survey(DataSource.open(files, "regress"))
