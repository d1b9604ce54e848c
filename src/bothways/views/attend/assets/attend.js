// The view of attention: reads the data of the page, draws it, and answers pointer and keyboard.

import {
  copyText,
  create,
  find,
  formatNumber,
  onThemeChange,
  readJson,
  saveCanvas,
  toTsv,
} from "../../../pages/assets/base.js";
import { fillTable } from "../../assets/tables.js";
import { drawArcs, linesOf } from "./arcs.js";
import { effectsOf, fillTargets, showEffects, showParts, targetOf } from "./effects.js";
import { columnOf, orderMaps, rank, rowOf } from "./maps.js";
import { cellAt, drawMatrix, drawThumbnail } from "./matrix.js";
import {
  EXPLANATIONS,
  fromHash,
  listMaps,
  profileMaps,
  readMap,
  readSequences,
  toHash,
} from "./state.js";
import { colorSeries, colorTokens, fillSeries, fillTokens } from "./text.js";

const THUMBNAIL = 40;
const LISTED = 16;
const LONG = 100;

let view = null;
let sequences = [];
let state = null;
let places = [];
let profiles = [];
let map = null;
let elements = [];
let seriesColumns = [];
let layout = null;

function current() {
  return sequences[state.sequence];
}

// The position whose row or column is shown: pointed at, else pinned, else the first that counts.
function chosenPosition() {
  if (state.pointed !== null) return state.pointed;
  if (state.pinned !== null) return state.pinned;
  const first = current().added.indexOf(0);
  return Math.max(first, 0);
}

function shownPositions() {
  const { added, length } = current();
  return Array.from({ length }, (_, at) => at).filter((at) => !(state.hide && added[at]));
}

// The names of positions as the page shows them: the text that a token covers, or its name.
function namesOf(sequence) {
  const names = [...sequence.tokens];
  for (const [text, positions, kind] of sequence.pieces) {
    if (kind === "token" && positions.length === 1) names[positions[0]] = text.replace(/\s+/g, " ");
  }
  return names;
}

function weightsOf(position) {
  const { length } = current();
  return state.direction === "from"
    ? rowOf(map, position, length)
    : columnOf(map, position, length);
}

function showFacts() {
  const sequence = current();
  const cut = sequence.truncated ? ", cut to what the model takes" : "";
  find("facts").textContent = `${view.model}; ${sequence.length} tokens${cut}`;
  find("rounding").textContent =
    sequence.length <= sequence.fullTokens
      ? "A probability p is kept in one byte, as 255 √p rounded: what is shown differs by less than 0.004 from what the model computed."
      : `Of each row the page has the ${sequence.kept} largest probabilities and the sum of the others; each is kept in one byte, as 255 √p rounded, and differs by less than 0.004 from what the model computed.`;
}

function showTokens() {
  const sequence = current();
  const container = find("tokens");
  const tags = new Map();
  for (const { position, names } of sequence.tokenPredictions) {
    if (names[0] !== "O") tags.set(position, names[0]);
  }
  const hidden = state.hide ? sequence.added : null;
  elements = fillTokens(container, sequence, { hidden, tags, role: "option" });
  for (const id of ["tokens", "effects-text"]) {
    find(id).classList.toggle("long", sequence.length > LONG);
  }
  find("tokens-title").textContent = sequence.values === null ? "Tokens" : "Positions";
  elements.forEach((element, position) => {
    if (element === null || element.id !== `token-${position}`) return;
    element.addEventListener("pointerenter", () => point(position));
    element.addEventListener("pointerleave", () => point(null));
    element.addEventListener("click", () => pin(position));
  });
  const svg = find("series");
  svg.toggleAttribute("hidden", sequence.values === null);
  seriesColumns =
    sequence.values === null
      ? []
      : fillSeries(
          svg,
          sequence.values,
          Array.from({ length: sequence.length }, (_, at) => at),
          { onPoint: point, onPin: pin },
        );
}

