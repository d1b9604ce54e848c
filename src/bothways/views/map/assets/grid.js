// Points in cells, so that the one nearest to the pointer is found among few.

const SHIFT = 8;
const CELLS = 256;

// points: x and y of each, from 0 to 65,535.
export function makeGrid(points) {
  const count = points.length / 2;
  const cellOf = (point) => (points[2 * point + 1] >> SHIFT) * CELLS + (points[2 * point] >> SHIFT);
  const starts = new Uint32Array(CELLS * CELLS + 1);
  for (let point = 0; point < count; point++) starts[cellOf(point) + 1]++;
  for (let cell = 0; cell < CELLS * CELLS; cell++) starts[cell + 1] += starts[cell];
  const filled = starts.slice();
  const items = new Uint32Array(count);
  for (let point = 0; point < count; point++) items[filled[cellOf(point)]++] = point;
  return { starts, items, points };
}

// The visible point nearest to (x, y) within a distance; null if there is none.
export function nearestPoint(grid, x, y, distance, visible) {
  const { starts, items, points } = grid;
  const cell = (value) => Math.max(0, Math.min(CELLS - 1, Math.floor(value) >> SHIFT));
  let nearest = null;
  let least = distance * distance;
  for (let row = cell(y - distance); row <= cell(y + distance); row++) {
    const first = starts[row * CELLS + cell(x - distance)];
    const last = starts[row * CELLS + cell(x + distance) + 1];
    for (let at = first; at < last; at++) {
      const point = items[at];
      if (!visible[point]) continue;
      const square = (points[2 * point] - x) ** 2 + (points[2 * point + 1] - y) ** 2;
      if (square <= least) {
        least = square;
        nearest = point;
      }
    }
  }
  return nearest;
}
