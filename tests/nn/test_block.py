from collections import defaultdict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bothways.model.config import EncoderConfig, NormPlacement
from bothways.nn import EncoderBlock, FeedForward, Lengths


def make_config(**fields: Any) -> EncoderConfig:
    sizes = {"num_layers": 2, "num_heads": 2, "d_model": 8, "d_ff": 12, "vocab_size": 20}
    return EncoderConfig(**sizes | fields)


@pytest.mark.parametrize("placement", ["post", "pre"])
def test_what_each_sublayer_adds_is_dropped_out(placement: NormPlacement) -> None:
    block = EncoderBlock(make_config(norm_placement=placement, dropout=0.5), 0)
    seen: dict[nn.Module, list[Tensor]] = defaultdict(list)
    for module in (block.attention, block.feed_forward, block.dropout):
        module.register_forward_hook(lambda m, _, output: seen[m].append(output))
    block.dropout.register_forward_pre_hook(lambda m, inputs: seen["into dropout"].append(*inputs))  # type: ignore[index]
    block(torch.randn(50, 8), Lengths([50]), 0)

    (attention,), (feed_forward,) = seen[block.attention], seen[block.feed_forward]
    into = seen["into dropout"]  # type: ignore[index]
    assert into[0] is attention
    assert into[1] is feed_forward
    for given, kept in zip(into, seen[block.dropout], strict=True):
        assert torch.equal(kept[kept != 0], 2 * given[kept != 0])
        assert 0.3 < float((kept == 0).double().mean()) < 0.7  # of 400 numbers


def test_a_first_block_may_lack_the_norm_before_its_attention() -> None:
    config = make_config(norm_placement="pre", first_attention_norm=False)
    assert list(EncoderBlock(config, 0).attention_norm.parameters()) == []
    assert len(list(EncoderBlock(config, 1).attention_norm.parameters())) == 2


def test_a_gated_feed_forward_multiplies_activated_gate_and_up() -> None:
    feed_forward = FeedForward(make_config(gated=True, activation="silu"))
    x = torch.randn(5, 8)
    assert feed_forward.gate is not None
    hidden = torch.nn.functional.silu(feed_forward.gate(x)) * feed_forward.up(x)
    assert torch.equal(feed_forward(x), feed_forward.down(hidden))
