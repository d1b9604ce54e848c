import assert from "node:assert/strict";
import { test } from "node:test";
import {
  boundsOf,
  centerCamera,
  fitCamera,
  isInside,
  panCamera,
  toMap,
  toScreen,
  zoomCamera,
} from "../../src/bothways/views/map/assets/camera.js";
import {
  colorPoints,
  countCategories,
  formatValue,
  histogramOf,
} from "../../src/bothways/views/map/assets/colors.js";
import { layerOf } from "../../src/bothways/views/map/assets/data.js";
import { makeGrid, nearestPoint } from "../../src/bothways/views/map/assets/grid.js";
import { placeLabels } from "../../src/bothways/views/map/assets/labels.js";
import { everything, legendMask, nothing } from "../../src/bothways/views/map/assets/legend.js";
import { discOf, fillPixels, paintPoints } from "../../src/bothways/views/map/assets/raster.js";
import {
  insidePolygon,
  intersect,
  listPoints,
  matcherOf,
  nextPoint,
} from "../../src/bothways/views/map/assets/select.js";
import { fromHash, toHash } from "../../src/bothways/views/map/assets/state.js";

const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);

test("a camera fits all points, and zooms around a place", () => {
  const bounds = boundsOf([0, 0, 1000, 500]);
  const camera = fitCamera(bounds, 400, 400);
  const [left, top] = toScreen(camera, 0, 500);
  const [right, bottom] = toScreen(camera, 1000, 0);
  close(left, 28);
  close(right, 372);
  close(top + bottom, 400);
  assert.ok(top < bottom);
  const zoomed = zoomCamera(camera, 100, 120, 3);
  toMap(zoomed, 100, 120).forEach((value, at) => {
    close(value, toMap(camera, 100, 120)[at]);
  });
  close(zoomed.scale, 3 * camera.scale);
  close(zoomCamera(camera, 0, 0, 1e9).scale, 400 * camera.scale);
  close(toScreen(panCamera(camera, 5, 7), 0, 0)[1] - toScreen(camera, 0, 0)[1], 7);
  const centered = centerCamera(zoomed, 10, 20, 400, 300);
  assert.deepEqual(toScreen(centered, 10, 20), [200, 150]);
  assert.ok(isInside(centered, 10, 20, 400, 300));
  assert.ok(!isInside(centered, 1000, 20, 400, 300));
});

test("one point alone has a camera", () => {
  const camera = fitCamera(boundsOf([7, 9]), 100, 100);
  assert.deepEqual(toScreen(camera, 7, 9), [50, 50]);
});

test("the nearest visible point is found", () => {
  const points = Uint16Array.from([0, 0, 300, 300, 65535, 65535, 310, 300]);
  const grid = makeGrid(points);
  const all = new Uint8Array(4).fill(1);
  assert.equal(nearestPoint(grid, 306, 300, 50, all), 3);
  assert.equal(nearestPoint(grid, 306, 300, 50, Uint8Array.from([1, 1, 1, 0])), 1);
  assert.equal(nearestPoint(grid, 70000, 70000, 9000, all), 2);
  assert.equal(nearestPoint(grid, 30000, 30000, 50, all), null);
});

test("the nearest point is that of comparing all", () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 48271) % 2147483647;
    return seed;
  };
  const points = Uint16Array.from({ length: 400 }, () => random() % 4096);
  const grid = makeGrid(points);
  const all = new Uint8Array(200).fill(1);
  for (let query = 0; query < 50; query++) {
    const [x, y] = [random() % 4096, random() % 4096];
    const squares = Array.from(
      all,
      (_, at) => (points[2 * at] - x) ** 2 + (points[2 * at + 1] - y) ** 2,
    );
    const found = nearestPoint(grid, x, y, 10000, all);
    assert.equal(squares[found], Math.min(...squares));
  }
});

test("a polygon chooses the points inside of it, also if it is not convex", () => {
  const points = [5, 5, 5, 1, 50, 5];
  const horseshoe = [
    [0, 0],
    [0, 10],
    [3, 10],
    [3, 2],
    [7, 2],
    [7, 10],
    [10, 10],
    [10, 0],
  ];
  assert.deepEqual([...insidePolygon(points, horseshoe)], [0, 1, 0]);
});

test("a search ignores case, and takes regular expressions", () => {
  assert.ok(matcherOf("RIVER.", false)("a river."));
  assert.ok(!matcherOf("r.ver", false)("a river"));
  assert.ok(matcherOf("^a r.ver$", true)("A river"));
  assert.equal(matcherOf("(", true), null);
});

