import dataclasses

import pytest
import torch

from bothways.lab.models.ablated_block import AblatedEncoder, Part, draw_weights
from bothways.model.config import EncoderConfig, NormPlacement
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.lengths import Lengths

CONFIG = EncoderConfig(
    num_layers=3, num_heads=2, d_model=16, d_ff=24, vocab_size=11, max_length=8, final_norm=True
)
NORM: tuple[Part, ...] = ("norm",)
FEED_FORWARD: tuple[Part, ...] = ("feed-forward",)
LENGTHS = Lengths([5, 3, 8])
TOKENS = torch.arange(16) % 11


def _grown(config: EncoderConfig, without: tuple[Part, ...] = ()) -> AblatedEncoder:
    """With weights that differ from each other, gains and biases too."""
    torch.manual_seed(1)
    encoder = AblatedEncoder(config, without)
    with torch.no_grad():
        for weight in encoder.parameters():
            weight.add_(torch.randn_like(weight), alpha=0.3)
    return encoder.eval()


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {
            "position_embedding": "none",
            "attention_positions": "rotary",
            "gated": True,
            "norm": "rms",
        },
        {"position_embedding": "none", "attention_positions": "relative"},
    ],
)
def test_with_nothing_left_out_the_block_is_that_of_bothways_to_the_bit(
    placement: NormPlacement, fields: dict[str, object]
) -> None:
    config = dataclasses.replace(CONFIG, norm_placement=placement, **fields)  # type: ignore[arg-type]
    ablated, plain = _grown(config), TransformerEncoder(config).eval()
    plain.load_state_dict(ablated.state_dict())
    keep = range(config.num_layers + 1)
    for ours, theirs in zip(
        ablated(TOKENS, LENGTHS, keep_layers=keep),
        plain(TOKENS, LENGTHS, keep_layers=keep),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_with_nothing_left_out_dropout_and_gradients_are_the_same() -> None:
    ablated, plain = _grown(CONFIG).train(), TransformerEncoder(CONFIG).train()
    plain.load_state_dict(ablated.state_dict())
    for encoder in (ablated, plain):
        torch.manual_seed(2)
        encoder(TOKENS, LENGTHS)[0].square().mean().backward()
    for (name, ours), theirs in zip(ablated.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad), name  # type: ignore[arg-type]


def test_states_are_those_of_the_encoder() -> None:
    encoder = _grown(dataclasses.replace(CONFIG, final_norm=False))
    states = encoder.states(TOKENS, LENGTHS)
    for ours, theirs in zip(states, encoder(TOKENS, LENGTHS, keep_layers=range(4)), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("without", [("skip",), ("norm",), ("skip", "norm"), ("feed-forward",)])
def test_what_is_left_out_is_missed(placement: NormPlacement, without: tuple[Part, ...]) -> None:
    config = dataclasses.replace(CONFIG, norm_placement=placement)
    whole, ablated = _grown(config), AblatedEncoder(config, without).eval()
    kept = {k: w for k, w in whole.state_dict().items() if k in ablated.state_dict()}
    ablated.load_state_dict(kept)
    assert not torch.allclose(whole(TOKENS, LENGTHS)[0], ablated(TOKENS, LENGTHS)[0])


def test_without_norms_none_is_left_but_that_of_the_embeddings() -> None:
    names = [name for name, _ in AblatedEncoder(CONFIG, NORM).named_parameters()]
    assert [name for name in names if "norm" in name] == [
        "embedding.norm.weight",
        "embedding.norm.bias",
    ]


def test_without_skip_connections_nothing_of_the_input_passes_a_block_that_adds_nothing() -> None:
    encoder = AblatedEncoder(CONFIG, ("skip", "norm"))
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if ".output." in name or ".down." in name:
                weight.zero_()
    assert not encoder.states(TOKENS, LENGTHS)[1].any()


def test_a_block_without_feed_forward_has_no_weights_of_one() -> None:
    names = [name for name, _ in AblatedEncoder(CONFIG, FEED_FORWARD).named_parameters()]
    assert not [name for name in names if "feed_forward" in name]


def test_drawn_weights_keep_the_size_of_what_passes() -> None:
    linear = torch.nn.Linear(400, 400)
    draw_weights(linear, seed=0)
    x = torch.randn(100, 400, generator=torch.Generator().manual_seed(1))
    assert linear(x).std().item() == pytest.approx(1.0, rel=0.05)
    assert not linear.bias.any()


def test_drawn_weights_are_the_same_for_the_same_seed() -> None:
    first, second, other = (AblatedEncoder(CONFIG) for _ in range(3))
    for encoder, seed in ((first, 3), (second, 3), (other, 4)):
        draw_weights(encoder, seed)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.embedding.token.weight, other.embedding.token.weight)
