import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.lab.models.decoder import Decoder
from bothways.lab.models.seq2seq import Accuracy, Transducer, accuracy, pack, symbol_loss
from bothways.lab.tasks.base import Pairs
from bothways.lab.tasks.copying import Copying
from bothways.lab.training import fit
from bothways.model.config import EncoderConfig
from bothways.nn.baselines import make_encoder
from bothways.training.model import Batch

END = 3


def make() -> Transducer:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=16, d_ff=16, vocab_size=3, max_length=8, dropout=0.0
    )
    torch.manual_seed(0)
    return Transducer(make_encoder(config, seed=0), Decoder(16, 16, END + 1, "attended", 2))


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_a_batch_holds_its_pairs_by_length_and_each_target_ends() -> None:
    pairs = Pairs([ids(0, 1, 2), ids(2), ids(1, 1)], [ids(2, 1, 0), ids(2, 2), ids(0)])
    batch = pack(pairs, END)
    assert batch.values.tolist() == [2, 1, 1, 0, 1, 2]
    assert batch.lengths.each == (1, 2, 3)
    assert batch.targets["symbols"].tolist() == [2, 2, END, 0, END, 2, 1, 0, END]
    assert batch.targets["lengths"].tolist() == [3, 2, 4]


class Parrot(Transducer):
    """Says what it is told to say, whatever it is asked."""

    def __init__(self, said: list[list[int]]) -> None:
        super().__init__(make().encoder, make().decoder)
        self.said = torch.tensor(said)

    def greedy(self, batch: Batch, steps: int) -> Tensor:
        return self.said[:, :steps]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([[1, 2, END, 0], [0, 1, 2, END]], Accuracy(exact=1.0, symbols=1.0)),
        ([[1, 2, 2, END], [0, 1, 2, END]], Accuracy(exact=0.5, symbols=1.0)),  # too long
        ([[1, END, 2, END], [0, 1, 2, END]], Accuracy(exact=0.5, symbols=0.8)),  # too short
        ([[2, 1, END, 0], [0, 0, 0, 0]], Accuracy(exact=0.0, symbols=0.2)),
    ],
)
def test_accuracy_counts_whole_targets_and_symbols_in_their_place(
    said: list[list[int]], expected: Accuracy
) -> None:
    batch = pack(Pairs([ids(1), ids(1, 1)], [ids(1, 2), ids(0, 1, 2)]), END)
    found = accuracy(Parrot(said), batch)
    assert found.exact == pytest.approx(expected.exact)
    assert found.symbols == pytest.approx(expected.symbols)


def test_a_small_transducer_learns_to_copy() -> None:
    task = Copying("copy", num_symbols=3)

    def batches(step: int) -> Batch:
        return pack(task.pairs([2] * 16 + [3] * 16, seed=0, step=step), END)

    model = make()
    assert accuracy(model, batches(1000)).exact < 0.3
    fitted = fit(model, batches, symbol_loss, steps=120, peak_rate=1e-2, seed=0)
    assert fitted.losses[-1] < fitted.losses[0] / 4
    assert accuracy(model, batches(1000)).exact > 0.8
