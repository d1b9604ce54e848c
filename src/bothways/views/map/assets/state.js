// What the page shows, and the address that says so.

const NUMBER = /^\d+$/;

export function toHash({ layer, search, isPattern, pinned, camera }) {
  const hash = new URLSearchParams();
  if (layer !== 0) hash.set("color", String(layer));
  if (search !== "") hash.set("search", search);
  if (search !== "" && isPattern) hash.set("pattern", "1");
  if (pinned !== null) hash.set("point", String(pinned));
  if (camera !== null)
    hash.set("at", camera.map((value) => Number(value.toPrecision(5))).join(","));
  return hash.toString();
}

// The state that an address asks for, as far as it is possible. camera: the x and y of the center,
// and the zoom; null to show all.
export function fromHash(text, points, layers) {
  const hash = new URLSearchParams(text.replace(/^#/, ""));
  const whole = (name, limit) => {
    const value = hash.get(name);
    return value !== null && NUMBER.test(value) && Number(value) < limit ? Number(value) : null;
  };
  const place = (hash.get("at") ?? "").split(",").map(Number);
  const isPlace = place.length === 3 && place.every(Number.isFinite) && place[2] > 0;
  return {
    layer: whole("color", layers) ?? 0,
    search: hash.get("search") ?? "",
    isPattern: hash.get("pattern") === "1",
    pinned: whole("point", points),
    camera: isPlace ? place : null,
  };
}
