"""Claim: on a CPU, bothways trains at 3 times the speed of the Trainer of transformers, and more.

Real tokens a second on two cores, padding not counted, of one fine-tuning: `minilm` with a
classifier on its first position, by AdamW with clipping and dropout 0.1, in fp32. Both start from
the same weights, which is checked by their logits. The Trainer pads each batch of 32 to its longest
text (`DataCollatorWithPadding`), drawn at random or, with its length-grouped sampler, by length;
bothways packs steps of as many tokens as 32 texts have on average. Wanted are 3 times the speed of
the first and 1.2 times that of the second. The text is that of `corpus`:
prose from docstrings, of mixed lengths, tokenized before and cut at 256 tokens.

A round is some steps of each in turn, all in this process; a time is that between the ends of its
first step and its last, so it has all that a step needs, data and optimizer included, and neither
start nor saving. The length-grouped sampler sorts 50 batches at a time, so that many steps see
every length once; random batches are all alike, and fewer are enough. Medians of the rounds count.

    pip install '.[torch]' -r benchmarks/requirements.txt
    python benchmarks/train_throughput.py
    python benchmarks/train_throughput.py --quick
"""

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import record
from bothways.checkpoints import ModelBundle, read_folder, resolve
from bothways.nn import Lengths
from bothways.training import Dataset, Example, InputSequence, StepEvent, TrainingSettings, fit
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.classify import Classify
from bothways.training.objectives.heads import head_for
from corpus import sample_paragraphs, tokenizer

NUM_TEXTS = 6400
"""Enough for the length-grouped sampler to sort 50 batches at a time, which is its most."""
MAX_LENGTH = 256
BATCH_SIZE = 32
LABELS = tuple("abcdefgh")
LEARNING_RATE = 5e-5

OURS, PADDED, GROUPED = "bothways", "Trainer, dynamic padding", "Trainer, length-grouped"
WANTED = {PADDED: 3.0, GROUPED: 1.2}


class Timed(NamedTuple):
    """What a round of one contender took: seconds, and real tokens and computed ones therein."""

    seconds: float
    tokens: int
    computed: int


def main() -> None:
    """Run the rounds, print a table and write the figures."""
    options = _arguments()
    record.use_cores(options.cores)
    torch.set_num_threads(options.cores)
    report = record.circumstances((*record.OF_INTEREST, "accelerate"))
    folder = read_folder(resolve("minilm"))
    texts = sample_paragraphs(NUM_TEXTS)
    encoded = tokenizer(folder.path, MAX_LENGTH).encode_batch_fast(texts)
    sequences = [np.array(each.ids, np.int64) for each in encoded]
    labels = np.random.default_rng(0).integers(len(LABELS), size=len(sequences))
    contenders = make_contenders(folder, sequences, labels, options)
    rounds: dict[str, list[Timed]] = {name: [] for name in contenders}
    for number in range(options.rounds):
        names = list(contenders)
        by = number % len(names)
        for name in names[by:] + names[:by]:  # none always follows the same one
            rounds[name].append(contenders[name](number))
    lengths = np.array([len(sequence) for sequence in sequences])
    report["text"] = {
        "sequences": len(lengths),
        "mean_tokens": float(lengths.mean()),
        "quartiles": np.quantile(lengths, (0.25, 0.5, 0.75, 0.95)).tolist(),
    }
    report["rounds"] = {
        name: [timed._asdict() for timed in found] for name, found in rounds.items()
    }
    report |= summary(rounds)
    print_table(report, rounds)
    record.write(report, options.output, "train_throughput")


def make_contenders(
    folder: ModelBundle,
    sequences: Sequence[np.ndarray],
    labels: np.ndarray,
    options: argparse.Namespace,
) -> dict[str, Callable[[int], Timed]]:
    """What trains for a round, given its number, by name."""
    head = head_for("classes", folder.config, LABELS, pooling="cls")
    model = TrainedModel.build(folder.config, folder.weights, head)
    rival = make_rival(folder, model)
    check_equal(model, rival, sequences[:16])

    def ours(number: int) -> Timed:
        fresh = TrainedModel.build(folder.config, folder.weights, head)
        return train_ours(fresh, Classify(head=head), folder, sequences, labels, number, options)

    def theirs(strategy: str, steps: int) -> Callable[[int], Timed]:
        return lambda number: train_theirs(
            make_rival(folder, model), strategy, steps, sequences, labels, number, folder
        )

    return {
        OURS: ours,
        PADDED: theirs("random", options.padded_steps),
        GROUPED: theirs("group_by_length", options.steps),
    }


def train_ours(
    model: TrainedModel,
    objective: Classify,
    folder: ModelBundle,
    sequences: Sequence[np.ndarray],
    labels: np.ndarray,
    seed: int,
    options: argparse.Namespace,
) -> Timed:
    """A run of `bothways.training.fit`, as it comes but for its tokens a step."""
    examples = [
        Example((InputSequence(ids, None, slice(1, len(ids) - 1)),), np.array(label), f"row {row}")
        for row, (ids, label) in enumerate(zip(sequences, labels, strict=True))
    ]
    lengths = np.array([len(ids) for ids in sequences])
    settings = TrainingSettings(
        max_steps=options.steps,
        batch_tokens=round(BATCH_SIZE * float(lengths.mean())),
        learning_rate=LEARNING_RATE,
        seed=seed,
        threads=options.cores,
        device="cpu",
        checkpoint_every=options.steps,
    )
    ends: list[tuple[float, int]] = []

    def note(event: Any) -> None:
        if isinstance(event, StepEvent):
            ends.append((time.perf_counter(), event.tokens))

    with tempfile.TemporaryDirectory() as out:
        fit(
            model, objective, Dataset(examples, lengths), None, settings, Path(out) / "run",
            template=folder, from_scratch=False, progress=note,
        )  # fmt: skip
    (start, before), (end, after) = ends[0], ends[-1]
    return Timed(end - start, after - before, after - before)


