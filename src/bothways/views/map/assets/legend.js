// The legend: which colors mean what, and which points it shows.

import { colorOf, create, find, resizeCanvas } from "../../../pages/assets/base.js";
import {
  countCategories,
  formatValue,
  histogramOf,
  isDark,
  PALETTE,
  placeOf,
  viridis,
} from "./colors.js";

const BINS = 48;
const STEPS = 1000;
const HEIGHT = 58;

// 1 for each point that the legend shows; null for all.
export function legendMask(layer, filter) {
  const count = layer.values.length;
  if (layer.kind === "category") {
    if (filter.hidden.size === 0) return null;
    return Uint8Array.from(layer.values, (code) =>
      filter.hidden.has(placeOf(code, layer.categories.length)) ? 0 : 1,
    );
  }
  if (filter.low === 0 && filter.high === STEPS) return null;
  const mask = new Uint8Array(count);
  const least = valueAt(layer, filter.low);
  const most = valueAt(layer, filter.high);
  layer.values.forEach((value, point) => {
    mask[point] = value >= least && value <= most ? 1 : 0;
  });
  return mask;
}

export function everything() {
  return { hidden: new Set(), low: 0, high: STEPS };
}

export function nothing(layer) {
  if (layer.kind !== "category") return everything();
  return { ...everything(), hidden: new Set(countCategories(layer).keys()) };
}

function valueAt(layer, step) {
  // The ends are the values themselves, which arithmetic could miss.
  if (step === 0) return layer.least;
  if (step === STEPS) return layer.most;
  return layer.least + ((layer.most - layer.least) * step) / STEPS;
}

function rgb([red, green, blue]) {
  return `rgb(${Math.round(red)} ${Math.round(green)} ${Math.round(blue)})`;
}

// Shows the legend of a layer. onFilter: called with the filter when it has changed.
export function showLegend(layer, filter, onFilter) {
  const legend = find("legend");
  legend.replaceChildren();
  find("legend-title").textContent = layer.name;
  find("show-all").hidden = false;
  find("show-none").hidden = layer.kind !== "category";
  if (layer.kind === "category") fillCategories(legend, layer, filter, onFilter);
  else fillRange(legend, layer, filter, onFilter);
}

function fillCategories(legend, layer, filter, onFilter) {
  const names = [...layer.categories, "all others", "missing"];
  countCategories(layer).forEach((count, place) => {
    if (count === 0) return;
    const label = create("label");
    const box = create("input");
    box.type = "checkbox";
    box.checked = !filter.hidden.has(place);
    box.addEventListener("change", () => {
      const hidden = new Set(filter.hidden);
      if (box.checked) hidden.delete(place);
      else hidden.add(place);
      onFilter({ ...filter, hidden });
    });
    const swatch = create("span", "", "swatch");
    const known = place < layer.categories.length;
    swatch.style.background = rgb(known ? PALETTE[place % PALETTE.length] : colorOf("--control"));
    label.append(box, swatch, create("bdi", names[place]));
    label.append(create("span", count.toLocaleString("en"), "count"));
    legend.append(label);
  });
}

function fillRange(legend, layer, filter, onFilter) {
  const canvas = create("canvas");
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", `How often values of ${layer.name} occur`);
  legend.append(canvas);
  drawHistogram(canvas, layer, filter);
  const ends = create("div", "", "ends");
  for (const value of [layer.least, layer.most]) {
    ends.append(create("span", formatValue(layer.kind, value)));
  }
  legend.append(ends);
  for (const end of ["low", "high"]) {
    const label = create("label", "", "range");
    const input = create("input");
    input.type = "range";
    input.max = String(STEPS);
    input.value = String(filter[end]);
    const output = create("output", formatValue(layer.kind, valueAt(layer, filter[end])));
    input.addEventListener("input", () => {
      const step = Number(input.value);
      filter[end] = end === "low" ? Math.min(step, filter.high) : Math.max(step, filter.low);
      input.value = String(filter[end]);
      output.textContent = formatValue(layer.kind, valueAt(layer, filter[end]));
      drawHistogram(canvas, layer, filter);
      onFilter(filter, false);
    });
    label.append(create("span", end === "low" ? "from" : "to"), input, output);
    legend.append(label);
  }
}

function drawHistogram(canvas, layer, filter) {
  const width = canvas.parentElement.clientWidth - 4;
  const context = resizeCanvas(canvas, width, HEIGHT);
  const counts = histogramOf(layer, BINS);
  const most = Math.max(1, ...counts);
  const bar = width / BINS;
  counts.forEach((count, bin) => {
    const share = (bin + 0.5) / BINS;
    const inside = share >= filter.low / STEPS && share <= filter.high / STEPS;
    context.globalAlpha = inside ? 1 : 0.2;
    context.fillStyle = rgb(viridis(share, isDark()));
    const height = count === 0 ? 0 : 2 + (count / most) * (HEIGHT - 10);
    context.fillRect(bin * bar, HEIGHT - 6 - height, bar - 0.5, height);
    context.fillRect(bin * bar, HEIGHT - 5, bar + 0.5, 5);
  });
  context.globalAlpha = 1;
}
