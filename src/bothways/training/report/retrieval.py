"""Report sections on retrieval, for contrast: ranks of positives, and the worst ones.

B anchors, each with its positive.
"""

import numpy as np

from bothways.training.objectives.metrics import recall_at
from bothways.training.report.held_out import HeldOutResults, MarkdownSection
from bothways.training.report.markdown import plain, table

__all__ = ["retrieval"]

CUT_OFFS = (1, 3, 10, 30, 100)
MAX_MISTAKES = 20


def retrieval(
    held_out: HeldOutResults, ranks: np.ndarray
) -> tuple[MarkdownSection, MarkdownSection]:
    """Sections on the rank of each anchor's positive among all positives and negatives, (B,)."""
    recalls = ([f"{k}", f"{100 * recall_at(k, ranks):.1f} %"] for k in CUT_OFFS)
    text = (
        f"Each of {len(ranks):,} anchors retrieves its positive from all positives and negatives. "
        f"The median rank is {np.median(ranks):.0f}."
    )
    worst = np.argsort(-ranks, kind="stable")[:MAX_MISTAKES].tolist()
    rows = ([plain(held_out.place(i)), f"{ranks[i]:,}", plain(held_out.text(i))] for i in worst)
    return (
        MarkdownSection(
            "Retrieval", f"{text}\n\n{table(['rank up to', 'positives found'], recalls)}"
        ),
        MarkdownSection("Worst ranks", table(["where", "rank", "text"], rows)),
    )
