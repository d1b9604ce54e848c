"""Measure what the plain training command reaches on small data sets, beside simple models.

Each data set of `defaults_data.py` is trained as `bothways train TASK train.jsonl` does, with no
option but the alphabet of symbols, from several seeds; text also with `--from minilm`, which the
documentation recommends for it, and which counts for text. The test rows choose nothing: the
command holds out a tenth of the training rows for its own choices. The simple models are those of
the report of `bothways train` (`bothways.training.simple_models`), fitted to all training rows and
chosen by cross-validation on them; with `--from minilm`, the linear probe on vectors of minilm is
one of them. Models are compared on the test rows, over rows and seeds.

    python benchmarks/defaults.py --jobs 2
    python benchmarks/defaults.py --sets digits coffee --seeds 1 --set model.architecture=modern

With the default settings, results are written to results/defaults/results.json and table.md after
each data set, and those that are there already are kept. `results/defaults/README.md` says what
was tried.
"""

import argparse
import json
import os
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import bothways
from bothways.training import TrainingPlan, train
from bothways.training.simple_models import candidates
from bothways.training.simple_models.fitting import fit
from bothways.training.simple_models.scores import (
    RowScores,
    compare_over_seeds,
    interval_over_seeds,
)
from defaults_data import DATA_SETS, DataSet, Rows, load_rows, write_rows
from record import RESULTS, describe_run

FOLDER = RESULTS / "defaults"
PRETRAINED = "minilm"
"""What the documentation recommends to start from for text."""

Tables = dict[str, dict[str, Any]]


