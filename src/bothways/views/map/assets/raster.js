// Points as pixels: blended into an array, which is faster than drawing circles.

// The pixels of a disc around a point: offsets, and how much of each the disc covers.
export function discOf(radius) {
  const reach = Math.ceil(radius);
  const pixels = [];
  for (let y = -reach; y <= reach; y++) {
    for (let x = -reach; x <= reach; x++) {
      const coverage = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x, y)));
      if (coverage > 0) pixels.push({ x, y, coverage });
    }
  }
  return pixels;
}

export function fillPixels(data, [red, green, blue]) {
  const color = new Uint8ClampedArray([red, green, blue, 255]);
  new Uint32Array(data.buffer).fill(new Uint32Array(color.buffer)[0]);
}

// Blends the points whose `visible` is `shown` over the pixels of an image. slots: for each point,
// the place of its color in `table`, three bytes each.
export function paintPoints(image, { points, camera, slots, table, visible, shown, disc, alpha }) {
  const { data, width, height } = image;
  const { scale, left, top } = camera;
  const count = disc.length;
  const offsets = Int32Array.from(disc, ({ x, y }) => 4 * (y * width + x));
  const shares = Float32Array.from(disc, ({ coverage }) => coverage * alpha);
  const reach = Math.max(...disc.map(({ x }) => x));
  for (let point = 0; point < slots.length; point++) {
    if (visible[point] !== shown) continue;
    const x = Math.round(points[2 * point] * scale + left);
    const y = Math.round(top - points[2 * point + 1] * scale);
    if (x < reach || y < reach || x >= width - reach || y >= height - reach) continue;
    const color = 3 * slots[point];
    const red = table[color];
    const green = table[color + 1];
    const blue = table[color + 2];
    const start = 4 * (y * width + x);
    for (let pixel = 0; pixel < count; pixel++) {
      const at = start + offsets[pixel];
      const share = shares[pixel];
      data[at] += (red - data[at]) * share;
      data[at + 1] += (green - data[at + 1]) * share;
      data[at + 2] += (blue - data[at + 2]) * share;
    }
  }
}

// The radius of a point in CSS pixels: smaller where there are many, larger when zoomed in.
export function radiusOf(count, zoom) {
  const base = Math.max(0.9, Math.min(4.5, 22 / Math.max(count, 1) ** 0.27));
  return Math.min(7, base * Math.max(1, zoom) ** 0.35);
}

// How opaque a point is: fainter where many lie on each other.
export function alphaOf(count, zoom) {
  const base = Math.max(0.3, Math.min(0.85, 3.4 / Math.max(count, 1) ** 0.2));
  return Math.min(0.9, base * Math.max(1, zoom) ** 0.3);
}
