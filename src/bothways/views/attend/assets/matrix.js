// A matrix on a canvas, with the names of its rows and columns where they fit.

import { colorOf, resizeCanvas } from "../../../pages/assets/base.js";

const FONT = "12px system-ui, sans-serif";
const LARGEST_CELL = 30;
const SMALLEST_LABELED_CELL = 11;
const LONGEST_LABEL = 130;

// The size of cells and of the room for labels, in CSS pixels.
export function layOut(width, rows, columns, labelWidth) {
  const labeled = Math.floor((width - labelWidth) / columns) >= SMALLEST_LABELED_CELL;
  const margin = labeled ? labelWidth : 0;
  const fitting = Math.floor((width - margin) / columns);
  const cell = Math.max(2, Math.min(LARGEST_CELL, fitting));
  return { cell, left: margin, top: margin, rows, columns, labeled };
}

// The row and column under a point; null outside of the matrix.
export function cellAt(layout, x, y) {
  const column = Math.floor((x - layout.left) / layout.cell);
  const row = Math.floor((y - layout.top) / layout.cell);
  const inside = row >= 0 && column >= 0 && row < layout.rows && column < layout.columns;
  return inside ? { row, column } : null;
}

function shade(value, most) {
  const share = most > 0 ? Math.min(1, Math.abs(value) / most) : 0;
  const [red, green, blue] = colorOf(value < 0 ? "--minus-rgb" : "--accent-rgb");
  return `rgb(${red} ${green} ${blue} / ${share})`;
}

function shorten(context, text) {
  if (context.measureText(text).width <= LONGEST_LABEL - 8) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > LONGEST_LABEL - 8) end--;
  return `${text.slice(0, end)}…`;
}

function labelWidth(context, names) {
  const widths = names.map((name) => context.measureText(name).width);
  return Math.min(LONGEST_LABEL, Math.ceil(Math.max(...widths)) + 8);
}

function drawLabels(context, layout, rowNames, columnNames, chosen) {
  const [red, green, blue] = colorOf("--text");
  context.fillStyle = `rgb(${red} ${green} ${blue})`;
  context.textBaseline = "middle";
  context.textAlign = "right";
  rowNames.forEach((name, row) => {
    context.font = row === chosen.row ? `bold ${FONT}` : FONT;
    context.fillText(
      shorten(context, name),
      layout.left - 6,
      layout.top + (row + 0.5) * layout.cell,
    );
  });
  context.textAlign = "left";
  columnNames.forEach((name, column) => {
    context.save();
    context.font = column === chosen.column ? `bold ${FONT}` : FONT;
    context.translate(layout.left + (column + 0.5) * layout.cell, layout.top - 6);
    context.rotate(-Math.PI / 2);
    context.fillText(shorten(context, name), 0, 0);
    context.restore();
  });
}

function drawFrame(context, layout) {
  const [red, green, blue] = colorOf("--line");
  context.strokeStyle = `rgb(${red} ${green} ${blue})`;
  context.lineWidth = 1;
  const width = layout.columns * layout.cell;
  const height = layout.rows * layout.cell;
  context.strokeRect(layout.left - 0.5, layout.top - 0.5, width + 1, height + 1);
}

function drawChosen(context, layout, chosen) {
  const [red, green, blue] = colorOf("--text");
  context.strokeStyle = `rgb(${red} ${green} ${blue} / 0.75)`;
  context.lineWidth = 1;
  const { cell, left, top, rows, columns } = layout;
  if (chosen.row !== null) {
    context.strokeRect(left - 0.5, top + chosen.row * cell - 0.5, columns * cell + 1, cell + 1);
  }
  if (chosen.column !== null) {
    context.strokeRect(left + chosen.column * cell - 0.5, top - 0.5, cell + 1, rows * cell + 1);
  }
}

// Draws `value(row, column)` relative to `most`, and returns the layout. chosen: the row and the
// column that are marked, or null.
export function drawMatrix(canvas, { width, rowNames, columnNames, value, most, chosen }) {
  const measure = canvas.getContext("2d");
  measure.font = `bold ${FONT}`;
  const room = labelWidth(measure, [...rowNames, ...columnNames]);
  const layout = layOut(width, rowNames.length, columnNames.length, room);
  const { cell, left, top } = layout;
  const context = resizeCanvas(
    canvas,
    left + layout.columns * cell + 2,
    top + layout.rows * cell + 2,
  );
  if (!layout.labeled) {
    layout.left = 1;
    layout.top = 1;
  }
  const gap = cell >= 8 ? 1 : 0;
  for (let row = 0; row < layout.rows; row++) {
    for (let column = 0; column < layout.columns; column++) {
      const number = value(row, column);
      if (number === 0) continue;
      context.fillStyle = shade(number, most);
      context.fillRect(
        layout.left + column * cell,
        layout.top + row * cell,
        cell - gap,
        cell - gap,
      );
    }
  }
  drawFrame(context, layout);
  if (layout.labeled) drawLabels(context, layout, rowNames, columnNames, chosen);
  drawChosen(context, layout, chosen);
  return layout;
}

// Draws a square matrix as a small picture: each pixel the largest value that falls on it.
export function drawThumbnail(canvas, values, length, most, size) {
  const ratio = globalThis.devicePixelRatio || 1;
  const pixels = Math.min(length, Math.round(size * ratio));
  canvas.width = pixels;
  canvas.height = pixels;
  const context = canvas.getContext("2d");
  const image = context.createImageData(pixels, pixels);
  const front = colorOf("--accent-rgb");
  const back = colorOf("--back");
  const shares = new Float32Array(pixels * pixels);
  for (let row = 0; row < length; row++) {
    const y = Math.floor((row * pixels) / length) * pixels;
    for (let column = 0; column < length; column++) {
      const at = y + Math.floor((column * pixels) / length);
      const share = most > 0 ? values[row * length + column] / most : 0;
      if (share > shares[at]) shares[at] = share;
    }
  }
  shares.forEach((share, at) => {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * at + channel] = back[channel] + share * (front[channel] - back[channel]);
    }
    image.data[4 * at + 3] = 255;
  });
  context.putImageData(image, 0, 0);
}
