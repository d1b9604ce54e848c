"""What the tests of training share: a tiny run, of a tiny objective, that can be cut anywhere."""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor, nn
from torch.nn import functional

from bothways.checkpoints import ModelBundle
from bothways.model.config import EncoderConfig
from bothways.model.heads import Head, HeadLayer
from bothways.model.layout import initialize
from bothways.model.packing import PackedBatch
from bothways.model.pooling import Pooling
from bothways.model.spec import ModelSpec
from bothways.training import (
    Dataset,
    EventCallback,
    Example,
    InputSequence,
    StartOptions,
    TrainingResult,
    TrainingSettings,
    fit,
    read_events,
)
from bothways.training.data.source import Stage, hidden_stage
from bothways.training.distributed.processes import Workers
from bothways.training.distributed.sharding import to_full_array
from bothways.training.engine.microbatches import prepare_step
from bothways.training.engine.sampler import StepSampler
from bothways.training.engine.step import GradientAccumulator
from bothways.training.model import Batch, TrainedModel
from bothways.training.objectives.contrast import Contrast
from bothways.training.objectives.objective import Evaluation, Monitor, Objective, PreparedBatch
from bothways.training.resolved_settings import resolve_settings


@pytest.fixture(autouse=True)
def without_simple_models(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit no simple models, which take longer than a tiny run, but in tests of them."""
    if "simple_models" not in request.fixturenames:
        for module in ("comparison", "probe"):
            monkeypatch.setattr(f"bothways.training.simple_models.{module}.can_fit", lambda: False)


@pytest.fixture
def simple_models() -> None:
    """Fit simple models, as bothways does where scikit-learn is installed."""


VOCABULARY = 11
CONFIG = EncoderConfig(
    num_layers=2, num_heads=2, d_model=8, d_ff=16, vocab_size=VOCABULARY, max_length=16,
    dropout=0.1, attention_dropout=0.1,
)  # fmt: skip
HEAD = Head(
    task="classes",
    layers=(HeadLayer(name="heads.classifier", outputs=2),),
    pooling="mean",
    labels=("no", "yes"),
    dropout=0.1,
)


class HasThree(Objective):
    """Whether a sequence has the token 3, as one of two classes."""

    name = "classify"
    head = HEAD
    monitor = Monitor("loss", "lower")

    def prepare(self, examples: Sequence[Example], rng: np.random.Generator) -> PreparedBatch:
        """Now and then a token is replaced, so that chance matters."""
        values = [np.array(example.sequences[0].values) for example in examples]
        for sequence in values:
            if rng.random() < 0.1:
                sequence[rng.integers(len(sequence))] = rng.integers(4, VOCABULARY)
        return PreparedBatch(
            packed=PackedBatch.of(values),
            targets={"labels": np.stack([np.asarray(e.target) for e in examples])},
            weight=float(len(examples)),
            places=[example.place for example in examples],
        )

    def loss(self, model: TrainedModel, batch: Batch) -> Tensor:
        """Cross entropy."""
        return functional.cross_entropy(model(batch), batch.targets["labels"], reduction="sum")

    def evaluate(self, model: TrainedModel, batch: Batch) -> Evaluation:
        """The loss of each sequence, and whether it was right."""
        outputs, labels = model(batch), batch.targets["labels"]
        losses = functional.cross_entropy(outputs, labels, reduction="none")
        return {"loss": losses.numpy(), "right": (outputs.argmax(1) == labels).numpy()}

    def metrics(self, evaluated: Evaluation) -> dict[str, float]:
        """Mean loss, and accuracy."""
        return {
            "loss": float(evaluated["loss"].mean(dtype=np.float64)),
            "accuracy": float(evaluated["right"].mean()),
        }


def make_dataset(count: int, seed: int) -> Dataset:
    """Sequences of 2 to 12 tokens, half of them with the token 3."""
    rng = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        ids = rng.integers(4, VOCABULARY, size=rng.integers(2, 13))
        label = number % 2
        if label:
            ids[rng.integers(len(ids))] = 3
        piece = InputSequence(ids, None, slice(0, len(ids)))
        examples.append(Example((piece,), np.array(label), f"data.csv, row {number + 1}"))
    lengths = np.array([example.num_tokens for example in examples], dtype=np.int64)
    return Dataset(examples, lengths)


def make_pairs(count: int, seed: int) -> Dataset:
    """Anchors, positives that are like them, and for every third a hard negative."""
    rng = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        anchor = rng.integers(4, VOCABULARY, size=rng.integers(2, 9))
        positive = np.append(anchor[::-1], rng.integers(4, VOCABULARY))
        sequences = [anchor, positive]
        if number % 3 == 0:
            sequences.append(rng.integers(4, VOCABULARY, size=4))
        pieces = tuple(InputSequence(ids, None, slice(0, len(ids))) for ids in sequences)
        examples.append(Example(pieces, None, f"pairs.csv, row {number + 1}"))
    lengths = np.array([example.num_tokens for example in examples], dtype=np.int64)
    return Dataset(examples, lengths)


def make_template(config: EncoderConfig, path: Path) -> ModelBundle:
    """The folder that a run's becomes."""
    return ModelBundle.of(
        ModelSpec(config=config, max_length=config.max_length), initialize(config), path=path
    )


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """What it has."""
    assert parameter.grad is not None
    return parameter.grad


@dataclasses.dataclass
class TinyRun:
    """A run of 12 steps, of 3 batches or so each, with a validation every 4 and checkpoints."""

    out: Path
    objective: Objective = dataclasses.field(default_factory=HasThree)
    train: Dataset = dataclasses.field(default_factory=lambda: make_dataset(36, 1))
    validation: Dataset | None = dataclasses.field(default_factory=lambda: make_dataset(16, 2))
    settings: TrainingSettings = dataclasses.field(
        default_factory=lambda: TrainingSettings(
            max_steps=12,
            batch_tokens=64,
            micro_tokens=24,
            learning_rate=3e-3,
            validate_every=4,
            checkpoint_every=3,
            device="cpu",
        )
    )
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    model: TrainedModel | None = None

    @classmethod
    def of_pairs(cls, out: Path) -> "TinyRun":
        """The same for an objective whose loss compares all examples of a step."""
        objective = Contrast(config=CONFIG, pooling=Pooling())
        return cls(out, objective, make_pairs(24, 1), make_pairs(12, 2))

    def with_settings(self, **changed: Any) -> "TinyRun":
        """The same run with other settings."""
        return dataclasses.replace(self, settings=dataclasses.replace(self.settings, **changed))

    def build_model(self) -> TrainedModel:
        """A model of the same fresh weights each time."""
        return TrainedModel.build(CONFIG, initialize(CONFIG, seed=3), self.objective.head, seed=4)

    def make_template(self) -> ModelBundle:
        """The folder that the run's becomes, but for weights and heads."""
        return make_template(CONFIG, self.out.parent)

    def gradient(self, step: int, workers: Workers) -> dict[str, np.ndarray]:
        """The gradient of a step by weight, of the fresh weights."""
        model = self.build_model().train()
        s = resolve_settings(
            self.settings, self.train.lengths, from_scratch=True, gpu=False, bf16=False
        )
        order = StepSampler(
            self.train.lengths,
            batch_tokens=s.batch_tokens,
            micro_tokens=s.micro_tokens,
            seed=s.seed,
        )
        parts = prepare_step(self.objective, self.train, step, order.batches(step), workers, s)
        GradientAccumulator(model, self.objective, workers, s).accumulate(step, parts)
        return {name: to_full_array(gradient_of(weight)) for name, weight in model.named_weights()}

    def start(
        self,
        *,
        resume: bool = False,
        progress: EventCallback | None = None,
        stage: Stage = hidden_stage,
    ) -> TrainingResult:
        """Begin the run, or go on with it."""
        self.model = self.build_model()
        return fit(
            self.model,
            self.objective,
            self.train,
            self.validation,
            self.settings,
            self.out,
            template=self.make_template(),
            from_scratch=True,
            provenance=self.provenance,
            options=StartOptions(resume=resume, progress=progress, stage=stage),
        )


@pytest.fixture(autouse=True)
def _quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare waiting for the disk: no test pulls the plug."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def everything_in(out: Path) -> dict[str, Any]:
    """What a run has written, by file; without what a clock says."""
    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.name == "state.json":
            found[name] = {**json.loads(path.read_text()), "seconds": 0}
        elif path.name == "metrics.jsonl":
            clocked = ("seconds", "tokens_per_second")
            found[name] = [
                {key: value for key, value in event.items() if key not in clocked}
                for event in read_events(path)
            ]
        elif path.is_file():
            found[name] = path.read_bytes()
    return found


@pytest.fixture(name="everything_in")
def everything_in_fixture() -> Callable[[Path], dict[str, Any]]:
    """`everything_in` for the test files, which import nothing from one another."""
    return everything_in


@pytest.fixture
def tiny_run(tmp_path: Path) -> Callable[..., TinyRun]:
    """A run in a folder of that name."""

    def make(name: str = "run") -> TinyRun:
        return TinyRun(tmp_path / name)

    return make


@pytest.fixture
def pairs_run(tmp_path: Path) -> Callable[..., TinyRun]:
    """A run with a joint loss in a folder of that name."""

    def make(name: str = "run") -> TinyRun:
        return TinyRun.of_pairs(tmp_path / name)

    return make