function showSelected() {
  const sequence = current();
  const position = chosenPosition();
  const weights = weightsOf(position);
  const most = Math.max(...weights);
  colorTokens(elements, weights, most);
  colorSeries(seriesColumns, weights, most, position);
  elements.forEach((element) => {
    element?.setAttribute("aria-selected", "false");
    element?.classList.remove("pinned");
  });
  const element = elements[position];
  element?.setAttribute("aria-selected", "true");
  if (state.pinned !== null) elements[state.pinned]?.classList.add("pinned");
  if (element) find("tokens").setAttribute("aria-activedescendant", element.id);
  const names = namesOf(sequence);
  find("readout").textContent = describe(sequence, names, position, weights);
  showRow(sequence, names, position, weights);
  drawLarge(position);
}

function describe(sequence, names, position, weights) {
  const [strongest] = rank(weights, 1);
  const verb = state.direction === "from" ? "attends most to" : "is attended to most by";
  const parts = [`Token ${position}, “${names[position]}”`];
  if (strongest !== undefined) {
    parts[0] += `, ${verb} “${names[strongest]}” (${formatNumber(weights[strongest])})`;
  }
  const occlusion = sequence.occlusions[state.target];
  const effect = occlusion ? effectsOf(occlusion)[position] : null;
  if (effect !== null)
    parts.push(`effect on ${targetOf(occlusion)}: ${formatNumber(effect, true)}`);
  const prediction = sequence.tokenPredictions.find((item) => item.position === position);
  if (prediction) {
    const shares = prediction.names.map(
      (name, at) => `${name} ${formatNumber(prediction.probabilities[at])}`,
    );
    parts.push(`predicted: ${shares.join(", ")}`);
  }
  return `${parts.join("; ")}.`;
}

function showRow(sequence, names, position, weights) {
  const verb = state.direction === "from" ? "attends to" : "is attended to by";
  find("row-title").textContent = `“${names[position]}” ${verb}`;
  const rows = rank(weights, LISTED).map((at) => ({
    name: names[at],
    cells: [String(at), formatNumber(weights[at])],
    value: weights[at],
  }));
  if (state.direction === "from" && map.rest[position] > 0) {
    const rest = map.rest[position];
    rows.push({ name: "all others", cells: ["", formatNumber(rest)], value: rest });
  }
  const noun = state.measure === "norms" ? "weight" : "attention";
  fillTable(find("row"), { columns: ["token", "position", noun], rows });
  find("copy").onclick = (event) => {
    const lines = Array.from(weights, (weight, at) => [at, names[at], weight.toPrecision(6)]);
    copyText(toTsv([["position", "token", noun], ...lines]), event.currentTarget);
  };
  const { length } = sequence;
  find("row").setAttribute("aria-label", `The ${rows.length} largest of ${length}`);
}

function showHeads() {
  const sequence = current();
  const group = find("heads");
  group.replaceChildren();
  const order = orderMaps(profiles, state.order);
  const grid = state.order === "model" && places.some((place) => place.head !== null);
  group.style.gridTemplateColumns = grid
    ? `max-content repeat(${sequence.heads}, minmax(26px, 46px))`
    : "repeat(auto-fill, 46px)";
  if (grid) {
    group.append(create("span", "", "name"));
    for (let head = 0; head < sequence.heads; head++) {
      group.append(create("span", String(head + 1), "name top"));
    }
  }
  for (const at of order) {
    const place = places[at];
    if (grid && place.head === 0) {
      group.append(create("span", `Layer ${sequence.layers[place.layer] + 1}`, "name"));
    }
    group.append(headButton(sequence, place, at, !grid));
  }
}

function headButton(sequence, place, at, named) {
  const button = create("button");
  button.type = "button";
  button.title = place.name;
  if (!named) button.setAttribute("aria-label", place.name);
  button.setAttribute("aria-pressed", String(at === state.map));
  const canvas = create("canvas");
  const small = readMap(sequence, state.measure, place, state.hide);
  drawThumbnail(canvas, small.values, sequence.length, small.most, THUMBNAIL);
  button.append(canvas);
  if (named) button.append(create("small", shortName(sequence, place)));
  button.addEventListener("click", () => change({ map: at }));
  return button;
}

function shortName(sequence, place) {
  if (place.layer === null) return "all";
  const layer = sequence.layers[place.layer] + 1;
  return place.head === null ? `L${layer}` : `L${layer} H${place.head + 1}`;
}

