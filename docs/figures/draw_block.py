"""Draw the encoder block: whole, its two placements of the norm, and the inside of its attention.

    python docs/figures/draw_block.py

Writes encoder-block.svg, norm-placement.svg and attention.svg beside this file, or into `--out`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from diagrams import ATTENTION, EMBEDDING, FEED_FORWARD, NORM, PLAIN, SOFT, Box, Page

__all__ = ["FIGURES", "main"]

WORDS = ("[CLS]", "a", "river", "bank", "[SEP]")
PITCH = 0.62
"""Inches from token to token."""


def encoder() -> Page:
    """The encoder from its tokens to its vectors, with the reference's names of its parts."""
    page = Page(7.2, 8.4)
    x, skip = 2.8, 1.22
    embedding, total = _input(page, x)
    page.frame(Box(2.65, 4.95, 3.55, 4.0))
    page.text(0.5, 4.95, "N ×", size=17)

    attention = page.box(x, 3.9, "Multi-head\nself-attention", ATTENTION, height=0.62)
    first = page.box(x, 4.75, "Add & norm", NORM)
    forward = page.box(x, 5.65, "Feed-forward", FEED_FORWARD)
    second = page.box(x, 6.45, "Add & norm", NORM)
    page.arrow(total.top, attention.bottom)
    for side, letter in ((-0.6, "Q"), (0.0, "K"), (0.6, "V")):
        page.arrow((x, 3.33), (x + side, 3.33), (x + side, attention.bottom[1]))
        page.text(x + side + 0.07, 3.47, letter, align="left", size=8, color=SOFT)
    for below, above in ((attention, first), (first, forward), (forward, second)):
        page.arrow(below.top, above.bottom)
    page.arrow((x, 3.14), (skip, 3.14), (skip, first.y), first.left)
    page.arrow((x, 5.2), (skip, 5.2), (skip, second.y), second.left)
    _output(page, second)

    for box, code, note in (
        (embedding, "embed(values, w, config)", "from (L,) to (L, D), positions and all"),
        (attention, "self_attention(x, w, …)", "mixes the positions, in H heads"),
        (first, "normalize(x + mixed, w, …)", "each position by itself"),
        (forward, "feed_forward(x, w, config)", "each by itself: D, F, and D wide again"),
        (second, "normalize(x + …, w, …)", "each position by itself"),
    ):
        page.leader((box.right[0] + 0.06, box.y), (4.6, box.y))
        page.text(4.67, box.y + 0.09, code, code=True, align="left")
        page.text(4.67, box.y - 0.11, note, color=SOFT, align="left", size=8.5)
    return page


def _input(page: Page, x: float) -> tuple[Box, Box]:
    """Tokens, their embedding, and the sum with their positions."""
    page.text(x, 0.24, "L tokens", color=SOFT)
    embedding = page.box(x, 1.5, "Input embedding", EMBEDDING)
    for place, word in enumerate(WORDS):
        token = page.box(x + PITCH * (place - 2), 0.62, word, PLAIN, width=0.56, height=0.3)
        page.arrow(token.top, (token.x, 1.02), (x, 1.02), head=False)
    page.arrow((x, 1.02), embedding.bottom)
    total = page.plus(x, 2.2)
    positions = page.wave(1.5, 2.2)
    page.text(1.24, 2.2, "Positions", align="right", size=10.5)
    page.arrow(embedding.top, total.bottom)
    page.arrow(positions.right, total.left)
    page.text(x + 0.1, 2.62, "(L, D)", align="left", size=8.5, color=SOFT)
    return embedding, total


def _output(page: Page, last: Box) -> None:
    """A vector above each token."""
    page.arrow(last.top, (last.x, 7.25))
    page.text(last.x + 0.1, 7.1, "(L, D)", align="left", size=8.5, color=SOFT)
    for place in range(len(WORDS)):
        shades = [((3 * place + 5 * row) % 7) / 8 for row in range(4)]
        page.vector(last.x + PITCH * (place - 2), 7.6, shades)
    page.text(last.x, 8.13, "a vector for each token, made with all the others in view", size=10.5)


def placements() -> Page:
    """Post-norm and pre-norm side by side."""
    page = Page(7.2, 6.0)
    _stack(page, 2.0, ("part", "sum", "norm"), "Post-norm", "Vaswani et al. 2017; BERT, MiniLM")
    _stack(page, 5.5, ("norm", "part", "sum"), "Pre-norm", "Xiong et al. 2020; ModernBERT")
    return page


