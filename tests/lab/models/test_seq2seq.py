import numpy as np
import pytest
import torch
from torch import Tensor

from bothways.lab.models.decoder import Decoder
from bothways.lab.models.seq2seq import (
    DecodingAccuracy,
    Seq2SeqModel,
    decoding_accuracy,
    pack_pairs,
    symbol_loss,
)
from bothways.lab.tasks.base import SequencePairs
from bothways.lab.tasks.copying import CopyTask
from bothways.lab.training import fit
from bothways.model.config import EncoderConfig
from bothways.nn.baselines import make_encoder
from bothways.training.model import Batch

END = 3


def make() -> Seq2SeqModel:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=16, d_ff=16, vocab_size=3, max_length=8, dropout=0.0
    )
    torch.manual_seed(0)
    return Seq2SeqModel(make_encoder(config, seed=0), Decoder(16, 16, END + 1, "attention", 2))


def ids(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def test_a_batch_sorts_pairs_by_length_and_appends_the_end_symbol() -> None:
    pairs = SequencePairs([ids(0, 1, 2), ids(2), ids(1, 1)], [ids(2, 1, 0), ids(2, 2), ids(0)])
    batch = pack_pairs(pairs, END)
    assert batch.values.tolist() == [2, 1, 1, 0, 1, 2]
    assert batch.lengths.each == (1, 2, 3)
    assert batch.targets["symbols"].tolist() == [2, 2, END, 0, END, 2, 1, 0, END]
    assert batch.targets["lengths"].tolist() == [3, 2, 4]


class FixedOutput(Seq2SeqModel):
    """Decodes predetermined symbols."""

    def __init__(self, decoded: list[list[int]]) -> None:
        super().__init__(make().encoder, make().decoder)
        self.decoded = torch.tensor(decoded)

    def decode_greedily(self, batch: Batch, steps: int) -> Tensor:
        return self.decoded[:, :steps]


@pytest.mark.parametrize(
    ("decoded", "expected"),
    [
        ([[1, 2, END, 0], [0, 1, 2, END]], DecodingAccuracy(exact_match=1.0, symbol_accuracy=1.0)),
        (
            [[1, 2, 2, END], [0, 1, 2, END]],
            DecodingAccuracy(exact_match=0.5, symbol_accuracy=1.0),
        ),  # too long
        (
            [[1, END, 2, END], [0, 1, 2, END]],
            DecodingAccuracy(exact_match=0.5, symbol_accuracy=0.8),
        ),  # too short
        ([[2, 1, END, 0], [0, 0, 0, 0]], DecodingAccuracy(exact_match=0.0, symbol_accuracy=0.2)),
    ],
)
def test_accuracy_counts_exact_matches_and_symbols_at_their_position(
    decoded: list[list[int]], expected: DecodingAccuracy
) -> None:
    batch = pack_pairs(SequencePairs([ids(1), ids(1, 1)], [ids(1, 2), ids(0, 1, 2)]), END)
    accuracy = decoding_accuracy(FixedOutput(decoded), batch)
    assert accuracy.exact_match == pytest.approx(expected.exact_match)
    assert accuracy.symbol_accuracy == pytest.approx(expected.symbol_accuracy)


def test_a_small_model_learns_to_copy() -> None:
    task = CopyTask("copy", num_symbols=3)

    def batches(step: int) -> Batch:
        return pack_pairs(task.pairs([2] * 16 + [3] * 16, seed=0, step=step), END)

    model = make()
    assert decoding_accuracy(model, batches(1000)).exact_match < 0.3
    result = fit(model, batches, symbol_loss, steps=120, peak_learning_rate=1e-2, seed=0)
    assert result.losses[-1] < result.losses[0] / 4
    assert decoding_accuracy(model, batches(1000)).exact_match > 0.8
