// The map of vectors: reads the data of the page, draws it, and answers pointer and keyboard.

import {
  colorOf,
  copyText,
  create,
  find,
  onThemeChange,
  saveCanvas,
  toTsv,
} from "../../../pages/assets/base.js";
import {
  boundsOf,
  centerCamera,
  fitCamera,
  isInside,
  panCamera,
  toMap,
  zoomCamera,
} from "./camera.js";
import { colorPoints, isDark } from "./colors.js";
import { readDetails, readPoints } from "./data.js";
import { drawOverlay, drawPoints, joinCanvases, sizeCanvases } from "./draw.js";
import { makeGrid, nearestPoint } from "./grid.js";
import { everything, legendMask, nothing, showLegend } from "./legend.js";
import { idOf, neighborsOf, shortName, showCard, showList, showPoint, valuesOf } from "./panels.js";
import { insidePolygon, intersect, listPoints, matcherOf, nextPoint } from "./select.js";
import { fromHash, toHash } from "./state.js";

const LISTED = 100;
const REACH = 12;
const ZOOM_STEP = 1.5;
const PAN_STEP = 60;
const SEARCH_DELAY = 150;

let map = null;
let details = null;
let grid = null;
let bounds = null;
let camera = null;
let size = null;
let colors = null;
let visible = null;
let pointed = null;
let drag = null;
let lasso = [];
let drawing = false;
let names = true;
let dirty = { points: false, overlay: false };
const fingers = new Map();
const masks = { legend: null, search: null, lasso: null };
const state = { layer: 0, search: "", isPattern: false, pinned: null, filter: everything() };

function layer() {
  return map.layers[state.layer];
}

// Draws before the next frame what has changed.
function redraw(changes) {
  const waiting = dirty.points || dirty.overlay;
  dirty = { points: dirty.points || Boolean(changes.points), overlay: true };
  if (!waiting) requestAnimationFrame(drawNow);
}

function drawNow() {
  if (dirty.points) {
    const filtered = Object.values(masks).some((mask) => mask !== null);
    drawPoints(find("points"), { points: map.points, camera, colors, visible, filtered });
  }
  const center = pointed ?? state.pinned;
  drawOverlay(find("overlay"), {
    points: map.points,
    camera,
    clusters: names ? map.facts.clusters : null,
    pinned: state.pinned,
    pointed,
    near: center === null || details === null ? [] : near(center),
    lasso,
  });
  dirty = { points: false, overlay: false };
}

function near(point) {
  return neighborsOf(map, details, point).map((neighbor) => neighbor.point);
}

function showFacts() {
  const { facts } = map;
  const count = facts.points.toLocaleString("en");
  const drawn =
    facts.points < facts.total
      ? `${count} of ${facts.total.toLocaleString("en")} vectors, drawn at random`
      : `${count} vectors`;
  const model = facts.model === null ? "" : ` of ${facts.model}`;
  const percent = (share) => `${(100 * share).toFixed(1)} %`;
  const axes =
    facts.shares === null
      ? "UMAP from exact neighbors"
      : `principal components, with ${percent(facts.shares[0])} and ${percent(facts.shares[1])} of the variance`;
  const lies = `This map keeps ${percent(facts.kept)} of the ${facts.neighbors} nearest neighbors (trustworthiness ${facts.trustworthiness.toFixed(3)}).`;
  find("facts").textContent = `${drawn}${model}; ${axes}. ${lies}`;
  find("meaning").textContent =
    `“Neighbors kept” is the share of the ${facts.neighbors} vectors with the largest cosine that are among the ${facts.neighbors} nearest points of the map. Trustworthiness (Venna and Kaski 2001) is 1 if no point is near that is not so among the vectors, and is computed for at most 1,000 points.`;
  const cut =
    facts.longestText === null ? "" : ` Texts are cut after ${facts.longestText} characters.`;
  find("rounding").textContent =
    `Places are kept as whole numbers up to 65,535, and cosines with an error below 0.00002.${cut}`;
}