def _stack(page: Page, x: float, order: Sequence[str], title: str, source: str) -> None:
    """Both sublayers of a block, their pieces in `order` from below."""
    page.text(x, 5.75, title, size=12, bold=True)
    page.text(x, 5.52, source, size=9, color=SOFT)
    page.text(x, 0.22, "x", size=11)
    below, y = (x, 0.38), 0.66
    for name, fill in (("Self-attention", ATTENTION), ("Feed-forward", FEED_FORWARD)):
        fork, total = y, Box(x, y, 0, 0)
        for kind in order:
            y += 0.52 if kind == "norm" else 0.6
            if kind == "sum":
                piece = total = page.plus(x, y)
            elif kind == "norm":
                piece = page.box(x, y, "Norm", NORM, height=0.38)
            else:
                piece = page.box(x, y, name, fill)
            page.arrow(below, piece.bottom)
            below = piece.top
        page.arrow((x, fork), (x - 1.35, fork), (x - 1.35, total.y), total.left)
        y += 0.46
    page.arrow(below, (x, 5.3))


def attention() -> Page:
    """From two sequences to what each position of the one draws from the other."""
    page = Page(7.2, 7.5)
    q, k, v, asked = 1.75, 3.75, 5.75, 4.75
    for x, shape, words in (
        (q, "x  (L, D)", "the sequence that asks"),
        (asked, "y  (M, D)", "the sequence that is asked"),
    ):
        page.text(x, 0.46, shape, size=11)
        page.text(x, 0.2, words, color=SOFT)
    page.text((q + asked) / 2, 0.46, "self-attention: x = y", size=9.5)

    query, key, value = (
        page.box(x, 1.45, name, ATTENTION, width=1.3, copies=3)
        for x, name in ((q, "Queries"), (k, "Keys"), (v, "Values"))
    )
    page.arrow((q, 0.65), query.bottom)
    for box in (key, value):
        page.arrow((asked, 0.65), (asked, 0.92), (box.x, 0.92), box.bottom)

    middle = (q + k) / 2
    scores = page.box(middle, 2.75, "Scores  q kᵀ / √K", PLAIN, copies=3)
    for box, shape, side in ((query, "q  (H, L, K)", -0.5), (key, "k  (H, M, K)", 0.5)):
        into = middle + side
        page.arrow(box.top, (box.x, 2.2), (into, 2.2), (into, scores.bottom[1]))
        page.text(box.x + 0.12, 2.02, shape, align="left", size=8.5, color=SOFT)
    softmax = page.box(middle, 3.75, "Softmax over the keys", PLAIN, copies=3)
    mixed = page.box(asked, 4.85, "Probabilities × values", PLAIN, copies=3)
    _probabilities(page, softmax)
    page.arrow(scores.top, softmax.bottom)
    page.arrow(softmax.top, (middle, mixed.y), mixed.left)
    page.arrow(value.top, (v, 4.2), (asked + 0.5, 4.2), (asked + 0.5, mixed.bottom[1]))
    page.text(v + 0.12, 2.02, "v  (H, M, K)", align="left", size=8.5, color=SOFT)
    for x, y in ((middle, 3.4), (middle, 4.3)):
        page.text(x - 0.1, y, "(H, L, M)", align="right", size=8.5, color=SOFT)

    joined = page.box(asked, 5.8, "Heads side by side", PLAIN)
    output = page.box(asked, 6.55, "Output", ATTENTION, width=1.3)
    for below, above, shape in ((mixed, joined, "(H, L, K)"), (joined, output, "(L, D)")):
        page.arrow(below.top, above.bottom)
        height = above.bottom[1] - 0.16
        page.text(asked - 0.1, height, shape, align="right", size=8.5, color=SOFT)
    page.arrow(output.top, (asked, 7.05))
    page.text(asked, 7.22, "what x draws from y  (L, D)", size=10.5)
    page.box(0.5, 6.55, "", ATTENTION, width=0.36, height=0.24)
    page.text(0.78, 6.55, "a linear map, learned", align="left", color=SOFT)
    return page


def _probabilities(page: Page, softmax: Box) -> None:
    """A map of five positions that ask and five that are asked."""
    scores = [[(7 * i * i + 3 * j * (i + 2)) % 9 for j in range(5)] for i in range(5)]
    weights = [[2.0**score for score in row] for row in scores]
    shares = [[weight / sum(row) for weight in row] for row in weights]
    page.grid(0.62, softmax.y + 0.02, shares)
    page.leader((1.05, softmax.y), (softmax.left[0] - 0.06, softmax.y))
    page.text(0.62, softmax.y - 0.5, "rows sum to 1", size=8.5, color=SOFT)


FIGURES = {"encoder-block": encoder, "norm-placement": placements, "attention": attention}


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--format", default="svg", choices=("svg", "png", "pdf"))
    chosen = parser.parse_args(arguments)
    for name, draw in FIGURES.items():
        draw().save(chosen.out / f"{name}.{chosen.format}")


if __name__ == "__main__":
    main()
