// What tokens did: scores without each, and the parts of a cosine.

import { create, find, formatNumber } from "../../../pages/assets/base.js";
import { fillTable } from "../../assets/tables.js";
import { rank } from "./maps.js";
import { cellAt, drawMatrix } from "./matrix.js";
import { colorTokens, fillTokens } from "./text.js";

const LISTED = 20;

export function effectsOf(occlusion) {
  return occlusion.without.map((score) => (score === null ? null : occlusion.score - score));
}

// What an occlusion is about, within a sentence.
export function targetOf({ name, kind }) {
  return kind === "cosine" ? `the ${name}` : `“${name}”`;
}

function explain(occlusion) {
  const score = formatNumber(occlusion.score);
  const how = "The model ran again without each token";
  if (occlusion.name === "vector" && occlusion.kind === "cosine") {
    return `${how}: how far the vector of the sequence moved, as 1 less the cosine of the two vectors.`;
  }
  if (occlusion.kind === "cosine") {
    return `${how}: the cosine of the two sequences is ${score}, and each token changed it by its number.`;
  }
  const noun = occlusion.kind === "probability" ? "probability" : "value";
  return `${how}: the ${noun} of “${occlusion.name}” is ${score}, and each token changed it by its number.`;
}

export function showEffects(sequence, state, names) {
  const occlusion = sequence.occlusions[state.target];
  find("effects-panel").hidden = occlusion === undefined;
  if (occlusion === undefined) return;
  const effects = effectsOf(occlusion);
  const most = Math.max(0, ...effects.map((effect) => Math.abs(effect ?? 0)));
  find("effects-note").textContent = explain(occlusion);
  find("effects-key").hidden = !effects.some((effect) => effect !== null && effect < 0);
  find("target-label").hidden = sequence.occlusions.length < 2;
  const elements = fillTokens(find("effects-text"), sequence, { hidden: sequence.added });
  colorTokens(elements, effects, most);
  elements.forEach((element, position) => {
    if (element !== null && effects[position] !== null) {
      element.title = `${names[position]}: ${formatNumber(effects[position], true)}`;
    }
  });
  const signed = effects.some((effect) => effect !== null && effect < 0);
  fillTable(find("effects"), {
    columns: ["token", "position", "effect", "score without it"],
    rows: rank(effects, LISTED).map((position) => ({
      name: names[position],
      cells: [
        String(position),
        formatNumber(effects[position], true),
        formatNumber(occlusion.without[position]),
      ],
      value: effects[position],
    })),
    signed,
  });
}

export function fillTargets(sequence) {
  find("target").replaceChildren(
    ...sequence.occlusions.map((occlusion, at) => {
      const option = create("option", occlusion.name);
      option.value = String(at);
      return option;
    }),
  );
}

// The matrix of the parts of a cosine, with the sums of its rows and columns on demand.
export function showParts(sequence, names, otherNames) {
  const panel = find("parts-panel");
  panel.hidden = sequence.parts === null;
  if (sequence.parts === null) return;
  const columns = otherNames.length;
  const { parts } = sequence;
  const value = (row, column) => parts[row * columns + column];
  const most = Math.max(...parts.map(Math.abs));
  find("parts-note").textContent =
    `The cosine of the two sequences, ${formatNumber(sequence.cosine)}, is the sum of these numbers: one for each token of this sequence (rows) and of the other (columns), as the vectors are means over tokens. Each token is read in its context, special tokens count, and words alike in meaning need not have the largest part.`;
  const canvas = find("parts");
  canvas.setAttribute(
    "aria-label",
    `Matrix of ${names.length} by ${columns} parts of the cosine; the table lists the largest`,
  );
  const draw = (chosen) =>
    drawMatrix(canvas, {
      width: find("parts-figure").clientWidth - 4,
      rowNames: names,
      columnNames: otherNames,
      value,
      most,
      chosen,
    });
  const layout = draw({ row: null, column: null });
  canvas.onpointermove = (event) => {
    const cell = cellAt(layout, event.offsetX, event.offsetY);
    draw(cell ?? { row: null, column: null });
    find("parts-readout").textContent = cell
      ? describePart(parts, columns, cell, names, otherNames)
      : "";
  };
  canvas.onpointerleave = () => draw({ row: null, column: null });
  fillTable(find("parts-table"), {
    columns: ["token", "of the other", "part"],
    rows: rank(parts, LISTED).map((at) => ({
      name: names[Math.floor(at / columns)],
      cells: [otherNames[at % columns], formatNumber(parts[at], true)],
      value: parts[at],
    })),
    signed: parts.some((part) => part < 0),
  });
}

function describePart(parts, columns, { row, column }, names, otherNames) {
  let ofRow = 0;
  for (let at = 0; at < columns; at++) ofRow += parts[row * columns + at];
  let ofColumn = 0;
  for (let at = column; at < parts.length; at += columns) ofColumn += parts[at];
  const part = formatNumber(parts[row * columns + column], true);
  return `“${names[row]}” with “${otherNames[column]}”: ${part}. All of “${names[row]}”: ${formatNumber(ofRow, true)}; all of “${otherNames[column]}”: ${formatNumber(ofColumn, true)}.`;
}
