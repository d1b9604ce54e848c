"""How fast the page of a large map is in headless Chromium: first picture, panning, size.

PYTHONPATH=src:. python benchmarks/map_page.py --points 100000

The places and texts are synthetic, and the listed neighbors are those on the map, because what a
browser does with them does not depend on where they came from.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from tests.support.browser_session import BrowserPage, open_page

from bothways.views.map import VectorMap
from bothways.views.map.columns import parse_column
from bothways.views.map.neighbors import nearest_on_map

FRAMES = 60
WORDS = ("river", "bank", "loan", "water", "ship", "rain", "night", "train", "paper", "music")

PAN = """(async () => {
  const stage = document.getElementById("stage");
  stage.focus();
  const next = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const times = [];
  let before = await next();
  for (let frame = 0; frame < FRAMES; frame++) {
    const key = ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"][Math.floor(frame / 5) % 4];
    stage.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    const now = await next();
    times.push(now - before);
    before = now;
  }
  return times;
})()"""

WORK = """(async () => {
  const original = globalThis.requestAnimationFrame;
  const times = [];
  globalThis.requestAnimationFrame = (draw) =>
    original((now) => {
      const start = performance.now();
      draw(now);
      times.push(performance.now() - start);
    });
  const stage = document.getElementById("stage");
  stage.focus();
  for (let frame = 0; frame < FRAMES; frame++) {
    const key = ["ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"][Math.floor(frame / 5) % 4];
    stage.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    await new Promise((resolve) => original(() => original(resolve)));
  }
  globalThis.requestAnimationFrame = original;
  return times;
})()"""


def synthetic_map(points: int) -> VectorMap:
    """A map of points in 40 groups, with texts of about 80 characters."""
    rng = np.random.default_rng(0)
    clusters = np.sort(rng.integers(0, 40, points))
    centers = rng.standard_normal((40, 2)) * 6
    coordinates = (centers[clusters] + rng.standard_normal((points, 2))).astype(np.float32)
    neighbors = nearest_on_map(coordinates, 15)
    texts = [" ".join(rng.choice(WORDS, 14)) for _ in range(points)]
    return VectorMap(
        coordinates=coordinates,
        rows=np.arange(points),
        total=points,
        ids=[str(row) for row in range(points)],
        texts=[*texts],
        clusters=clusters,
        labels=[f"{WORDS[i % 10]}, {WORDS[i * 7 % 10]}" for i in range(40)],
        neighbors=neighbors,
        cosines=rng.random((points, 15), np.float32),
        kept=rng.integers(0, 16, points) / 15,
        trustworthiness=0.9,
        projection="umap",
        shares=None,
        columns=(parse_column("stars", rng.integers(1, 6, points), "stars"),),
    )


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--screenshot", type=Path)
    arguments = parser.parse_args()
    view = synthetic_map(arguments.points)
    # Chromium may still write into its profile.
    scratch_folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with scratch_folder as scratch, open_page(Path(scratch)) as page:
        started = time.perf_counter()
        path = view.save(Path(scratch) / "map.html")
        seconds = time.perf_counter() - started
        print(json.dumps({
            "points": arguments.points,
            "page MB": round(path.stat().st_size / 1e6, 2),
            "seconds to write": round(seconds, 2),
            **_measure(page, path),
        }, indent=2))  # fmt: skip
        if arguments.screenshot is not None:
            page.screenshot(arguments.screenshot)


def _measure(page: BrowserPage, path: Path) -> dict[str, float]:
    page.resize(1280, 900)
    page.open(path.as_uri())
    drawn = page.evaluate("performance.getEntriesByName('drawn')[0].startTime")
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    complete = page.evaluate("performance.now()")
    frames = page.evaluate(PAN.replace("FRAMES", str(FRAMES)))
    work = page.evaluate(WORK.replace("FRAMES", str(FRAMES)))
    return {
        "first paint ms": round(paint),
        "all points drawn ms": round(drawn),
        "texts and neighbors read ms": round(complete),
        "pan: from frame to frame, median ms": round(float(np.median(frames)), 1),
        "pan: script per frame, median ms": round(float(np.median(work)), 1),
        "pan: script per frame, 95th percentile ms": round(float(np.percentile(work, 95)), 1),
    }


if __name__ == "__main__":
    main()
