// The data of the page: first what is drawn, then what is read.

import { readBinary, readJson } from "../../../pages/assets/base.js";

export async function readPoints() {
  const facts = readJson("map");
  const points = new Uint16Array(await readBinary("points"));
  const clusters = new Uint8Array(await readBinary("clusters"));
  const kept = new Uint8Array(await readBinary("kept"));
  const layers = [
    layerOf(
      "cluster",
      "category",
      clusters,
      facts.clusters.map(({ label }) => label),
    ),
    ...(await Promise.all(
      facts.columns.map(async ({ name, kind, categories }, at) => {
        const bytes = await readBinary(`column-${at}`);
        const values = kind === "category" ? new Uint8Array(bytes) : new Float32Array(bytes);
        return layerOf(name, kind, values, categories);
      }),
    )),
    layerOf(
      "neighbors kept",
      "share",
      Float32Array.from(kept, (count) => count / facts.neighbors),
    ),
  ];
  return { facts, points, clusters, kept, layers };
}

export async function readDetails() {
  const [neighbors, cosines, names] = await Promise.all(
    ["neighbors", "cosines", "names"].map(readBinary),
  );
  return {
    neighbors: new Uint32Array(neighbors),
    cosines: Float32Array.from(new Uint16Array(cosines), (code) => (code / 65535) * 2 - 1),
    ...JSON.parse(new TextDecoder().decode(names)),
  };
}

// Values by which points are colored. kind: `category`, `number`, `date` or `share`. least, most: of
// all but categories.
export function layerOf(name, kind, values, categories = []) {
  let least = Infinity;
  let most = -Infinity;
  if (kind !== "category") {
    for (const value of values) {
      if (value < least) least = value;
      if (value > most) most = value;
    }
  }
  return { name, kind, values, categories, least, most };
}
