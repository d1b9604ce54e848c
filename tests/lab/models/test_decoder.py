import pytest
import torch
from torch import Tensor

from bothways.lab.models.decoder import Decoder, View
from bothways.nn.lengths import Lengths

TOLERANCE = 1e-5
"""Of scores around 1 in float32: one sequence by itself, and as a row of a larger product."""

WIDTH, ENCODER_WIDTH, SYMBOLS = 8, 6, 5
SOURCES, TARGETS = Lengths([3, 6, 6]), Lengths([4, 2, 7])
VIEWS: tuple[View, ...] = ("fixed", "attended")


def make(view: View) -> Decoder:
    torch.manual_seed(0)
    decoder = Decoder(WIDTH, ENCODER_WIDTH, SYMBOLS, view, num_heads=2).eval()
    with torch.no_grad():
        decoder.output.weight.mul_(5)  # greedy choices are then not close
    return decoder


def example() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    y_SE = torch.randn(SOURCES.num_tokens, ENCODER_WIDTH, generator=generator)
    return y_SE, torch.randint(SYMBOLS, (TARGETS.num_tokens,), generator=generator)


@pytest.mark.parametrize("view", VIEWS)
def test_a_pair_has_the_same_scores_alone_and_in_company(view: View) -> None:
    decoder, (y_SE, targets_T) = make(view), example()
    scores_TV = decoder(y_SE, SOURCES, targets_T, TARGETS)
    assert scores_TV.shape == (TARGETS.num_tokens, SYMBOLS)
    parts = zip(
        torch.split(y_SE, list(SOURCES.each)),
        torch.split(targets_T, list(TARGETS.each)),
        torch.split(scores_TV, list(TARGETS.each)),
        strict=True,
    )
    for source, target, expected in parts:
        alone = decoder(source, Lengths([len(source)]), target, Lengths([len(target)]))
        assert torch.allclose(alone, expected, atol=TOLERANCE)


@pytest.mark.parametrize("view", VIEWS)
def test_a_step_sees_the_symbols_before_it_alone(view: View) -> None:
    decoder, (y_SE, targets_T) = make(view), example()
    scores_TV = decoder(y_SE, SOURCES, targets_T, TARGETS)
    changed_T = targets_T.clone()
    changed_T[2] = (changed_T[2] + 1) % SYMBOLS  # the third of the first target, of four
    differs_T = (decoder(y_SE, SOURCES, changed_T, TARGETS) != scores_TV).any(1)
    assert differs_T.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("view", VIEWS)
def test_greedy_symbols_are_the_likeliest_given_themselves(view: View) -> None:
    decoder, (y_SE, _) = make(view), example()
    said_BL = decoder.greedy(y_SE, SOURCES, 6)
    assert said_BL.shape == (3, 6)
    assert len(set(said_BL.flatten().tolist())) > 1
    scores_TV = decoder(y_SE, SOURCES, said_BL.flatten(), Lengths([6] * 3))
    assert torch.equal(scores_TV.argmax(1).view(3, 6), said_BL)


def test_the_fixed_vector_is_made_of_the_ends_and_attention_sees_what_is_between() -> None:
    y_SE, targets_T = example()
    inside = y_SE.clone()
    inside[1] += 1  # the second of the first source, of three
    for view, same in (("fixed", True), ("attended", False)):
        decoder = make("fixed" if view == "fixed" else "attended")
        before, after = (decoder(y, SOURCES, targets_T, TARGETS)[:4] for y in (y_SE, inside))
        assert torch.equal(before, after) == same


def test_both_views_have_as_many_weights() -> None:
    """Where encoder and decoder are of one width."""
    fixed, attended = (
        sum(weight.numel() for weight in Decoder(64, 64, 9, view, 4).parameters()) for view in VIEWS
    )
    assert abs(fixed - attended) <= 64  # a bias
