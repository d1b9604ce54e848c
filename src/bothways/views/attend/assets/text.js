// The tokens in their text, colored by numbers, and a series as lines.

import { create } from "../../../pages/assets/base.js";
import { createSvg } from "../../../pages/assets/svg.js";

const STRONGEST = 0.55;
const HEIGHT = 100;

// The pieces as elements. Returns the element of each position; several positions may share one.
export function fillTokens(container, sequence, { hidden, tags = null, role = "" }) {
  const elements = new Array(sequence.length).fill(null);
  container.replaceChildren();
  for (const [text, positions, kind] of sequence.pieces) {
    if (positions.length === 0) {
      container.append(create("span", text, kind));
      continue;
    }
    if (hidden?.[positions[0]]) continue;
    const boxed = sequence.isText ? "" : "boxed";
    const element = create("span", text, `token ${kind === "added" ? "added" : boxed}`);
    if (role) {
      element.setAttribute("role", role);
      element.setAttribute("aria-selected", "false");
      element.id = `token-${positions[0]}`;
    }
    const tag = tags?.get(positions[0]);
    if (tag) element.append(create("sub", tag));
    container.append(element);
    for (const position of positions) elements[position] = element;
  }
  return elements;
}

// Colors each element by the largest value of its positions, relative to `most`.
export function colorTokens(elements, values, most) {
  const shares = new Map();
  elements.forEach((element, position) => {
    const value = values[position];
    if (element === null) return;
    const share = value === null || most <= 0 ? 0 : value / most;
    if (Math.abs(share) >= Math.abs(shares.get(element) ?? 0)) shares.set(element, share);
  });
  for (const [element, share] of shares) {
    const color = share < 0 ? "--minus-rgb" : "--accent-rgb";
    const alpha = (STRONGEST * Math.min(1, Math.abs(share))).toFixed(3);
    element.style.backgroundColor = Math.abs(share) < 0.01 ? "" : `rgb(var(${color}) / ${alpha})`;
  }
}

// The channels of a series as lines, each scaled to its range, over a column for each position.
// Returns the columns.
export function fillSeries(svg, channels, positions, { onPoint, onPin }) {
  const length = channels[0].length;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${length} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute(
    "aria-label",
    `${channels.length} channels at ${length} positions, each scaled to its range`,
  );
  const columns = positions.map((position) => {
    const rect = createSvg("rect", { x: position, y: 0, width: 1, height: HEIGHT, fill: "none" });
    rect.setAttribute("pointer-events", "all");
    rect.addEventListener("pointerenter", () => onPoint(position));
    rect.addEventListener("pointerleave", () => onPoint(null));
    rect.addEventListener("click", () => onPin(position));
    svg.append(rect);
    return rect;
  });
  channels.forEach((values, channel) => {
    const least = Math.min(...values);
    const range = Math.max(...values) - least || 1;
    const points = values.map((value, at) => {
      const y = HEIGHT - 6 - ((value - least) / range) * (HEIGHT - 12);
      return `${at + 0.5},${y.toFixed(2)}`;
    });
    const line = createSvg("polyline", { points: points.join(" ") });
    line.setAttribute("stroke-opacity", String(1 - 0.6 * (channel / channels.length)));
    line.setAttribute("pointer-events", "none");
    svg.append(line);
  });
  return columns;
}

export function colorSeries(columns, values, most, chosen) {
  columns.forEach((rect, position) => {
    const share = most > 0 ? Math.min(1, values[position] / most) : 0;
    rect.style.fill = `rgb(var(--accent-rgb) / ${(STRONGEST * share).toFixed(3)})`;
    rect.style.stroke = position === chosen ? "var(--accent)" : "none";
    rect.style.strokeWidth = "0.15";
  });
}
