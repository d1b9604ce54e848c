"""The shapes at the edges of the backends are checked while the tests run."""

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from bothways.model.config import EncoderConfig
from bothways.model.layout import initialize
from bothways.nn import Lengths, TransformerEncoder, attend, pool
from bothways.reference import encode, softmax

CONFIG = EncoderConfig(num_layers=1, num_heads=2, d_model=8, d_ff=4, vocab_size=9)


def test_a_wrong_shape_raises_in_the_torch_backend() -> None:
    q, k = torch.zeros(5, 2, 4), torch.zeros(5, 2, 3)
    with pytest.raises(TypeCheckError, match="k_TGK"):
        attend(q, k, q, Lengths([5]))
    with pytest.raises(TypeCheckError, match="x_TD"):
        pool(torch.zeros(5, 2, 4), Lengths([5]), "mean")


def test_a_wrong_dtype_raises_in_the_torch_backend() -> None:
    with pytest.raises(TypeCheckError, match="segments_T"):
        TransformerEncoder(CONFIG)(torch.arange(4), Lengths([4]), torch.zeros(4))


def test_a_wrong_shape_raises_in_the_reference() -> None:
    with pytest.raises(TypeCheckError, match="score"):
        softmax(np.zeros(3))
    with pytest.raises(TypeCheckError, match="segments"):
        encode(np.arange(4), initialize(CONFIG), CONFIG, np.zeros(3, np.int64))