function showMap() {
  const sequence = current();
  const place = places[state.map];
  map = readMap(sequence, state.measure, place, state.hide);
  find("map-title").textContent = place.name;
  const profile = profiles[state.map];
  const percent = (share) => `${Math.round(100 * share)} %`;
  find("profile").textContent =
    `On average ${profile.entropy.toFixed(1)} bits of entropy, ${profile.distance.toFixed(1)} positions away; on the token itself ${percent(profile.self)}, the previous ${percent(profile.previous)}, the next ${percent(profile.next)}, special tokens ${percent(profile.special)}.`;
  for (const [at, button] of find("heads").querySelectorAll("button").entries()) {
    const order = orderMaps(profiles, state.order);
    button.setAttribute("aria-pressed", String(order[at] === state.map));
  }
}

function drawLarge(position) {
  const sequence = current();
  const shown = shownPositions();
  const names = namesOf(sequence);
  const shownNames = shown.map((at) => names[at]);
  const isMatrix = state.shape === "matrix";
  find("matrix").hidden = !isMatrix;
  find("arcs").toggleAttribute("hidden", isMatrix);
  find("download").hidden = !isMatrix;
  const label = `${places[state.map].name} over ${shown.length} tokens; the table lists the numbers of one`;
  find("matrix").setAttribute("aria-label", label);
  find("arcs").setAttribute("aria-label", label);
  const chosen = shown.indexOf(position);
  if (isMatrix) {
    const marked = chosen < 0 ? null : chosen;
    layout = drawMatrix(find("matrix"), {
      width: Math.min(760, find("figure").clientWidth - 4),
      rowNames: shownNames,
      columnNames: shownNames,
      value: (row, column) => map.values[shown[row] * sequence.length + shown[column]],
      most: map.most,
      chosen: {
        row: state.direction === "from" ? marked : null,
        column: state.direction === "to" ? marked : null,
      },
    });
    return;
  }
  const only = state.pinned ?? state.pointed;
  drawArcs(find("arcs"), {
    lines: linesOf(map, shown, sequence.length, map.most, only, state.direction),
    names: shownNames,
    chosen,
    direction: state.direction,
    onPoint: (at) => point(at === null ? null : shown[at]),
    onPin: (at) => pin(shown[at]),
  });
}

function showPredictions() {
  const { predictions } = current();
  find("predictions-panel").hidden = predictions.length === 0;
  if (predictions.length === 0) return;
  const isValue = predictions[0].kind === "value";
  fillTable(find("predictions"), {
    columns: [isValue ? "name" : "label", isValue ? "value" : "probability"],
    rows: predictions.map(({ name, value }) => ({ name, cells: [formatNumber(value)], value })),
    signed: predictions.some(({ value }) => value < 0),
    most: isValue ? null : 1,
  });
}

function showSimilarity() {
  const sequence = current();
  const names = namesOf(sequence);
  showEffects(sequence, state, names);
  const last = sequences.length - 1;
  const other = sequences[state.sequence === last ? 0 : last];
  showParts(sequence, names, namesOf(other));
}

function showControls() {
  const sequence = current();
  find("sequence").value = String(state.sequence);
  find("measure").value = state.measure;
  find("measure").querySelector('[value="rollout"]').disabled = !sequence.hasRollout;
  find("direction").value = state.direction;
  find("hide").checked = state.hide;
  find("order").value = state.order;
  find("order").disabled = places.every((place) => place.head === null);
  find("shape").value = state.shape;
  const hiding =
    state.hide && state.measure !== "norms"
      ? " Special tokens are hidden, and rows sum to 1 without them."
      : "";
  find("explanation").textContent = EXPLANATIONS[state.measure] + hiding;
}

function showAll() {
  const sequence = current();
  places = listMaps(sequence, state.measure);
  state.map = Math.min(state.map, places.length - 1);
  profiles = profileMaps(sequence, places);
  fillTargets(sequence);
  find("target").value = String(state.target);
  showControls();
  showFacts();
  showTokens();
  showPredictions();
  showSimilarity();
  showHeads();
  showMap();
  showSelected();
}

function remember() {
  try {
    history.replaceState(null, "", `#${toHash(state)}`);
  } catch {
    // A page inside of another has no address of its own.
  }
}

