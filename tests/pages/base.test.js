import assert from "node:assert/strict";
import { test } from "node:test";
import { formatNumber, toTsv } from "../../src/bothways/pages/assets/base.js";

test("numbers have three digits after the point, and more near zero", () => {
  assert.equal(formatNumber(0.12345), "0.123");
  assert.equal(formatNumber(0.00012), "1.2e-4");
  assert.equal(formatNumber(0), "0.000");
});

test("signs are those of typography, and only where they say something", () => {
  assert.equal(formatNumber(-0.5), "−0.500");
  assert.equal(formatNumber(0.5, true), "+0.500");
  assert.equal(formatNumber(0, true), "0.000");
});

test("cells of TSV have no tabs or line breaks", () => {
  assert.equal(
    toTsv([
      ["a\tb", 1],
      ["c\nd", 2],
    ]),
    "a b\t1\nc d\t2",
  );
});
