import assert from "node:assert/strict";
import { test } from "node:test";
import { linesOf } from "../../src/bothways/views/attend/assets/arcs.js";
import {
  columnOf,
  decodeMap,
  hideTokens,
  orderMaps,
  profileOf,
  rank,
  rowOf,
  weighByNorms,
} from "../../src/bothways/views/attend/assets/maps.js";
import { cellAt, layOut } from "../../src/bothways/views/attend/assets/matrix.js";
import { fromHash, listMaps, toHash } from "../../src/bothways/views/attend/assets/state.js";

const close = (a, b) => assert.ok(Math.abs(a - b) < 1e-6, `${a} is not ${b}`);

test("a full map is decoded from its place among others", () => {
  const bytes = Uint8Array.from([9, 9, 9, 9, 255, 0, 51, 102]);
  const map = decodeMap(bytes, 1, 2, 128, 16);
  [1, 0, 0.04, 0.16].forEach((value, at) => {
    close(map.values[at], value);
  });
  assert.deepEqual([...map.rest], [0, 0]);
});

test("a map with the largest of each row is decoded with the rest", () => {
  // Three rows, of which one value each is kept: columns 2, 0, 1.
  const bytes = Uint8Array.from([2, 0, 0, 0, 1, 0, 255, 51, 102, 0, 204, 153]);
  const map = decodeMap(bytes, 0, 3, 2, 1);
  close(map.values[2], 1);
  close(map.values[3], 0.04);
  close(map.values[7], 0.16);
  close(map.rest[1], 0.64);
  assert.equal([...map.values].filter((value) => value > 0).length, 3);
});

test("hidden tokens leave rows that sum to 1", () => {
  const map = { values: Float32Array.from([0.5, 0.5, 0, 0.2, 0.3, 0.5, 1, 0, 0]), rest: [0, 0, 0] };
  const hidden = hideTokens(map, [1, 0, 0], true);
  close(rowOf(hidden, 1, 3)[1], 0.375);
  close(rowOf(hidden, 1, 3)[2], 0.625);
  assert.deepEqual([...rowOf(hidden, 0, 3)], [0, 0, 0]);
  assert.deepEqual([...rowOf(hidden, 2, 3)], [0, 0, 0]); // nothing is left to divide by
  close(hideTokens(map, [1, 0, 0], false).values[4], 0.3);
});

test("norms weigh columns", () => {
  const map = { values: Float32Array.from([0.5, 0.5, 1, 0]), rest: [0, 0] };
  assert.deepEqual([...weighByNorms(map, [2, 4]).values], [1, 2, 2, 0]);
  assert.deepEqual([...columnOf(map, 0, 2)], [0.5, 1]);
});

test("a profile has entropy, distance and shares", () => {
  const map = { values: Float32Array.from([0, 1, 0, 0.5, 0, 0.5, 0, 0, 1]) };
  const profile = profileOf(map, 3, [1, 0, 0]);
  close(profile.entropy, 1 / 3);
  close(profile.next, 1.5 / 3);
  close(profile.previous, 0.5 / 3);
  close(profile.self, 1 / 3);
  close(profile.special, 0.5 / 3);
  close(profile.distance, 2 / 3);
});

test("heads are ordered by what they do", () => {
  const profiles = [
    { entropy: 2, distance: 1, special: 0.1 },
    { entropy: 1, distance: 3, special: 0.5 },
  ];
  assert.deepEqual(orderMaps(profiles, "model"), [0, 1]);
  assert.deepEqual(orderMaps(profiles, "focus"), [1, 0]);
  assert.deepEqual(orderMaps(profiles, "near"), [0, 1]);
  assert.deepEqual(orderMaps(profiles, "far"), [1, 0]);
  assert.deepEqual(orderMaps(profiles, "special"), [1, 0]);
});

test("ranks are by size, without what is missing", () => {
  assert.deepEqual(rank([0.1, null, -0.5, 0, 0.3], 2), [2, 4]);
});

test("a matrix is labeled where labels fit, and a point finds its cell", () => {
  const small = layOut(400, 10, 10, 60);
  assert.equal(small.labeled, true);
  assert.equal(small.cell, 30);
  assert.deepEqual(cellAt(small, 61, 91), { row: 1, column: 0 });
  assert.equal(cellAt(small, 10, 91), null);
  assert.equal(layOut(400, 100, 100, 60).labeled, false);
});

test("arcs are those of one token, or all that can be seen", () => {
  const map = { values: Float32Array.from([0.9, 0.1, 0.01, 0.99]) };
  assert.equal(linesOf(map, [0, 1], 2, 1, null, "from").length, 3);
  assert.deepEqual(
    linesOf(map, [0, 1], 2, 1, 1, "to").map(({ from, to }) => [from, to]),
    [
      [0, 1],
      [1, 1],
    ],
  );
});

const sequence = { layers: [0, 2], heads: 2, length: 5, hasRollout: true };

test("maps lie one after another: heads, means, the mean of all, rollout", () => {
  const indices = (measure) => listMaps(sequence, measure).map((place) => place.index);
  assert.deepEqual(indices("probabilities"), [0, 1, 2, 3]);
  assert.deepEqual(indices("mean"), [4, 5, 6]);
  assert.deepEqual(indices("rollout"), [7, 8]);
  assert.equal(listMaps(sequence, "norms")[3].name, "Layer 3, head 2");
});

test("a link shows what was shown, and wrong ones do no harm", () => {
  const state = fromHash("#show=norms&map=3&token=4&direction=to&hide=true&as=arcs", [sequence]);
  assert.equal(toHash(state), "show=norms&map=3&token=4&direction=to&hide=true&as=arcs");
  const wrong = fromHash("#show=x&map=99&token=-1&sequence=7&as=<b>", [sequence]);
  assert.equal(toHash(wrong), "");
  assert.equal(
    fromHash("#show=rollout", [{ ...sequence, hasRollout: false }]).measure,
    "probabilities",
  );
});
