"""Draw the screenshots of docs/looking.md: pages of minilm, in headless Chromium.

PYTHONPATH=src:. python scripts/draw_views.py docs/figures
"""

import sys
import tempfile
from pathlib import Path

from tests.support.browser_session import open_page

import bothways

WIDTH = 1180
TROPHY = "The trophy did not fit into the suitcase because it was too big"


def main(out: Path) -> None:
    """Write one PNG for each page."""
    encoder = bothways.load("minilm")
    one = encoder.attend(TROPHY)
    pair = encoder.attend("cheap flights to Rome", to="low-cost air travel, Italy")
    lines = Path("examples/sentences.txt").read_text(encoding="utf-8").splitlines()
    sentences = bothways.map(encoder.encode(lines), texts=lines, title="examples/sentences.txt")
    with tempfile.TemporaryDirectory() as scratch, open_page(Path(scratch)) as page:
        for name, view, fragment, height, dark in (
            ("map", sentences, "point=12", 880, False),
            ("map-kept", sentences, "color=1", 880, True),
            ("attend", one, "map=7&token=10", 1130, False),
            ("attend-pair", pair, "map=15&token=2", 1000, True),
        ):
            path = view.save(Path(scratch) / f"{name}.html")
            page.call("Emulation.setScrollbarsHidden", hidden=True)
            page.resize(WIDTH, height, dark=dark)
            page.open(f"{path.as_uri()}#{fragment}")
            page.screenshot(out / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