function showLayer() {
  colors = colorPoints(layer(), colorOf("--control"), isDark());
  find("color").value = String(state.layer);
  showLegend(layer(), state.filter, onFilter);
}

function onFilter(filter, rebuild = true) {
  state.filter = filter;
  if (rebuild) showLegend(layer(), state.filter, onFilter);
  masks.legend = legendMask(layer(), state.filter);
  showVisible();
}

// What the masks leave, on the map and in the list.
function showVisible() {
  visible = intersect(map.facts.points, Object.values(masks));
  const chosen = listPoints(visible, LISTED);
  if (details !== null) showList(details, chosen, map.facts.points, pin);
  find("clear-lasso").hidden = masks.lasso === null;
  redraw({ points: true });
}

function search() {
  const field = find("search");
  const status = find("matches");
  state.search = field.value;
  state.isPattern = find("pattern").checked;
  masks.search = null;
  let message = "";
  field.removeAttribute("aria-invalid");
  if (state.search !== "" && details !== null) {
    const matches = matcherOf(state.search, state.isPattern);
    if (matches === null) {
      field.setAttribute("aria-invalid", "true");
      message = "not a regular expression";
    } else {
      const texts = details.texts ?? [];
      masks.search = Uint8Array.from({ length: map.facts.points }, (_, point) =>
        matches(texts[point] ?? "") || matches(idOf(details, point)) ? 1 : 0,
      );
      const { count } = listPoints(masks.search, 0);
      message = `${count.toLocaleString("en")} ${count === 1 ? "match" : "matches"}`;
    }
  }
  status.textContent = message;
  showVisible();
  remember();
}

function point(at, place = null) {
  if (at === pointed && at === null) return;
  pointed = at;
  showCard(map, details, at, place);
  redraw({});
}

function pin(at) {
  state.pinned = at;
  pointed = null;
  find("card").hidden = true;
  showPoint(map, details, at, pin);
  if (at !== null) {
    const [x, y] = [map.points[2 * at], map.points[2 * at + 1]];
    if (!isInside(camera, x, y, size.width, size.height)) {
      camera = centerCamera(camera, x, y, size.width, size.height);
      redraw({ points: true });
    }
    find("readout").textContent = `Pinned: ${shortName(details, at)}`;
  } else find("readout").textContent = "";
  redraw({});
  remember();
}

function step(direction) {
  const next = nextPoint(visible, state.pinned ?? (direction > 0 ? -1 : 0), direction);
  if (next !== null) pin(next);
}

function move(changed) {
  camera = changed;
  point(null);
  redraw({ points: true });
  remember();
}

function zoom(factor, x = size.width / 2, y = size.height / 2) {
  move(zoomCamera(camera, x, y, factor));
}

function fit() {
  move(fitCamera(bounds, size.width, size.height));
}

function setDrawing(on) {
  drawing = on;
  find("lasso").setAttribute("aria-pressed", String(on));
  find("stage").classList.toggle("drawing", on);
}

function setNames(on) {
  names = on;
  find("names").setAttribute("aria-pressed", String(on));
  redraw({});
}

function setLasso(mask) {
  masks.lasso = mask;
  showVisible();
}

function choose(index) {
  state.layer = index;
  state.filter = everything();
  masks.legend = null;
  showLayer();
  showVisible();
  remember();
}

let remembering = null;

// The address follows after a while, since browsers limit how often it changes.
function remember() {
  clearTimeout(remembering);
  remembering = setTimeout(() => {
    const isFitted = camera.scale === camera.fitted && camera.left === fitted().left;
    const [x, y] = toMap(camera, size.width / 2, size.height / 2);
    const place = isFitted ? null : [x, y, camera.scale / camera.fitted];
    try {
      history.replaceState(null, "", `#${toHash({ ...state, camera: place })}`);
    } catch {
      // A page inside of another has no address of its own.
    }
  }, 200);
}

function fitted() {
  return fitCamera(bounds, size.width, size.height);
}

