import dataclasses

import pytest
import torch

from bothways.lab.models.ablated_block import AblatedEncoder, AblatedPart, initialize_glorot
from bothways.model.config import EncoderConfig, NormPlacement
from bothways.nn.encoder import TransformerEncoder
from bothways.nn.lengths import Lengths

CONFIG = EncoderConfig(
    num_layers=3, num_heads=2, d_model=16, d_ff=24, vocab_size=11, max_length=8, final_norm=True
)
NORM: tuple[AblatedPart, ...] = ("norm",)
FEED_FORWARD: tuple[AblatedPart, ...] = ("feed-forward",)
LENGTHS = Lengths([5, 3, 8])
TOKENS = torch.arange(16) % 11


def _random_encoder(config: EncoderConfig, without: tuple[AblatedPart, ...] = ()) -> AblatedEncoder:
    """An encoder whose gains and biases are random, too."""
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
def test_the_complete_block_equals_the_encoder_block_bit_for_bit(
    placement: NormPlacement, fields: dict[str, object]
) -> None:
    config = dataclasses.replace(CONFIG, norm_placement=placement, **fields)  # type: ignore[arg-type]
    ablated, plain = _random_encoder(config), TransformerEncoder(config).eval()
    plain.load_state_dict(ablated.state_dict())
    keep = range(config.num_layers + 1)
    for ours, theirs in zip(
        ablated(TOKENS, LENGTHS, keep_layers=keep),
        plain(TOKENS, LENGTHS, keep_layers=keep),
        strict=True,
    ):
        assert torch.equal(ours, theirs)


def test_the_complete_block_has_the_same_dropout_and_gradients() -> None:
    ablated, plain = _random_encoder(CONFIG).train(), TransformerEncoder(CONFIG).train()
    plain.load_state_dict(ablated.state_dict())
    for encoder in (ablated, plain):
        torch.manual_seed(2)
        encoder(TOKENS, LENGTHS)[0].square().mean().backward()
    for (name, ours), theirs in zip(ablated.named_parameters(), plain.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad), name  # type: ignore[arg-type]


def test_hidden_states_equal_those_of_the_encoder() -> None:
    encoder = _random_encoder(dataclasses.replace(CONFIG, final_norm=False))
    states = encoder.hidden_states(TOKENS, LENGTHS)
    for ours, theirs in zip(states, encoder(TOKENS, LENGTHS, keep_layers=range(4)), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("placement", ["pre", "post"])
@pytest.mark.parametrize("without", [("skip",), ("norm",), ("skip", "norm"), ("feed-forward",)])
def test_removing_a_part_changes_the_output(
    placement: NormPlacement, without: tuple[AblatedPart, ...]
) -> None:
    config = dataclasses.replace(CONFIG, norm_placement=placement)
    whole, ablated = _random_encoder(config), AblatedEncoder(config, without).eval()
    kept = {k: w for k, w in whole.state_dict().items() if k in ablated.state_dict()}
    ablated.load_state_dict(kept)
    assert not torch.allclose(whole(TOKENS, LENGTHS)[0], ablated(TOKENS, LENGTHS)[0])


def test_without_norms_only_the_embedding_norm_remains() -> None:
    names = [name for name, _ in AblatedEncoder(CONFIG, NORM).named_parameters()]
    assert [name for name in names if "norm" in name] == [
        "embedding.norm.weight",
        "embedding.norm.bias",
    ]


def test_without_skip_connections_a_block_with_zero_outputs_gives_zeros() -> None:
    encoder = AblatedEncoder(CONFIG, ("skip", "norm"))
    with torch.no_grad():
        for name, weight in encoder.named_parameters():
            if ".output." in name or ".down." in name:
                weight.zero_()
    assert not encoder.hidden_states(TOKENS, LENGTHS)[1].any()


def test_a_block_without_feed_forward_has_no_feed_forward_weights() -> None:
    names = [name for name, _ in AblatedEncoder(CONFIG, FEED_FORWARD).named_parameters()]
    assert not [name for name in names if "feed_forward" in name]


def test_glorot_weights_preserve_the_scale_of_the_input() -> None:
    linear = torch.nn.Linear(400, 400)
    initialize_glorot(linear, seed=0)
    x = torch.randn(100, 400, generator=torch.Generator().manual_seed(1))
    assert linear(x).std().item() == pytest.approx(1.0, rel=0.05)
    assert not linear.bias.any()


def test_glorot_weights_are_the_same_for_the_same_seed() -> None:
    first, second, other = (AblatedEncoder(CONFIG) for _ in range(3))
    for encoder, seed in ((first, 3), (second, 3), (other, 4)):
        initialize_glorot(encoder, seed)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(first.embedding.token.weight, other.embedding.token.weight)
