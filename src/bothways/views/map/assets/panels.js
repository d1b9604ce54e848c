// What is read beside the map: the card of a point, the pinned point, and the list.

import { create, find, formatNumber } from "../../../pages/assets/base.js";
import { fillTable } from "../../assets/tables.js";
import { formatValue } from "./colors.js";

const SHORT = 90;

// The text of a point, or its id if it has none. Without ids in the page they are the numbers of rows.
export function nameOf(details, point) {
  const text = details?.texts?.[point];
  return text || idOf(details, point);
}

export function idOf(details, point) {
  return details?.ids?.[point] ?? String(point);
}

export function shortName(details, point) {
  const name = nameOf(details, point);
  return name.length > SHORT ? `${name.slice(0, SHORT)}…` : name;
}

// Names and values of a point, in order.
export function valuesOf(map, details, point) {
  const values = map.layers.map(({ name, kind, values, categories }) => {
    const value = values[point];
    if (kind !== "category") return [name, formatValue(kind, value)];
    return [name, categories[value] ?? (value === 255 ? "missing" : "another")];
  });
  const kept = `${map.kept[point]} of ${map.facts.neighbors}`;
  values[values.length - 1][1] = kept;
  return details?.texts?.[point] ? [["id", idOf(details, point)], ...values] : values;
}

export function neighborsOf(map, details, point) {
  const { listed } = map.facts;
  return Array.from({ length: listed }, (_, at) => ({
    point: details.neighbors[point * listed + at],
    cosine: details.cosines[point * listed + at],
  }));
}

// The card beside the pointer.
export function showCard(map, details, point, place) {
  const card = find("card");
  card.hidden = point === null;
  if (point === null) return;
  card.replaceChildren();
  const text = create("p");
  text.append(create("bdi", nameOf(details, point)));
  const under = valuesOf(map, details, point).map(([name, value]) => `${name}: ${value}`);
  card.append(text, create("p", under.join(" · "), "under"));
  const stage = card.parentElement;
  const left = place.x + 16 + card.offsetWidth > stage.clientWidth;
  const up = place.y + 16 + card.offsetHeight > stage.clientHeight;
  card.style.left = `${Math.max(4, left ? place.x - 16 - card.offsetWidth : place.x + 16)}px`;
  card.style.top = `${Math.max(4, up ? place.y - 16 - card.offsetHeight : place.y + 16)}px`;
}

// The panel of the pinned point.
export function showPoint(map, details, point, onChoose) {
  find("point-panel").hidden = point === null;
  if (point === null) return;
  find("point-title").textContent = details?.texts?.[point] ? "Pinned point" : idOf(details, point);
  const text = find("point-text");
  text.replaceChildren(create("bdi", details?.texts?.[point] ?? ""));
  text.hidden = !details?.texts?.[point];
  const list = find("point-values");
  list.replaceChildren();
  for (const [name, value] of valuesOf(map, details, point)) {
    const description = create("dd");
    description.append(create("bdi", value));
    list.append(create("dt", name), description);
  }
  if (details === null) return;
  fillTable(find("point-neighbors"), {
    caption: "Nearest by cosine of the vectors",
    columns: ["point", "cosine"],
    rows: neighborsOf(map, details, point).map(({ point: neighbor, cosine }) => ({
      name: shortName(details, neighbor),
      cells: [formatNumber(cosine)],
      value: Math.max(0, cosine),
      onChoose: () => onChoose(neighbor),
    })),
    most: 1,
  });
}

export function showList(details, { listed, count }, total, onChoose) {
  const every = count === total;
  find("list-title").textContent = every
    ? `${total.toLocaleString("en")} points`
    : `${count.toLocaleString("en")} of ${total.toLocaleString("en")} points`;
  const list = find("list");
  list.replaceChildren();
  for (const point of listed) {
    const item = create("li");
    const button = create("button");
    button.type = "button";
    button.append(create("bdi", shortName(details, point)));
    button.addEventListener("click", () => onChoose(point));
    item.append(button);
    list.append(item);
  }
  const rest = count - listed.length;
  find("list-rest").textContent = rest > 0 ? `and ${rest.toLocaleString("en")} more` : "";
}