function release() {
  if (drawing) setDrawing(false);
  else if (state.pinned !== null) pin(null);
  else if (masks.lasso !== null) setLasso(null);
  else if (state.search !== "") {
    find("search").value = "";
    search();
  }
}

const KEYS = {
  "/": () => find("search").focus(),
  "+": () => zoom(ZOOM_STEP),
  "=": () => zoom(ZOOM_STEP),
  "-": () => zoom(1 / ZOOM_STEP),
  0: fit,
  ".": () => step(1),
  ",": () => step(-1),
  c: () => choose((state.layer + 1) % map.layers.length),
  l: () => setDrawing(!drawing),
  n: () => setNames(!names),
  Escape: release,
};

const ARROWS = {
  ArrowLeft: [PAN_STEP, 0],
  ArrowRight: [-PAN_STEP, 0],
  ArrowUp: [0, PAN_STEP],
  ArrowDown: [0, -PAN_STEP],
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in ARROWS && event.target === find("stage")) {
    event.preventDefault();
    move(panCamera(camera, ...ARROWS[event.key]));
    return;
  }
  const typing = event.target.closest("input[type=search], select");
  if (!(event.key in KEYS) || (typing && event.key !== "Escape")) return;
  event.preventDefault();
  KEYS[event.key]();
}

function placeOf(event) {
  const box = find("stage").getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function pointAt({ x, y }) {
  const [mapX, mapY] = toMap(camera, x, y);
  return nearestPoint(grid, mapX, mapY, REACH / camera.scale, visible);
}

function onPointerDown(event) {
  if (event.target.closest(".tools") || event.button !== 0) return;
  const place = placeOf(event);
  fingers.set(event.pointerId, place);
  find("stage").setPointerCapture(event.pointerId);
  const selecting = fingers.size === 1 && (drawing || event.shiftKey);
  drag = { start: place, last: place, selecting, moved: false };
  if (selecting) lasso = [[place.x, place.y]];
}

function onPointerMove(event) {
  const place = placeOf(event);
  const finger = fingers.get(event.pointerId);
  if (finger === undefined || drag === null) {
    if (fingers.size === 0 && !event.target.closest(".tools")) point(pointAt(place), place);
    return;
  }
  if (fingers.size === 2) pinch(event.pointerId, place);
  else if (drag.selecting) {
    lasso.push([place.x, place.y]);
    redraw({});
  } else if (drag.moved || Math.hypot(place.x - drag.start.x, place.y - drag.start.y) > 3) {
    drag.moved = true;
    find("stage").classList.add("moving");
    move(panCamera(camera, place.x - drag.last.x, place.y - drag.last.y));
  }
  drag.last = place;
  fingers.set(event.pointerId, place);
}

function pinch(id, place) {
  const [other] = [...fingers].filter(([key]) => key !== id).map(([, value]) => value);
  const before = fingers.get(id);
  const distance = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
  const factor = distance(place, other) / distance(before, other);
  drag.moved = true;
  zoom(factor, (place.x + other.x) / 2, (place.y + other.y) / 2);
}

function onPointerUp(event) {
  const finished = fingers.delete(event.pointerId) && drag !== null && fingers.size === 0;
  if (!finished) return;
  find("stage").classList.remove("moving");
  const { selecting, moved } = drag;
  drag = null;
  if (selecting) {
    const corners = lasso.map(([x, y]) => toMap(camera, x, y));
    lasso = [];
    setDrawing(false);
    setLasso(corners.length > 2 ? insidePolygon(map.points, corners) : null);
  } else if (!moved && event.type === "pointerup") {
    const at = pointAt(placeOf(event));
    pin(at === state.pinned ? null : at);
  }
}

function copyList(event) {
  const columns = map.layers.map(({ name }) => name);
  const lines = [["id", "text", ...columns]];
  for (let at = 0; at < visible.length; at++) {
    if (!visible[at]) continue;
    const values = valuesOf(map, null, at).map(([, value]) => value);
    lines.push([idOf(details, at), details.texts?.[at] ?? "", ...values]);
  }
  copyText(toTsv(lines), event.currentTarget);
}

function listen() {
  const stage = find("stage");
  stage.addEventListener("pointerdown", onPointerDown);
  stage.addEventListener("pointermove", onPointerMove);
  stage.addEventListener("pointerup", onPointerUp);
  stage.addEventListener("pointercancel", onPointerUp);
  stage.addEventListener("pointerleave", () => {
    if (fingers.size === 0) point(null);
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const { x, y } = placeOf(event);
      zoom(Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : 0.0015)), x, y);
    },
    { passive: false },
  );
  stage.addEventListener("dblclick", (event) => {
    if (!event.target.closest(".tools")) fit();
  });
  document.addEventListener("keydown", onKey);
  const click = (id, action) => find(id).addEventListener("click", action);
  click("zoom-in", () => zoom(ZOOM_STEP));
  click("zoom-out", () => zoom(1 / ZOOM_STEP));
  click("fit", fit);
  click("lasso", () => setDrawing(!drawing));
  click("names", () => setNames(!names));
  click("release", () => pin(null));
  click("clear-lasso", () => setLasso(null));
  click("show-all", () => onFilter(everything()));
  click("show-none", () => onFilter(nothing(layer())));
  click("copy", copyList);
  click("download", () => saveCanvas(joinCanvases([find("points"), find("overlay")]), "map.png"));
  find("color").addEventListener("change", (event) => choose(Number(event.target.value)));
  find("pattern").addEventListener("change", search);
  let waiting = null;
  find("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, SEARCH_DELAY);
  });
  find("search").addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    clearTimeout(waiting);
    search();
    step(event.shiftKey ? -1 : 1);
  });
  onThemeChange(() => {
    showLayer();
    redraw({ points: true });
  });
  new ResizeObserver(() => requestAnimationFrame(resize)).observe(stage);
}

