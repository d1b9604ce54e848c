// What the page shows: the choices of its reader, and the maps that follow from them.

import { readBinary } from "../../../pages/assets/base.js";
import { decodeMap, hideTokens, largest, profileOf, weighByNorms } from "./maps.js";

export const EXPLANATIONS = {
  probabilities:
    "Attention probabilities: how much each position attends to each other. Rows sum to 1.",
  norms:
    "Probabilities times the length of the vector that each position adds (Kobayashi et al. 2020): a token that gets much attention may add little.",
  mean: "The mean of the probabilities over the heads of a layer, and over all layers shown.",
  rollout:
    "Rollout (Abnar and Zuidema 2020): attention and residual connections followed down to the inputs, so that row i says how much of position i comes from each input. It takes heads as equal.",
};

// The sequences with their arrays unpacked.
export async function readSequences(view) {
  return Promise.all(
    view.sequences.map(async (sequence, index) => {
      const maps = new Uint8Array(await readBinary(`maps-${index}`));
      const norms = new Float32Array(await readBinary(`norms-${index}`));
      const parts = sequence.hasParts ? await readBinary(`parts-${index}`) : null;
      const source = { maps, norms, parts: parts && new Float32Array(parts) };
      return { ...sequence, ...source, fullTokens: view.fullTokens, kept: view.kept };
    }),
  );
}

// The maps of a measure: which array each is, its layer and head (null for none), and its name.
export function listMaps(sequence, measure) {
  const { layers, heads } = sequence;
  const ofHeads = layers.length * heads;
  if (measure === "mean" || measure === "rollout") {
    const start = measure === "mean" ? ofHeads : ofHeads + layers.length + 1;
    const maps = layers.map((layer, at) => ({
      index: start + at,
      layer: at,
      head: null,
      name: measure === "mean" ? `Layer ${layer + 1}` : `Up to layer ${layer + 1}`,
    }));
    if (measure === "mean" && layers.length > 1) {
      maps.push({ index: ofHeads + layers.length, layer: null, head: null, name: "All layers" });
    }
    return maps;
  }
  return Array.from({ length: ofHeads }, (_, index) => {
    const layer = Math.floor(index / heads);
    const head = index % heads;
    return { index, layer, head, name: `Layer ${layers[layer] + 1}, head ${head + 1}` };
  });
}

// Numbers of a map as they are shown, with its largest value.
export function readMap(sequence, measure, place, hide) {
  let map = decodeMap(
    sequence.maps,
    place.index,
    sequence.length,
    sequence.fullTokens,
    sequence.kept,
  );
  if (measure === "norms") {
    const start = place.index * sequence.length;
    map = weighByNorms(map, sequence.norms.subarray(start, start + sequence.length));
  }
  if (hide) map = hideTokens(map, sequence.added, measure !== "norms");
  return { ...map, most: largest(map.values) };
}

export function profileMaps(sequence, places) {
  return places.map((place) => {
    const map = readMap(sequence, "probabilities", place, false);
    return profileOf(map, sequence.length, sequence.added);
  });
}

// The state in the address, so that a link shows the same.
export function toHash(state) {
  const parts = [
    ["sequence", state.sequence, 0],
    ["show", state.measure, "probabilities"],
    ["map", state.map, 0],
    ["token", state.pinned, null],
    ["direction", state.direction, "from"],
    ["hide", state.hide, false],
    ["as", state.shape, "matrix"],
  ];
  const changed = parts.filter(([, value, usual]) => value !== usual);
  return changed.map(([name, value]) => `${name}=${value}`).join("&");
}

// The state that an address asks for, as far as it is possible for these sequences.
export function fromHash(hash, sequences) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const index = Number(given.get("sequence") ?? 0);
  const sequence = sequences[index] ? index : 0;
  const measures = Object.keys(EXPLANATIONS);
  const measure = measures.includes(given.get("show")) ? given.get("show") : "probabilities";
  const { length } = sequences[sequence];
  const within = (name, limit) => {
    const value = given.get(name);
    return value !== null && /^\d+$/.test(value) && Number(value) < limit ? Number(value) : null;
  };
  const possible = measure !== "rollout" || sequences[sequence].hasRollout;
  const shown = possible ? measure : "probabilities";
  return {
    sequence,
    measure: shown,
    map: within("map", listMaps(sequences[sequence], shown).length) ?? 0,
    pinned: within("token", length),
    direction: given.get("direction") === "to" ? "to" : "from",
    hide: given.get("hide") === "true",
    shape: given.get("as") === "arcs" ? "arcs" : "matrix",
    order: "model",
    target: 0,
    pointed: null,
  };
}
