"""Training throughput on a CPU, compared with the Trainer of transformers.

Claim: bothways is at least 3 times as fast as the Trainer with dynamic padding, and at least 1.2
times as fast as with its length-grouped sampler. The benchmark measures real tokens per second,
without padding, on two cores, of fine-tuning `minilm` in fp32 with a classifier on its first
position, AdamW, gradient clipping and dropout 0.1. Both start from the same weights, which is
verified by their logits. The Trainer pads each batch of 32 to its longest text
(`DataCollatorWithPadding`); bothways packs steps with the average number of tokens of 32 texts. The
text is prose of mixed lengths from docstrings (benchmarks/corpus.py), tokenized in advance and
truncated at 256 tokens.

In each round, every contender trains for some steps in this process. Time is measured from the end
of the first step to the end of the last, which includes data loading and the optimizer and excludes
startup and saving. The length-grouped sampler sorts 50 batches at a time, so it needs many steps to
see every length once; random batches are alike, and fewer are enough. Medians are reported.

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
from bothways.training import (
    Dataset,
    Example,
    InputSequence,
    StartOptions,
    StepEvent,
    TrainingSettings,
    fit,
)
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.classify import Classify
from bothways.training.objectives.heads import head_for
from corpus import sample_paragraphs, tokenizer

NUM_TEXTS = 6400
"""Enough for the length-grouped sampler to sort 50 batches at a time, its maximum."""
MAX_LENGTH = 256
BATCH_SIZE = 32
LABELS = tuple("abcdefgh")
LEARNING_RATE = 5e-5

OURS, PADDED, GROUPED = "bothways", "Trainer, dynamic padding", "Trainer, length-grouped"
TARGETS = {PADDED: 3.0, GROUPED: 1.2}


class Timed(NamedTuple):
    """A round of one contender: seconds, real tokens, and computed tokens with padding."""

    seconds: float
    tokens: int
    computed: int


def main() -> None:
    """Run the rounds, print a table and write the results."""
    options = _arguments()
    record.use_cores(options.cores)
    torch.set_num_threads(options.cores)
    report = record.describe_run((*record.DISTRIBUTIONS, "accelerate"))
    bundle = read_folder(resolve("minilm"))
    texts = sample_paragraphs(NUM_TEXTS)
    encoded = tokenizer(bundle.path, MAX_LENGTH).encode_batch_fast(texts)
    sequences = [np.array(each.ids, np.int64) for each in encoded]
    labels = np.random.default_rng(0).integers(len(LABELS), size=len(sequences))
    contenders = make_contenders(bundle, sequences, labels, options)
    rounds: dict[str, list[Timed]] = {name: [] for name in contenders}
    for number in range(options.rounds):
        names = list(contenders)
        by = number % len(names)
        for name in names[by:] + names[:by]:  # no contender is always the first
            rounds[name].append(contenders[name](number))
    lengths = np.array([len(sequence) for sequence in sequences])
    report["text"] = {
        "sequences": len(lengths),
        "mean_tokens": float(lengths.mean()),
        "quartiles": np.quantile(lengths, (0.25, 0.5, 0.75, 0.95)).tolist(),
    }
    report["rounds"] = {
        name: [timed._asdict() for timed in results] for name, results in rounds.items()
    }
    report |= summary(rounds)
    print_table(report, rounds)
    record.write(report, options.output, "train_throughput")


def make_contenders(
    bundle: ModelBundle,
    sequences: Sequence[np.ndarray],
    labels: np.ndarray,
    options: argparse.Namespace,
) -> dict[str, Callable[[int], Timed]]:
    """Functions that train for one round, given its number, by name."""
    head = head_for("classes", bundle.config, LABELS, pooling="cls")
    model = TrainedModel.build(bundle.config, bundle.weights, head)
    peer = make_peer(bundle, model)
    check_equal(model, peer, sequences[:16])

    def ours(number: int) -> Timed:
        fresh = TrainedModel.build(bundle.config, bundle.weights, head)
        return train_ours(fresh, Classify(head=head), bundle, sequences, labels, number, options)

    def theirs(strategy: str, steps: int) -> Callable[[int], Timed]:
        return lambda number: train_theirs(
            make_peer(bundle, model), strategy, steps, sequences, labels, number, bundle
        )

    return {
        OURS: ours,
        PADDED: theirs("random", options.padded_steps),
        GROUPED: theirs("group_by_length", options.steps),
    }


def train_ours(
    model: TrainedModel,
    objective: Classify,
    bundle: ModelBundle,
    sequences: Sequence[np.ndarray],
    labels: np.ndarray,
    seed: int,
    options: argparse.Namespace,
) -> Timed:
    """Run `bothways.training.fit` with its defaults, except for the tokens per step."""
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

    def record_step(event: Any) -> None:
        if isinstance(event, StepEvent):
            ends.append((time.perf_counter(), event.tokens))

    with tempfile.TemporaryDirectory() as out:
        fit(
            model, objective, Dataset(examples, lengths), None, settings, Path(out) / "run",
            template=bundle, from_scratch=False, options=StartOptions(progress=record_step),
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
    bundle: ModelBundle,
) -> Timed:
    """Run the Trainer with its defaults, except for the order of texts and without logging."""
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
    pad = DataCollatorWithPadding(AutoTokenizer.from_pretrained(bundle.path))
    real: list[int] = []
    computed: list[int] = []
    ends: list[float] = []

    def collate(features: list[dict[str, Any]]) -> Any:
        batch = pad(features)
        real.append(int(batch["attention_mask"].sum()))
        computed.append(batch["attention_mask"].numel())
        return batch

    class RecordStep(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
        """Records when each step ends."""

        def on_step_end(self, *_: Any, **__: Any) -> None:
            """Record the time."""
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
            model, arguments, data_collator=collate, train_dataset=rows, callbacks=[RecordStep()]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return Timed(ends[-1] - ends[0], sum(real[1:steps]), sum(computed[1:steps]))


def make_peer(bundle: ModelBundle, model: TrainedModel) -> Any:
    """The same model in transformers."""
    from transformers import BertForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    peer = BertForSequenceClassification.from_pretrained(bundle.path, num_labels=len(LABELS))
    ours = model.to_weights()
    names = {"bert.pooler.dense": "heads.pooler", "classifier": "heads.classifier"}
    parameters = dict(peer.named_parameters())
    with torch.no_grad():
        for theirs, name in names.items():
            for kind in ("weight", "bias"):
                parameters[f"{theirs}.{kind}"].copy_(torch.from_numpy(ours[f"{name}.{kind}"]))
    return peer


def check_equal(model: TrainedModel, peer: Any, sequences: Sequence[np.ndarray]) -> None:
    """Exit unless both models give the same logits without dropout, up to rounding."""
    lengths = Lengths([len(ids) for ids in sequences])
    values = torch.from_numpy(np.concatenate(sequences))
    with torch.no_grad():
        ours = model.eval()(Batch(values, lengths, None, {}))
        theirs: Tensor = torch.cat(
            [peer.eval()(input_ids=torch.from_numpy(ids)[None]).logits for ids in sequences]
        )
    difference = float((ours - theirs).abs().max())
    if difference > 1e-5:
        raise SystemExit(f"the two models differ: their logits differ by {difference:.1e}")


def summary(rounds: dict[str, list[Timed]]) -> dict[str, Any]:
    """Median rates, and medians of the ratios within rounds."""
    rates = {
        name: [timed.tokens / timed.seconds for timed in results]
        for name, results in rounds.items()
    }
    return {
        "tokens_per_second": {name: statistics.median(values) for name, values in rates.items()},
        "ratio_to_ours": {
            name: statistics.median(
                ours / theirs for ours, theirs in zip(rates[OURS], values, strict=True)
            )
            for name, values in rates.items()
        },
        "computed_per_real_token": {
            name: sum(timed.computed for timed in results) / sum(timed.tokens for timed in results)
            for name, results in rounds.items()
        },
    }


def print_table(report: dict[str, Any], rounds: dict[str, list[Timed]]) -> None:
    """Print one line per contender."""
    text = report["text"]
    print(f"{text['sequences']} texts of {text['mean_tokens']:.1f} tokens on average")
    print(f"{'':26}{'real tokens/s':>14}{'computed/real':>14}{'speedup':>9}{'target':>8}")
    for name in rounds:
        print(
            f"{name:26}{report['tokens_per_second'][name]:14,.0f}"
            f"{report['computed_per_real_token'][name]:14.2f}"
            f"{report['ratio_to_ours'][name]:7.2f} x{TARGETS.get(name, 1):6.1f} x"
        )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, help="measured rounds (3)")
    parser.add_argument("--steps", type=int, help="steps per contender and round (51)")
    parser.add_argument(
        "--padded-steps", type=int, help="steps of the Trainer with random batches (17)"
    )
    parser.add_argument("--cores", type=int, default=2, help="number of cores (2)")
    parser.add_argument("--quick", action="store_true", help="one round, few random batches")
    parser.add_argument("--output", type=Path, help="JSON file for the results")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.steps = options.steps or 51
    options.padded_steps = options.padded_steps or (5 if options.quick else 17)
    return options


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*pin_memory.*")
    main()
