// Colors of points: categories, and numbers in the scale viridis.

import { colorOf } from "../../../pages/assets/base.js";

// The colors of Okabe and Ito (2008), and others that differ from them and from both backgrounds.
export const PALETTE = [
  [0, 114, 178],
  [230, 159, 0],
  [0, 158, 115],
  [204, 121, 167],
  [213, 94, 0],
  [86, 180, 233],
  [140, 107, 177],
  [153, 153, 51],
  [68, 170, 153],
  [170, 68, 153],
  [176, 125, 43],
  [102, 153, 204],
  [102, 166, 30],
  [231, 41, 138],
  [196, 156, 148],
  [94, 114, 196],
  [221, 204, 119],
  [242, 142, 142],
  [31, 158, 137],
  [178, 102, 102],
];

// Nine colors of viridis (van der Walt and Smith 2015), between which others are interpolated.
const VIRIDIS = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
];

export const STEPS = 256;

// The part of viridis that can be seen on a light and on a dark page.
const SEEN = { light: [0, 0.94], dark: [0.2, 1] };

export function isDark() {
  return colorOf("--back")[0] < 128;
}

export function viridis(share, dark) {
  const [first, last] = dark ? SEEN.dark : SEEN.light;
  const seen = first + Math.max(0, Math.min(1, share)) * (last - first);
  const place = seen * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  return VIRIDIS[low].map((part, at) => part + (place - low) * (VIRIDIS[low + 1][at] - part));
}

// The colors of a layer, three bytes each, and the place of each point's color among them. The last
// color is for missing values.
export function colorPoints(layer, missing, dark) {
  if (layer.kind === "category") {
    const colors = layer.categories.map((_, at) => PALETTE[at % PALETTE.length]);
    const slots = Uint16Array.from(layer.values, (code) => Math.min(code, colors.length));
    return { slots, table: Uint8Array.from([...colors, missing].flat()) };
  }
  const colors = Array.from({ length: STEPS }, (_, at) => viridis(at / (STEPS - 1), dark));
  const spread = layer.most - layer.least;
  const slots = Uint16Array.from(layer.values, (value) => {
    if (Number.isNaN(value)) return STEPS;
    return spread > 0 ? Math.round(((value - layer.least) / spread) * (STEPS - 1)) : STEPS / 2;
  });
  return { slots, table: Uint8Array.from([...colors, missing].flat()) };
}

// How many points have each category; after them others, and missing values.
export function countCategories(layer) {
  const counts = new Array(layer.categories.length + 2).fill(0);
  for (const code of layer.values) counts[placeOf(code, layer.categories.length)]++;
  return counts;
}

// The place of a code in the legend: the categories, then others (254), then missing values (255).
export function placeOf(code, categories) {
  return code < 254 ? code : categories + code - 254;
}

// How many values fall into each of equal parts of the range.
export function histogramOf(layer, bins) {
  const counts = new Array(bins).fill(0);
  const spread = layer.most - layer.least || 1;
  for (const value of layer.values) {
    if (Number.isNaN(value)) continue;
    counts[Math.min(bins - 1, Math.floor(((value - layer.least) / spread) * bins))]++;
  }
  return counts;
}

export function formatValue(kind, value) {
  if (Number.isNaN(value)) return "missing";
  if (kind === "share") return `${Math.round(100 * value)} %`;
  if (kind === "date") return new Date(value * 864e5).toISOString().slice(0, 10);
  return String(Number(value.toPrecision(6)));
}