def measure(
    set_name: str,
    source: str | None,
    seeds: Sequence[int],
    tables: Tables,
    max_rows: int | None = None,
) -> dict[str, Any]:
    """Train the plain command and the simple models on one data set, and score its test rows.

    source: the model to start from; None for a new one.
    """
    data = DATA_SETS[set_name]
    train_rows, test_rows = load_rows(data)
    train_rows = train_rows[:max_rows]
    scores, seconds, architecture = [], [], ""
    for seed in seeds:
        start = time.perf_counter()
        predicted, architecture = _train(data, train_rows, test_rows, seed, tables, source)
        seconds.append(round(time.perf_counter() - start, 1))
        scores.append(_score(data, predicted, test_rows))
    start = time.perf_counter()
    name, simple = _fit_simple(data, train_rows, test_rows, source)
    difference = compare_over_seeds(scores, [simple])
    return {
        "set": data.name,
        "from": source,
        "counts": not data.looked_at and (data.kind == "text") == (source is not None),
        "looked_at": data.looked_at,
        "kind": data.kind,
        "task": data.task,
        "aligned": data.aligned,
        "train_rows": len(train_rows),
        "test_rows": len(test_rows),
        "metric": simple.metric,
        "seeds": list(seeds),
        "encoder": architecture,
        "scores": [round(each.value, 4) for each in scores],
        "interval": _rounded(interval_over_seeds(scores)),
        "seconds": seconds,
        "simple_model": name,
        "simple_score": round(simple.value, 4),
        "simple_interval": _rounded(simple.interval()),
        "simple_seconds": round(time.perf_counter() - start, 1),
        "difference": _rounded(difference.interval),
        "outcome": difference.outcome,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def _train(
    data: DataSet,
    train_rows: Rows,
    test_rows: Rows,
    seed: int,
    tables: Tables,
    source: str | None = None,
) -> tuple[Any, str]:
    """Predictions for the test rows by the plain command, and a description of the encoder."""
    model = {"alphabet": data.alphabet} if data.alphabet else {}
    if source is not None:
        model["from"] = source
    merged: Tables = {
        "data": {"columns": ["x"], "labels": ["y"]},
        "model": model | tables.get("model", {}),
        "encoder": tables.get("encoder", {}),
        "objective": tables.get("objective", {}),
        "training": {"seed": seed, "simple_models": False} | tables.get("training", {}),
    }
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of truncation
        file = Path(folder) / "train.jsonl"
        write_rows(train_rows, file)
        out = Path(folder) / "run"
        train(TrainingPlan.from_tables(data.task, [str(file)], str(out), merged))
        encoder = bothways.load(out)
        inputs = [_input(data, sequence) for sequence, _ in test_rows]
        config = encoder.config
        name = f"{config.num_layers} layers of width {config.d_model}"
        if data.task == "classify":
            return encoder.classify(inputs).labels, name
        return encoder.predict(inputs), name


def _fit_simple(
    data: DataSet, train_rows: Rows, test_rows: Rows, source: str | None = None
) -> tuple[str, RowScores]:
    inputs = [_simple_input(data, sequence) for sequence, _ in train_rows]
    test = [_simple_input(data, sequence) for sequence, _ in test_rows]
    names = sorted({label for _, label in train_rows}) if data.task == "classify" else []
    if data.task == "classify":
        target = np.array([names.index(label) for _, label in train_rows])
        form: candidates.Target = "class"
    else:
        target = np.array([[label] for _, label in train_rows])
        form = "values"
    match data.kind:
        case "text":
            models = list(candidates.of_texts(form, max(len(names), 1)))
        case "symbols":
            models = list(candidates.of_symbols(form, max(len(names), 1), [*inputs, *test]))
        case "series":
            models = list(candidates.of_series(form, [*inputs, *test]))
    fitted = [fit(models, inputs, target, test, always_score=source is not None)]
    if source is not None:
        vectors, test_vectors = _vectors(source, inputs), _vectors(source, test)
        probes = list(candidates.of_vectors(form))
        fitted.append(fit(probes, vectors, target, test_vectors, always_score=True))
    scored = [each for each in fitted if each is not None]
    if not scored:
        raise ValueError(f"{data.name}: no features for a simple model")
    chosen, _ = max(scored, key=lambda each: each[1])
    predicted = chosen.predicted
    if data.task == "classify":
        predicted = np.array([names[index] for index in predicted.tolist()])
    return chosen.name, _score(data, predicted, test_rows)


def _vectors(source: str, texts: Sequence[str]) -> list[np.ndarray]:
    """Vectors of a frozen encoder, as the head of the trained model gets them at first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of truncation
        return list(bothways.load(source, threads=1).encode(texts, pooling="mean", normalize=False))


def _score(data: DataSet, predicted: Any, test_rows: Rows) -> RowScores:
    labels = [label for _, label in test_rows]
    if data.task == "classify":
        return RowScores.of_classes(np.array(predicted), np.array(labels))
    return RowScores.of_values(np.reshape(predicted, (-1, 1)), np.array(labels)[:, None])


def _input(data: DataSet, sequence: Any) -> Any:
    return np.array(sequence, np.float32) if data.kind == "series" else sequence


def _simple_input(data: DataSet, sequence: Any) -> Any:
    match data.kind:
        case "text":
            return sequence
        case "symbols":
            return np.array([ord(symbol) for symbol in sequence])
        case "series":
            return np.array(sequence, np.float32)


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(end, 4) for end in interval]


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The results as a Markdown table, with the counts that matter below."""
    lines = [
        "| data | kind | train / test rows | plain command (seeds) | 95 % interval | "
        "simple model | score | 95 % interval | command minus simple | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in results.values():
        seeds = ", ".join(f"{score:.3f}" for score in each["scores"])
        aligned = ", aligned" if each["aligned"] else ""
        start = "" if each["from"] is None else f", `--from {each['from']}`"
        mark = " (1)" if each["looked_at"] else "" if each["counts"] else " (2)"
        lines.append(
            f"| {each['set']}{start}{mark} | {each['kind']}{aligned}, {each['task']} | "
            f"{each['train_rows']:,} / {each['test_rows']:,} | "
            f"**{np.mean(each['scores']):.3f}** ({seeds}) | "
            f"{_ends(each['interval'])} | {each['simple_model']} | {each['simple_score']:.3f} | "
            f"{_ends(each['simple_interval'])} | {_ends(each['difference'])}: {each['outcome']} | "
            f"{np.mean(each['seconds']):.0f} |"
        )
    counted = [each for each in results.values() if each["counts"]]
    within = [e for e in counted if np.mean(e["scores"]) >= e["simple_interval"][0]]
    above = [e for e in counted if np.mean(e["scores"]) > e["simple_score"]]
    lines += [
        "",
        f"Of {len(counted)} data sets that count, the mean score of the command is above that of "
        f"the simple model on {len(above)}, and at least the lower end of its interval on "
        f"{len(within)}.",
        "",
        "(1) Test rows were looked at while defaults were chosen; it does not count. (2) A new "
        f"model for text does not count, as the documentation recommends `--from {PRETRAINED}`.",
    ]
    return "\n".join(lines) + "\n"


def _ends(interval: Sequence[float]) -> str:
    return f"{interval[0]:.3f} to {interval[1]:.3f}"


def _assignments(values: Sequence[str]) -> Tables:
    tables: Tables = {}
    for assignment in values:
        name, _, text = assignment.partition("=")
        group, _, field = name.partition(".")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        tables.setdefault(group, {})[field] = value
    return tables


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the data sets, and write results and table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--jobs", type=int, default=1, help="data sets trained at a time")
    parser.add_argument("--rows", type=int, help="maximum number of training rows")
    parser.add_argument("--set", action="append", default=[], help="an option, as model.size=tiny")
    parser.add_argument("--out", type=Path, help="folder (default: results/defaults)")
    options = parser.parse_args(arguments)
    is_plain = not options.set and options.rows is None
    folder = options.out or (FOLDER if is_plain else None)
    run = describe_run()
    results: dict[str, Any] = {}
    file = None if folder is None else folder / "results.json"
    if file is not None and file.exists():
        results = json.loads(file.read_text())["results"]
    order = [name for name, _, _ in _runs(DATA_SETS)]
    if options.jobs > 1:
        os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(options.jobs, get_context("spawn")) as pool:
        futures = {
            pool.submit(
                measure,
                data.name,
                source,
                range(options.seeds),
                _assignments(options.set),
                options.rows,
            ): name
            for name, data, source in sorted(
                _runs(options.sets), key=lambda each: each[2] is None
            )  # the longest first
            if name not in results or len(results[name]["seeds"]) < options.seeds
        }
        for future in as_completed(futures):
            name = futures[future]
            results[name] = future.result()
            print(json.dumps({name: results[name]}), flush=True)
            if folder is not None and file is not None:
                folder.mkdir(parents=True, exist_ok=True)
                ordered = {each: results[each] for each in order if each in results}
                file.write_text(json.dumps({"run": run, "results": ordered}, indent=1) + "\n")
                (folder / "table.md").write_text(table(ordered), encoding="utf-8")


def _runs(names: Iterable[str]) -> Iterator[tuple[str, DataSet, str | None]]:
    """The name of each result, its data set and the model to start from."""
    for name in names:
        data = DATA_SETS[name]
        if data.kind == "text":
            yield f"{name} from {PRETRAINED}", data, PRETRAINED
        yield name, data, None


if __name__ == "__main__":
    main()
