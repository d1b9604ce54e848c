// Attention maps as numbers: decoding, weighting, hiding, and what they are like.

const LEVELS = 255;

export function decodeRoot(byte) {
  return (byte / LEVELS) ** 2;
}

// Reads map `index` of a sequence of `length` tokens. Returns its values, row by row, and for each
// row the sum of those that the page does not have.
export function decodeMap(bytes, index, length, fullTokens, kept) {
  const values = new Float32Array(length * length);
  const rest = new Float32Array(length);
  if (length <= fullTokens) {
    const start = index * length * length;
    for (let at = 0; at < values.length; at++) values[at] = decodeRoot(bytes[start + at]);
    return { values, rest };
  }
  const start = index * length * (3 * kept + 1);
  const roots = start + 2 * length * kept;
  const rests = roots + length * kept;
  for (let row = 0; row < length; row++) {
    for (let at = row * kept; at < (row + 1) * kept; at++) {
      const column = bytes[start + 2 * at] + 256 * bytes[start + 2 * at + 1];
      values[row * length + column] = decodeRoot(bytes[roots + at]);
    }
    rest[row] = decodeRoot(bytes[rests + row]);
  }
  return { values, rest };
}

// Each column times the norm of its value: Kobayashi et al. 2020.
export function weighByNorms(map, norms) {
  const length = norms.length;
  return { values: map.values.map((value, at) => value * norms[at % length]), rest: map.rest };
}

// The map without the tokens that are hidden; with `renormalize`, rows sum to 1 again.
export function hideTokens(map, hidden, renormalize) {
  const length = hidden.length;
  const values = new Float32Array(map.values.length);
  const rest = new Float32Array(length);
  for (let row = 0; row < length; row++) {
    if (hidden[row]) continue;
    let sum = map.rest[row];
    for (let column = 0; column < length; column++) {
      if (!hidden[column]) sum += map.values[row * length + column];
    }
    const scale = renormalize && sum > 0 ? 1 / sum : 1;
    rest[row] = map.rest[row] * scale;
    for (let column = 0; column < length; column++) {
      if (!hidden[column])
        values[row * length + column] = map.values[row * length + column] * scale;
    }
  }
  return { values, rest };
}

export function rowOf(map, row, length) {
  return map.values.subarray(row * length, (row + 1) * length);
}

export function columnOf(map, column, length) {
  return Float32Array.from({ length }, (_, row) => map.values[row * length + column]);
}

export function largest(values) {
  let most = 0;
  for (const value of values) if (value > most) most = value;
  return most;
}

// What a head does, as means over its rows: entropy in bits, distance in positions, and the shares
// of attention on the token itself, the previous, the next, and special tokens.
export function profileOf(map, length, added) {
  const profile = { entropy: 0, distance: 0, self: 0, previous: 0, next: 0, special: 0 };
  for (let row = 0; row < length; row++) {
    const values = rowOf(map, row, length);
    for (let column = 0; column < length; column++) {
      const value = values[column];
      if (value <= 0) continue;
      profile.entropy -= value * Math.log2(value);
      profile.distance += value * Math.abs(row - column);
      if (column === row) profile.self += value;
      if (column === row - 1) profile.previous += value;
      if (column === row + 1) profile.next += value;
      if (added[column]) profile.special += value;
    }
  }
  for (const name of Object.keys(profile)) profile[name] /= length;
  return profile;
}

const ORDERS = {
  focus: (profile) => profile.entropy,
  near: (profile) => profile.distance,
  far: (profile) => -profile.distance,
  special: (profile) => -profile.special,
};

// Indices of the maps in an order of their profiles; equal ones stay as they are.
export function orderMaps(profiles, order) {
  const indices = profiles.map((_, index) => index);
  const key = ORDERS[order];
  return key ? indices.sort((a, b) => key(profiles[a]) - key(profiles[b])) : indices;
}

// Places of the largest absolute values, at most `count`, without those that are null or 0.
export function rank(values, count) {
  return Array.from(values, (_, at) => at)
    .filter((at) => values[at] !== null && values[at] !== 0)
    .sort((a, b) => Math.abs(values[b]) - Math.abs(values[a]))
    .slice(0, count);
}
