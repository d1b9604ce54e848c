// Tables with a bar in each row: the numbers behind what is drawn.

import { create, formatNumber } from "../../pages/assets/base.js";

function meter(value, most, signed) {
  const cell = create("td", "", "meter");
  const box = create("div");
  const bar = create("i", "", value < 0 ? "minus" : "");
  const share = most > 0 ? Math.min(1, Math.abs(value) / most) : 0;
  const width = signed ? share / 2 : share;
  bar.style.width = `${100 * width}%`;
  bar.style.left = `${100 * (signed ? (value < 0 ? 0.5 - width : 0.5) : 0)}%`;
  box.append(bar);
  cell.append(box);
  cell.setAttribute("aria-hidden", "true");
  return cell;
}

function nameButton(row) {
  const button = create("button", "", "name");
  button.type = "button";
  button.append(create("bdi", row.name));
  button.addEventListener("click", row.onChoose);
  return button;
}

// Fills a table. columns: the headings, with that of the bar last and unseen. rows: {name, cells,
// value, onChoose}, with a bar for the value, and a name that is a button if it can be chosen.
// signed: whether bars go both ways.
export function fillTable(table, { caption, columns, rows, signed = false, most = null }) {
  const limit = most ?? Math.max(0, ...rows.map((row) => Math.abs(row.value)));
  const head = create("tr");
  columns.forEach((name, at) => {
    const cell = create("th", name, at > 0 ? "number" : "");
    cell.scope = "col";
    head.append(cell);
  });
  const bars = create("td", "", "meter");
  bars.setAttribute("aria-hidden", "true");
  head.append(bars);
  const thead = create("thead");
  thead.append(head);
  const tbody = create("tbody");
  for (const row of rows) {
    const line = create("tr");
    const name = create("th");
    name.scope = "row";
    name.append(row.onChoose ? nameButton(row) : create("bdi", row.name));
    line.append(name);
    for (const cell of row.cells) {
      const text = typeof cell === "number" ? formatNumber(cell, signed) : cell;
      line.append(create("td", text, "number"));
    }
    line.append(meter(row.value, limit, signed));
    tbody.append(line);
  }
  table.replaceChildren();
  if (caption) table.append(create("caption", caption));
  table.append(thead, tbody);
}
