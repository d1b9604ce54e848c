"""A bidirectional LSTM to compare a Transformer with, trained as `bothways train` does it.

T tokens of all sequences end to end; B sequences, of which the longest has L; E embedding width,
H hidden width of one direction.
"""

import copy
import itertools
import math

import torch
from torch import Tensor, nn

from bothways.config import EncoderConfig
from bothways.heads import Head, head_layout
from bothways.nn.heads import HeadModule
from bothways.nn.lengths import Lengths
from bothways.training.dataset import Dataset
from bothways.training.distributed import Workers
from bothways.training.evaluation import validate
from bothways.training.gradients import Pass, clip
from bothways.training.model import TrainedModel
from bothways.training.objectives.objective import Objective
from bothways.training.optimizer import make_optimizer, set_learning_rate
from bothways.training.order import Order
from bothways.training.parts import prepare_step
from bothways.training.schedule import learning_rate
from bothways.training.settings import TrainingSettings

__all__ = ["BidirectionalLstm", "count_weights", "evaluate", "fit", "lstm_of_size"]


class BidirectionalLstm(nn.Module):
    """Embeddings, then layers of two LSTMs each, one from the left and one from the right.

    It takes and gives what `bothways.nn.TransformerEncoder` does, and can stand in its place.
    """

    def __init__(
        self, vocab_size: int, embedding: int, hidden: int, num_layers: int, dropout: float
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding)
        nn.init.normal_(self.embedding.weight, std=embedding**-0.5)
        widths = [embedding] + [2 * hidden] * (num_layers - 1)
        self.rightward = nn.ModuleList(nn.LSTM(w, hidden, batch_first=True) for w in widths)
        self.leftward = nn.ModuleList(nn.LSTM(w, hidden, batch_first=True) for w in widths)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, values: Tensor, lengths: Lengths, segments: Tensor | None = None
    ) -> tuple[Tensor]:
        """The vectors of each token, (T, 2 H)."""
        # Where each token stands in a rectangle of B rows of L: as it is read, and in reverse. The
        # padding comes last in both, so that no token ever sees it.
        row_T = lengths.per_token(torch.arange(len(lengths.each)))
        last_T = lengths.per_token(lengths.lengths_B) - 1
        onward_T = row_T * lengths.longest + lengths.position_T
        reversed_T = row_T * lengths.longest + last_T - lengths.position_T
        x_TD = self.dropout(self.embedding(values))
        for rightward, leftward in zip(self.rightward, self.leftward, strict=True):
            both = [
                _run(rightward, x_TD, onward_T, lengths),
                _run(leftward, x_TD, reversed_T, lengths),
            ]
            x_TD = self.dropout(torch.cat(both, dim=1))
        return (x_TD,)


def _run(lstm: nn.Module, x_TD: Tensor, place_T: Tensor, lengths: Lengths) -> Tensor:
    """One direction of one layer, (T, H): torch's fused LSTM on the rectangle."""
    B, L = len(lengths.each), lengths.longest
    padded_BLD = x_TD.new_zeros(B * L, x_TD.shape[1]).index_copy(0, place_T, x_TD).view(B, L, -1)
    hidden_BLH, _ = lstm(padded_BLD)
    taken_TH: Tensor = hidden_BLH.flatten(0, 1)[place_T]
    return taken_TH


def lstm_of_size(
    num_weights: int, config: EncoderConfig, head: Head, num_layers: int, seed: int
) -> TrainedModel:
    """The largest such LSTM, with a head of its own, of at most so many weights.

    Its embeddings are as wide as those of `config`, and its dropout is the same.
    """

    def width(hidden: int) -> EncoderConfig:
        """Of a config, a head asks for the width alone."""
        return EncoderConfig(
            num_layers=1, num_heads=1, d_model=2 * hidden, d_ff=1, vocab_size=config.vocab_size
        )

    def size(hidden: int) -> int:
        widths = [config.d_model] + [2 * hidden] * (num_layers - 1)
        # Four gates in two directions, each with two biases in torch.
        layers = sum(8 * hidden * (below + hidden + 2) for below in widths)
        of_head = sum(math.prod(shape) for shape in head_layout(head, width(hidden)).values())
        return config.vocab_size * config.d_model + layers + of_head

    hidden = next(h for h in itertools.count(1) if size(h + 1) > num_weights)
    torch.manual_seed(seed)
    encoder = BidirectionalLstm(
        config.vocab_size, config.d_model, hidden, num_layers, config.dropout
    )
    return TrainedModel(encoder, HeadModule(head, width(hidden), seed=seed))


def count_weights(model: nn.Module) -> int:
    """How many numbers are trained."""
    return sum(parameter.numel() for parameter in model.parameters())


def fit(
    model: TrainedModel,
    objective: Objective,
    train: Dataset,
    validation: Dataset,
    settings: TrainingSettings,
) -> float:
    """Train as `bothways.training.fit` does, with the same steps, but keep no files.

    The model has the weights of the best validation in the end, whose figure is returned.
    """
    workers = Workers(0, 1, torch.device("cpu"))
    chosen = settings.resolved(train.lengths, fresh=True, gpu=False, bf16=False)
    order = Order(
        train.lengths,
        batch_tokens=chosen.batch_tokens,
        micro_tokens=chosen.micro_tokens,
        seed=chosen.seed,
    )
    total = chosen.total_steps(order.steps_per_epoch)
    warmup = round(chosen.warmup * total)
    work = Pass(model, objective, workers, chosen)
    optimizer = make_optimizer(model.train(), chosen)
    best, best_weights = 0.0, model.state_dict()
    for step in range(total):
        parts = prepare_step(objective, train, step, order.batches(step), workers, chosen)
        work.run(step, parts)
        clip(model, chosen.clip_norm)
        rate = learning_rate(
            step,
            total,
            peak=chosen.learning_rate,
            warmup_steps=warmup,
            schedule=chosen.schedule,
        )
        set_learning_rate(optimizer, rate)
        optimizer.step()
        if (step + 1) % chosen.validate_every == 0 or step + 1 == total:
            found = validate(model, objective, validation, chosen, workers)
            print(
                f"  step {step + 1} of {total}: {found[objective.monitor.metric]:.4f}", flush=True
            )
            if found[objective.monitor.metric] > best:
                best = found[objective.monitor.metric]
                best_weights = copy.deepcopy(model.state_dict())
    model.load_state_dict(best_weights)
    return best


def evaluate(model: TrainedModel, objective: Objective, data: Dataset) -> dict[str, float]:
    """The objective's figures on other examples."""
    chosen = TrainingSettings().resolved(data.lengths, fresh=True, gpu=False, bf16=False)
    return validate(model, objective, data, chosen, Workers(0, 1, torch.device("cpu")))