test("masks are joined, listed and walked through", () => {
  const visible = intersect(4, [
    null,
    Uint8Array.from([1, 0, 1, 1]),
    Uint8Array.from([1, 1, 1, 0]),
  ]);
  assert.deepEqual([...visible], [1, 0, 1, 0]);
  assert.deepEqual(listPoints(visible, 1), { listed: [0], count: 2 });
  assert.equal(nextPoint(visible, 0, 1), 2);
  assert.equal(nextPoint(visible, 2, 1), 0);
  assert.equal(nextPoint(visible, 0, -1), 2);
  assert.equal(nextPoint(new Uint8Array(3), 0, 1), null);
});

test("the legend hides categories, others and missing values", () => {
  const layer = layerOf("topic", "category", Uint8Array.from([0, 1, 254, 255, 1]), ["a", "b"]);
  assert.deepEqual(countCategories(layer), [1, 2, 1, 1]);
  assert.equal(legendMask(layer, everything()), null);
  assert.deepEqual(
    [...legendMask(layer, { ...everything(), hidden: new Set([1, 3]) })],
    [1, 0, 1, 0, 0],
  );
  assert.deepEqual([...legendMask(layer, nothing(layer))], [0, 0, 0, 0, 0]);
  const { slots, table } = colorPoints(layer, [9, 9, 9], false);
  assert.deepEqual([...slots], [0, 1, 2, 2, 1]);
  assert.deepEqual([...table.slice(6)], [9, 9, 9]);
});

test("a range of numbers keeps its ends, and no missing values", () => {
  const layer = layerOf("stars", "number", Float32Array.from([0.1, 0.3, Number.NaN, 0.2]));
  assert.equal(legendMask(layer, everything()), null);
  assert.deepEqual([...legendMask(layer, { ...everything(), low: 300 })], [0, 1, 0, 1]);
  assert.deepEqual([...legendMask(layer, { ...everything(), high: 600 })], [1, 0, 0, 1]);
  const whole = layerOf("stars", "number", Float32Array.from([0, 4, Number.NaN, 1]));
  assert.deepEqual([...colorPoints(whole, [0, 0, 0], true).slots], [0, 255, 256, 64]);
  assert.deepEqual(histogramOf(whole, 2), [2, 1]);
});

test("values are shown as numbers, shares and dates", () => {
  assert.equal(formatValue("number", Math.fround(4.2)), "4.2");
  assert.equal(formatValue("share", 0.866), "87 %");
  assert.equal(formatValue("date", 1.5), "1970-01-02");
  assert.equal(formatValue("number", Number.NaN), "missing");
});

test("labels that would overlap a larger one are left out", () => {
  const box = (x, y) => ({ x, y, width: 40, height: 16 });
  const placed = placeLabels([box(50, 50), box(60, 55), box(2, 90), box(500, 50)], 200, 100);
  assert.deepEqual(
    placed.map(({ x, y }) => [x, y]),
    [
      [50, 50],
      [24, 88],
    ],
  );
});

test("points are painted where the camera shows them, and not beyond the edge", () => {
  const image = { width: 9, height: 9, data: new Uint8ClampedArray(4 * 81) };
  fillPixels(image.data, [255, 255, 255]);
  paintPoints(image, {
    points: [4, 4, 9, 9, 100, 0],
    camera: { scale: 1, left: 0, top: 8 },
    slots: [0, 0, 0],
    table: [10, 20, 30],
    visible: [1, 1, 0],
    shown: 1,
    disc: discOf(0.5),
    alpha: 1,
  });
  const at = (x, y) => [...image.data.slice(4 * (9 * y + x), 4 * (9 * y + x) + 4)];
  assert.deepEqual(at(4, 4), [10, 20, 30, 255]);
  const painted = image.data.filter((value, index) => index % 4 === 0 && value !== 255);
  assert.equal(painted.length, 1);
});

test("the state goes through the address", () => {
  const state = { layer: 2, search: "a&b", isPattern: true, pinned: 7, camera: [1.5, 2, 3] };
  assert.deepEqual(fromHash(`#${toHash(state)}`, 8, 3), state);
  const empty = { layer: 0, search: "", isPattern: false, pinned: null, camera: null };
  assert.equal(toHash(empty), "");
  assert.deepEqual(fromHash("#color=9&point=8&at=1,x,3&pattern=2", 8, 3), empty);
});
