"""Disentangled attention in chunks of queries and parts of a batch, and its gradients."""

import numpy as np
import pytest
import torch

from bothways.model.config import EncoderConfig
from bothways.nn import kernels
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.lengths import Lengths

LENGTHS = [70, 70, 70, 9]


def _states_and_gradients(encoder: TransformerEncoder) -> list[torch.Tensor]:
    rng = np.random.default_rng(0)
    values = torch.tensor(rng.integers(0, 20, sum(LENGTHS)))
    [x_TD] = encoder(values, Lengths(LENGTHS))
    gradients = torch.autograd.grad(x_TD.square().sum(), list(encoder.parameters()))
    return [x_TD, *gradients]


@pytest.mark.parametrize("shared", [True, False])
def test_chunks_and_parts_change_no_result(monkeypatch: pytest.MonkeyPatch, shared: bool) -> None:
    config = EncoderConfig(
        num_layers=1, num_heads=2, d_model=8, d_ff=8, vocab_size=20, dropout=0.0,
        attention_dropout=0.0, attention_positions="disentangled", relative_buckets=20,
        relative_max_distance=60, shared_position_projections=shared,
    )  # fmt: skip
    torch.manual_seed(0)
    encoder = TransformerEncoder(config).double()
    whole = _states_and_gradients(encoder)
    monkeypatch.setattr(kernels, "DENSE_SCORES", 35 * 70)
    monkeypatch.setattr(kernels, "DENSE_BATCH_SCORES", 35 * 70)
    for one, other in zip(_states_and_gradients(encoder), whole, strict=True):
        torch.testing.assert_close(one, other)
    named = dict(zip(dict(encoder.named_parameters()), whole[1:], strict=True))
    assert named["relative_embedding.weight"].abs().sum() > 0