function resize() {
  const { clientWidth, clientHeight } = find("stage");
  if (clientWidth === size.width && clientHeight === size.height) return;
  const [x, y] = toMap(camera, size.width / 2, size.height / 2);
  const zoomed = camera.scale / camera.fitted;
  measure();
  place([x, y, zoomed]);
  redraw({ points: true });
}

function measure() {
  size = sizeCanvases(find("stage"), [find("points"), find("overlay")]);
}

function place([x, y, zoomed]) {
  const all = fitted();
  const scaled = zoomCamera(all, size.width / 2, size.height / 2, zoomed);
  camera = centerCamera(scaled, x, y, size.width, size.height);
}

function fillLayers() {
  map.layers.forEach(({ name }, at) => {
    const option = create("option", name);
    option.value = String(at);
    find("color").append(option);
  });
}

// After the first picture, so that it does not wait for texts.
async function startDetails() {
  details = await readDetails();
  const { pinned } = state;
  if (state.search !== "") search();
  else showVisible();
  if (pinned !== null) pin(pinned);
}

async function start() {
  try {
    map = await readPoints();
    const { facts } = map;
    const { camera: seen, ...asked } = fromHash(location.hash, facts.points, map.layers.length);
    Object.assign(state, asked);
    find("view").hidden = false;
    fillLayers();
    find("search").value = state.search;
    find("pattern").checked = state.isPattern;
    measure();
    bounds = boundsOf(map.points);
    if (seen === null) camera = fitted();
    else place(seen);
    grid = makeGrid(map.points);
    visible = intersect(facts.points, []);
    showFacts();
    showLayer();
    listen();
    drawPoints(find("points"), { points: map.points, camera, colors, visible, filtered: false });
    redraw({});
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    performance.mark("drawn");
    await startDetails();
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    document.body.dataset.state = "done";
  } catch (error) {
    find("error").textContent = `This page cannot be shown: ${error.message}`;
    find("error").hidden = false;
    throw error;
  }
}

start();
