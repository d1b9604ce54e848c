// Which points are chosen: by text, by a line drawn around them, by values.

// A function that says whether a text matches; null if the pattern is not a regular expression.
export function matcherOf(query, isPattern) {
  if (isPattern) {
    try {
      const pattern = new RegExp(query, "iu");
      return (text) => pattern.test(text);
    } catch {
      return null;
    }
  }
  const words = query.toLowerCase();
  return (text) => text.toLowerCase().includes(words);
}

// 1 for each point inside of a polygon, whose corners are [x, y].
export function insidePolygon(points, polygon) {
  const inside = new Uint8Array(points.length / 2);
  for (let point = 0; point < inside.length; point++) {
    const x = points[2 * point];
    const y = points[2 * point + 1];
    for (let at = 0, before = polygon.length - 1; at < polygon.length; before = at++) {
      const [ax, ay] = polygon[at];
      const [bx, by] = polygon[before];
      if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) inside[point] ^= 1;
    }
  }
  return inside;
}

// 1 for each point of which all masks are 1; null is a mask that chooses all.
export function intersect(count, masks) {
  const visible = new Uint8Array(count).fill(1);
  for (const mask of masks) {
    if (mask === null) continue;
    for (let point = 0; point < count; point++) visible[point] &= mask[point];
  }
  return visible;
}

// The first points that a mask chooses, and how many there are.
export function listPoints(visible, limit) {
  const listed = [];
  let count = 0;
  for (let point = 0; point < visible.length; point++) {
    if (!visible[point]) continue;
    if (listed.length < limit) listed.push(point);
    count++;
  }
  return { listed, count };
}

// The next chosen point after one, around the end; null if none is chosen.
export function nextPoint(visible, after, step) {
  const count = visible.length;
  for (let away = 1; away <= count; away++) {
    const point = (((after + step * away) % count) + count) % count;
    if (visible[point]) return point;
  }
  return null;
}