def train_theirs(
    model: Any,
    strategy: str,
    steps: int,
    sequences: Sequence[np.ndarray],
    labels: np.ndarray,
    seed: int,
    folder: ModelBundle,
) -> Timed:
    """A run of the Trainer, as it comes but for the order of texts, and without its log."""
    from transformers import (
        AutoTokenizer,
        DataCollatorWithPadding,
        PrinterCallback,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    rows = [
        {"input_ids": ids.tolist(), "attention_mask": [1] * len(ids), "labels": int(label)}
        for ids, label in zip(sequences, labels, strict=True)
    ]
    pad = DataCollatorWithPadding(AutoTokenizer.from_pretrained(folder.path))
    real: list[int] = []
    computed: list[int] = []
    ends: list[float] = []

    def collate(features: list[dict[str, Any]]) -> Any:
        batch = pad(features)
        real.append(int(batch["attention_mask"].sum()))
        computed.append(batch["attention_mask"].numel())
        return batch

    class Note(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
        """When each step ended."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            """Note the time."""
            ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            out,
            per_device_train_batch_size=BATCH_SIZE,
            train_sampling_strategy=strategy,
            max_steps=steps,
            learning_rate=LEARNING_RATE,
            warmup_steps=0.1,
            weight_decay=0.01,
            seed=seed,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to="none",
            disable_tqdm=True,
        )
        trainer = Trainer(
            model, arguments, data_collator=collate, train_dataset=rows, callbacks=[Note()]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return Timed(ends[-1] - ends[0], sum(real[1:steps]), sum(computed[1:steps]))


def make_rival(folder: ModelBundle, model: TrainedModel) -> Any:
    """transformers' model of the same weights."""
    from transformers import BertForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    rival = BertForSequenceClassification.from_pretrained(folder.path, num_labels=len(LABELS))
    ours = model.to_weights()
    names = {"bert.pooler.dense": "heads.pooler", "classifier": "heads.classifier"}
    parameters = dict(rival.named_parameters())
    with torch.no_grad():
        for theirs, name in names.items():
            for kind in ("weight", "bias"):
                parameters[f"{theirs}.{kind}"].copy_(torch.from_numpy(ours[f"{name}.{kind}"]))
    return rival


def check_equal(model: TrainedModel, rival: Any, sequences: Sequence[np.ndarray]) -> None:
    """Raise unless both are one model: the same logits without dropout, to rounding."""
    lengths = Lengths([len(ids) for ids in sequences])
    values = torch.from_numpy(np.concatenate(sequences))
    with torch.no_grad():
        ours = model.eval()(Batch(values, lengths, None, {}))
        theirs: Tensor = torch.cat(
            [rival.eval()(input_ids=torch.from_numpy(ids)[None]).logits for ids in sequences]
        )
    difference = float((ours - theirs).abs().max())
    if difference > 1e-5:
        raise SystemExit(f"these are not the same model: their logits differ by {difference:.1e}")


def summary(rounds: dict[str, list[Timed]]) -> dict[str, Any]:
    """Medians, and the medians of the ratios within rounds."""
    rates = {
        name: [timed.tokens / timed.seconds for timed in found] for name, found in rounds.items()
    }
    return {
        "tokens_per_second": {name: statistics.median(found) for name, found in rates.items()},
        "ratio_to_ours": {
            name: statistics.median(
                ours / theirs for ours, theirs in zip(rates[OURS], found, strict=True)
            )
            for name, found in rates.items()
        },
        "computed_per_real_token": {
            name: sum(timed.computed for timed in found) / sum(timed.tokens for timed in found)
            for name, found in rounds.items()
        },
    }


def print_table(report: dict[str, Any], rounds: dict[str, list[Timed]]) -> None:
    """One line a contender."""
    text = report["text"]
    print(f"{text['sequences']} texts of {text['mean_tokens']:.1f} tokens on average")
    print(f"{'':26}{'real tokens/s':>14}{'computed/real':>14}{'ours is':>9}{'wanted':>8}")
    for name in rounds:
        print(
            f"{name:26}{report['tokens_per_second'][name]:14,.0f}"
            f"{report['computed_per_real_token'][name]:14.2f}"
            f"{report['ratio_to_ours'][name]:7.2f} x{WANTED.get(name, 1):6.1f} x"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, help="rounds that are measured (3)")
    parser.add_argument("--steps", type=int, help="steps of each in a round (51)")
    parser.add_argument("--padded-steps", type=int, help="of the Trainer with random batches (17)")
    parser.add_argument("--cores", type=int, default=2, help="cores that may be used (2)")
    parser.add_argument("--quick", action="store_true", help="one round, a few random batches")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.steps = options.steps or 51
    options.padded_steps = options.padded_steps or (5 if options.quick else 17)
    return options


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    main()
