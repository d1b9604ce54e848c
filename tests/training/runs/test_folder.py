import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bothways.checkpoints import read_folder
from bothways.errors import DataFileError
from bothways.training.runs.folder import RunFolder, first_difference, trained_model

MakeRun = Callable[..., Any]


def test_the_first_difference_is_named_with_both_values() -> None:
    was = {"a": 1, "b": {"c": [1, 2], "d": "x"}}
    assert first_difference(was, json.loads(json.dumps(was)), "") is None
    assert first_difference(was, {**was, "b": {"c": [1, 3], "d": "x"}}, "") == (
        "b.c",
        [1, 2],
        [1, 3],
    )
    assert first_difference(was, {"a": 1}, "") == ("b", was["b"], None)
    assert first_difference({}, {"a": 0}, "") == ("a", None, 0)


def test_the_folder_gets_the_weights_in_the_objective_s_units(tiny_run: MakeRun) -> None:
    run = tiny_run()
    weights = run.build_model().to_weights()
    run.objective.to_folder = lambda given: {
        name: 2 * array if name.startswith("heads.") else array for name, array in given.items()
    }
    folder = trained_model(weights, run.objective, run.make_template())
    assert folder.head_weights.keys() == {"heads.classifier.weight", "heads.classifier.bias"}
    name = "heads.classifier.weight"
    assert np.array_equal(folder.head_weights[name], 2 * weights[name])
    assert len(folder.weights) + len(folder.head_weights) == len(weights)


def test_the_files_of_the_reader_are_copied(tiny_run: MakeRun, tmp_path: Path) -> None:
    run = tiny_run()
    template = run.make_template()
    (template.reader_path / "vocab.txt").write_text("a\nb\n")
    folder = RunFolder(run.out)
    folder.begin({"settings": {}, "bound": {}})
    weights = run.build_model().to_weights()
    folder.save_best_weights(weights, run.objective, template)
    assert (run.out / "vocab.txt").read_text() == "a\nb\n"
    assert read_folder(run.out).config == template.config
    kept = folder.load_best_weights()
    assert all(np.array_equal(kept[name], array) for name, array in weights.items())


def test_a_run_does_not_start_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataFileError, match=r"file/run: writing failed: Not a directory"):
        RunFolder(tmp_path / "file" / "run").begin({})