// Changes the state and draws what depends on it.
function change(changes) {
  Object.assign(state, changes);
  const names = Object.keys(changes);
  if (names.includes("sequence")) Object.assign(state, { pinned: null, pointed: null, target: 0 });
  const small = ["map", "pinned", "pointed", "direction", "shape", "target"];
  if (names.every((name) => small.includes(name))) {
    if (names.includes("target")) showSimilarity();
    if (names.includes("map")) showMap();
    showControls();
    showSelected();
  } else {
    showAll();
  }
  remember();
}

function point(position) {
  if (state.pointed === position) return;
  state.pointed = position;
  showSelected();
}

function pin(position) {
  change({ pinned: state.pinned === position ? null : position });
}

function move(step) {
  const shown = shownPositions();
  const at = shown.indexOf(chosenPosition());
  const next = shown[Math.max(0, Math.min(shown.length - 1, at + step))];
  if (state.pinned === null) point(next);
  else change({ pinned: next, pointed: null });
  elements[next]?.scrollIntoView({ block: "nearest" });
}

function stepMap(layers, heads) {
  const place = places[state.map];
  const perLayer = place.head === null ? 1 : current().heads;
  const next = state.map + layers * perLayer + heads;
  if (next >= 0 && next < places.length) change({ map: next });
}

const KEYS = {
  ArrowLeft: () => move(-1),
  ArrowRight: () => move(1),
  Enter: () => pin(chosenPosition()),
  "[": () => stepMap(-1, 0),
  "]": () => stepMap(1, 0),
  ",": () => stepMap(0, -1),
  ".": () => stepMap(0, 1),
  s: () => change({ hide: !state.hide }),
  m: () => {
    const measures = Object.keys(EXPLANATIONS).filter(
      (measure) => measure !== "rollout" || current().hasRollout,
    );
    change({ measure: measures[(measures.indexOf(state.measure) + 1) % measures.length], map: 0 });
  },
  Escape: () => change({ pinned: null, pointed: null }),
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
  const target = event.target;
  if (target.closest("select, input, textarea")) return;
  // Enter belongs to buttons, and arrows scroll a figure that has the focus.
  if (event.key === "Enter" && target.closest("button, summary")) return;
  if (event.key.startsWith("Arrow") && target.closest(".figure")) return;
  event.preventDefault();
  KEYS[event.key]();
}

function listen() {
  const onChange = (id, changes) => {
    find(id).addEventListener("change", (event) => change(changes(event.target)));
  };
  onChange("sequence", (select) => ({ sequence: Number(select.value) }));
  onChange("measure", (select) => ({ measure: select.value, map: 0 }));
  onChange("direction", (select) => ({ direction: select.value }));
  onChange("hide", (box) => ({ hide: box.checked }));
  onChange("order", (select) => ({ order: select.value }));
  onChange("shape", (select) => ({ shape: select.value }));
  onChange("target", (select) => ({ target: Number(select.value) }));
  document.addEventListener("keydown", onKey);
  const canvas = find("matrix");
  const positionAt = (event) => {
    const cell = cellAt(layout, event.offsetX, event.offsetY);
    if (cell === null) return null;
    return shownPositions()[state.direction === "from" ? cell.row : cell.column];
  };
  canvas.addEventListener("pointermove", (event) => point(positionAt(event)));
  canvas.addEventListener("pointerleave", () => point(null));
  canvas.addEventListener("click", (event) => {
    const position = positionAt(event);
    if (position !== null) pin(position);
  });
  find("download").addEventListener("click", () => saveCanvas(canvas, "attention.png"));
  onThemeChange(showAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) showAll();
    width = innerWidth;
  });
}

function fillSequences() {
  find("sequence-label").hidden = sequences.length < 2;
  sequences.forEach((sequence, at) => {
    const text = sequence.isText
      ? sequence.pieces
          .filter(([, , kind]) => kind !== "added")
          .map(([part]) => part)
          .join("")
      : `${sequence.length} positions`;
    const option = create("option", `${sequence.name}: ${text.slice(0, 50)}`);
    option.value = String(at);
    find("sequence").append(option);
  });
}

async function start() {
  try {
    view = readJson("view");
    sequences = await readSequences(view);
    state = fromHash(location.hash, sequences);
    find("view").hidden = false;
    fillSequences();
    listen();
    showAll();
    document.body.dataset.state = "done";
  } catch (error) {
    find("error").textContent = `This page cannot be shown: ${error.message}`;
    find("error").hidden = false;
    throw error;
  }
}

start();
