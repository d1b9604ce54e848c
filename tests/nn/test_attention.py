import torch

from bothways.model.config import EncoderConfig
from bothways.nn import Lengths, MultiHeadSelfAttention
from bothways.nn.positions import attention_positions


def test_each_layer_has_its_own_window_and_frequencies() -> None:
    """Layers that share a block share its weights, and nothing else."""
    config = EncoderConfig(
        num_layers=3,
        num_heads=2,
        d_model=8,
        d_ff=4,
        vocab_size=2,
        position_embedding="none",
        attention_positions="rotary",
        rotary_base_local=10.0,
        windows=(None, 2, 50),
        block_of_layer=(0, 0, 0),
    )
    attention = MultiHeadSelfAttention(config)
    x, lengths = torch.randn(9, 8), Lengths([9])
    everywhere, near, local = (
        attention.probabilities(x, lengths, layer, positions)
        for layer, positions in enumerate(attention_positions(config, lengths, None))
    )
    assert (everywhere > 0).all()
    assert (near > 0).sum() == 2 * (9 + 2 * 8 + 2 * 7)  # each head: the diagonal and two beside it
    assert not torch.allclose(everywhere, local)  # another base
