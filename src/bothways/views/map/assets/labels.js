// Labels on a map: as many as fit without overlap, the first before the others.

const GAP = 4;

// boxes: {x, y, width, height} around their centers. Returns those that are placed, moved inside of
// a window of this size.
export function placeLabels(boxes, width, height) {
  const placed = [];
  for (const box of boxes) {
    if (box.x < 0 || box.y < 0 || box.x > width || box.y > height) continue;
    const half = { x: box.width / 2 + GAP, y: box.height / 2 + GAP };
    const x = Math.max(half.x, Math.min(width - half.x, box.x));
    const y = Math.max(half.y, Math.min(height - half.y, box.y));
    const overlaps = placed.some(
      (other) =>
        Math.abs(other.x - x) < (other.width + box.width) / 2 + GAP &&
        Math.abs(other.y - y) < (other.height + box.height) / 2 + GAP,
    );
    if (!overlaps) placed.push({ ...box, x, y });
  }
  return placed;
}
