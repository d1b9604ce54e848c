// Attention as lines between two columns of tokens.

import { createSvg } from "../../../pages/assets/svg.js";

const LINE = 21;
const WIDTH = 460;
const LONGEST_NAME = 18;
const FAINTEST = 0.04;

// The lines that are drawn: of the chosen row or column if there is one, and else all that are not
// too faint; each with its opacity.
export function linesOf(map, shown, length, most, chosen, direction) {
  const lines = [];
  if (most <= 0) return lines;
  shown.forEach((row, i) => {
    shown.forEach((column, j) => {
      const end = direction === "from" ? row : column;
      if (chosen !== null && end !== chosen) return;
      const opacity = map.values[row * length + column] / most;
      if (opacity >= FAINTEST) lines.push({ from: i, to: j, opacity: Math.min(1, opacity) });
    });
  });
  return lines;
}

export function drawArcs(svg, { lines, names, chosen, direction, onPoint, onPin }) {
  const height = names.length * LINE + 8;
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${height}`);
  svg.setAttribute("width", WIDTH);
  svg.setAttribute("height", height);
  for (const { from, to, opacity } of lines) {
    svg.append(
      createSvg("line", {
        x1: WIDTH / 2 - 70,
        x2: WIDTH / 2 + 70,
        y1: (from + 0.5) * LINE + 4,
        y2: (to + 0.5) * LINE + 4,
        "stroke-width": 1 + 2 * opacity,
        "stroke-opacity": opacity,
      }),
    );
  }
  const sides = [
    ["end", WIDTH / 2 - 78, "from"],
    ["start", WIDTH / 2 + 78, "to"],
  ];
  for (const [anchor, x, side] of sides) {
    names.forEach((name, at) => {
      const short = name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
      const y = (at + 0.5) * LINE + 8;
      const text = createSvg("text", { x, y, "text-anchor": anchor }, short);
      if (side === direction) {
        text.setAttribute("class", at === chosen ? "chosen" : "");
        text.addEventListener("pointerenter", () => onPoint(at));
        text.addEventListener("pointerleave", () => onPoint(null));
        text.addEventListener("click", () => onPin(at));
      }
      svg.append(text);
    });
  }
}
