// Where the map is on the screen: a point (x, y) is at (x · scale + left, top − y · scale).

const MARGIN = 28;
const SMALLEST = 0.5;
const LARGEST = 400;

// Shows all points in a window of this size.
export function fitCamera(bounds, width, height) {
  const across = Math.max(bounds.right - bounds.left, 1);
  const along = Math.max(bounds.top - bounds.bottom, 1);
  const scale = Math.min(
    Math.max(width - 2 * MARGIN, 1) / across,
    Math.max(height - 2 * MARGIN, 1) / along,
  );
  return {
    scale,
    fitted: scale,
    left: width / 2 - ((bounds.left + bounds.right) / 2) * scale,
    top: height / 2 + ((bounds.bottom + bounds.top) / 2) * scale,
  };
}

export function boundsOf(points) {
  const bounds = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  for (let at = 0; at < points.length; at += 2) {
    bounds.left = Math.min(bounds.left, points[at]);
    bounds.right = Math.max(bounds.right, points[at]);
    bounds.bottom = Math.min(bounds.bottom, points[at + 1]);
    bounds.top = Math.max(bounds.top, points[at + 1]);
  }
  return bounds;
}

export function toScreen(camera, x, y) {
  return [x * camera.scale + camera.left, camera.top - y * camera.scale];
}

export function toMap(camera, x, y) {
  return [(x - camera.left) / camera.scale, (camera.top - y) / camera.scale];
}

// Zooms by a factor, and keeps what is at (x, y) of the screen there.
export function zoomCamera(camera, x, y, factor) {
  const zoom = Math.max(SMALLEST, Math.min(LARGEST, (camera.scale / camera.fitted) * factor));
  const scale = zoom * camera.fitted;
  const [mapX, mapY] = toMap(camera, x, y);
  return { ...camera, scale, left: x - mapX * scale, top: y + mapY * scale };
}

export function panCamera(camera, x, y) {
  return { ...camera, left: camera.left + x, top: camera.top + y };
}

// The camera whose window of this size has the point in its center.
export function centerCamera(camera, x, y, width, height) {
  return {
    ...camera,
    left: width / 2 - x * camera.scale,
    top: height / 2 + y * camera.scale,
  };
}

export function isInside(camera, x, y, width, height) {
  const [left, top] = toScreen(camera, x, y);
  return left >= 0 && top >= 0 && left < width && top < height;
}
