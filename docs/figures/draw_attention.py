"""Draw what four heads of an encoder attend to in one sentence.

    python docs/figures/draw_attention.py

Writes attention-maps.png beside this file, or into `--out`. The heads are those of minilm that the
page speaks of; `--model` and `--head` show others, `--sentence` another sentence.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

import bothways
from bothways.plotting.style import VERMILION, save_png

__all__ = ["HEADS", "SENTENCE", "View", "draw", "main"]

SENTENCE = "She gave the letter to the clerk at the bank, and the clerk put it in a drawer."


class View(NamedTuple):
    """A head, counted from 0, and what is to be said of it.

    pairs: words that ask and words that they look at, which are marked.
    """

    layer: int
    head: int
    title: str = ""
    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Layer and head, such as `3:1`."""
        layer, head = text.split(":")
        return cls(int(layer), int(head))

    def heading(self) -> str:
        """What stands above the map."""
        place = f"layer {self.layer}, head {self.head}"
        return f"{self.title}\n({place})" if self.title else place


HEADS = (
    View(0, 2, "The word before"),
    View(2, 9, "The same word again", (("clerk", "clerk"),)),
    View(
        1,
        7,
        "The noun that is to come",
        (("gave", "letter"), ("put", "drawer"), ("in", "drawer")),
    ),
    View(3, 1, "What “it” stands for", (("it", "letter"),)),
)


def draw(encoder: bothways.Encoder, sentence: str, views: Sequence[View]) -> Figure:
    """A map for each view, two in a row; all share the words and the scale of colors."""
    tokens = encoder.contextualize(sentence).tokens
    rows = (len(views) + 1) // 2
    side = 1.5 + 0.17 * len(tokens)
    layout = ConstrainedLayoutEngine(h_pad=0.14)
    figure = Figure((2 * side + 0.5, rows * (side + 0.25)), layout=layout)
    panels = figure.subplots(rows, 2, squeeze=False)
    for panel, view in zip(panels.flat, views, strict=False):
        (((shares_LM,),),) = (encoder.attention(sentence, layers=[view.layer], heads=[view.head]),)
        image = draw_map(panel, shares_LM, tokens)
        panel.set_title(view.heading(), fontsize=11)
        for asking, asked in view.pairs:
            mark(panel, tokens, asking, asked)
    for panel in panels.flat[len(views) :]:
        panel.axis("off")
    bar = figure.colorbar(image, ax=panels, shrink=0.4, aspect=25, pad=0.02)
    bar.set_label("share of the attention; each row sums to 1", fontsize=9)
    return figure


def draw_map(axes: Axes, shares_LM: np.ndarray, tokens: Sequence[str]) -> AxesImage:
    """One head: a row for each token that asks, a column for each that is asked."""
    image = axes.imshow(shares_LM, cmap="Blues", vmin=0, vmax=1)
    places = range(len(tokens))
    axes.set_xticks(places, tokens, rotation=90, fontsize=8.5, parse_math=False)
    axes.set_yticks(places, tokens, fontsize=8.5, parse_math=False)
    axes.set_xlabel("key: the token looked at", fontsize=9)
    axes.set_ylabel("query: the token that looks", fontsize=9)
    axes.tick_params(length=0)
    # White lines between the cells, so that a row can be followed to its word.
    axes.set_xticks([place - 0.5 for place in places[1:]], minor=True)
    axes.set_yticks([place - 0.5 for place in places[1:]], minor=True)
    axes.grid(which="minor", color="#E8E8E8", linewidth=0.6)
    axes.tick_params(which="minor", length=0)
    return image


def mark(axes: Axes, tokens: Sequence[str], asking: str, asked: str) -> None:
    """A frame around where one word looks at another; none around where it looks at itself."""
    for i, row in enumerate(tokens):
        for j, column in enumerate(tokens):
            if (row, column) == (asking, asked) and i != j:
                axes.add_patch(
                    Rectangle((j - 0.5, i - 0.5), 1, 1, fill=False, ec=VERMILION, lw=1.6, zorder=3)
                )


def main(arguments: Sequence[str] | None = None) -> None:
    """Load the model, and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--sentence", default=SENTENCE)
    parser.add_argument("--head", action="append", type=View.parse, metavar="LAYER:HEAD")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    chosen = parser.parse_args(arguments)
    figure = draw(bothways.load(chosen.model), chosen.sentence, chosen.head or HEADS)
    save_png(figure, chosen.out / "attention-maps.png")


if __name__ == "__main__":
    main()
