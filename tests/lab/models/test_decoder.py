import pytest
import torch
from torch import Tensor

from bothways.lab.models.decoder import ContextKind, Decoder
from bothways.nn.baselines import count_parameters
from bothways.nn.lengths import Lengths

TOLERANCE = 1e-5
"""For logits around 1 in float32, of one sequence alone or as a row of a larger product."""

WIDTH, ENCODER_WIDTH, SYMBOLS = 8, 6, 5
SOURCES, TARGETS = Lengths([3, 6, 6]), Lengths([4, 2, 7])
CONTEXTS: tuple[ContextKind, ...] = ("fixed", "attention")


def make(context: ContextKind) -> Decoder:
    torch.manual_seed(0)
    decoder = Decoder(WIDTH, ENCODER_WIDTH, SYMBOLS, context, num_heads=2).eval()
    with torch.no_grad():
        decoder.output.weight.mul_(5)  # avoids ties between symbols
    return decoder


def example() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    y_SE = torch.randn(SOURCES.num_tokens, ENCODER_WIDTH, generator=generator)
    return y_SE, torch.randint(SYMBOLS, (TARGETS.num_tokens,), generator=generator)


@pytest.mark.parametrize("context", CONTEXTS)
def test_the_logits_of_a_pair_do_not_depend_on_the_rest_of_the_batch(context: ContextKind) -> None:
    decoder, (y_SE, targets_T) = make(context), example()
    logits_TV = decoder(y_SE, SOURCES, targets_T, TARGETS)
    assert logits_TV.shape == (TARGETS.num_tokens, SYMBOLS)
    parts = zip(
        torch.split(y_SE, list(SOURCES.each)),
        torch.split(targets_T, list(TARGETS.each)),
        torch.split(logits_TV, list(TARGETS.each)),
        strict=True,
    )
    for source, target, expected in parts:
        alone = decoder(source, Lengths([len(source)]), target, Lengths([len(target)]))
        assert torch.allclose(alone, expected, atol=TOLERANCE)


@pytest.mark.parametrize("context", CONTEXTS)
def test_a_step_depends_on_the_previous_symbols_only(context: ContextKind) -> None:
    decoder, (y_SE, targets_T) = make(context), example()
    logits_TV = decoder(y_SE, SOURCES, targets_T, TARGETS)
    changed_T = targets_T.clone()
    changed_T[2] = (changed_T[2] + 1) % SYMBOLS  # the third of four symbols of the first target
    differs_T = (decoder(y_SE, SOURCES, changed_T, TARGETS) != logits_TV).any(1)
    assert differs_T.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("context", CONTEXTS)
def test_greedy_symbols_have_the_highest_logits_given_each_other(context: ContextKind) -> None:
    decoder, (y_SE, _) = make(context), example()
    decoded_BL = decoder.decode_greedily(y_SE, SOURCES, 6)
    assert decoded_BL.shape == (3, 6)
    assert len(set(decoded_BL.flatten().tolist())) > 1
    logits_TV = decoder(y_SE, SOURCES, decoded_BL.flatten(), Lengths([6] * 3))
    assert torch.equal(logits_TV.argmax(1).view(3, 6), decoded_BL)


def test_the_fixed_context_only_depends_on_the_end_states_unlike_attention() -> None:
    y_SE, targets_T = example()
    inside = y_SE.clone()
    inside[1] += 1  # the second of three states of the first source
    for context, same in (("fixed", True), ("attention", False)):
        decoder = make("fixed" if context == "fixed" else "attention")
        before, after = (decoder(y, SOURCES, targets_T, TARGETS)[:4] for y in (y_SE, inside))
        assert torch.equal(before, after) == same


def test_both_contexts_have_equally_many_parameters_at_equal_widths() -> None:
    fixed, attention = (
        count_parameters(Decoder(64, 64, 9, context, num_heads=4)) for context in CONTEXTS
    )
    assert abs(fixed - attention) <= 64  # a bias
