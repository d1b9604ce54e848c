// Draws the map: points below, and above them what changes with the pointer.

import { colorOf, resizeCanvas } from "../../../pages/assets/base.js";
import { toScreen } from "./camera.js";
import { placeLabels } from "./labels.js";
import { alphaOf, discOf, fillPixels, paintPoints, radiusOf } from "./raster.js";

const FONT = "600 13px system-ui, sans-serif";
const DIMMED = 0.28;
const LONGEST_LABEL = 34;

function css([red, green, blue], alpha = 1) {
  return `rgb(${red} ${green} ${blue} / ${alpha})`;
}

export function sizeCanvases(stage, canvases) {
  const { clientWidth: width, clientHeight: height } = stage;
  for (const canvas of canvases) resizeCanvas(canvas, width, height);
  return { width, height };
}

// Paints all points; those that are not visible are gray and below.
export function drawPoints(canvas, { points, camera, colors, visible, filtered }) {
  const context = canvas.getContext("2d");
  const ratio = canvas.width / canvas.clientWidth || 1;
  const image = context.createImageData(canvas.width, canvas.height);
  fillPixels(image.data, colorOf("--back"));
  const count = visible.length;
  const zoom = camera.scale / camera.fitted;
  const scaled = {
    scale: camera.scale * ratio,
    left: camera.left * ratio,
    top: camera.top * ratio,
  };
  const shown = visible.reduce((sum, one) => sum + one, 0);
  const radius = radiusOf(shown, zoom) * ratio;
  const alpha = alphaOf(shown, zoom);
  const common = { points, camera: scaled, visible };
  if (filtered) {
    const gray = Uint8Array.from(colorOf("--control"));
    const slots = new Uint16Array(count);
    const disc = discOf(0.8 * radiusOf(count, zoom) * ratio);
    paintPoints(image, {
      ...common,
      slots,
      table: gray,
      shown: 0,
      disc,
      alpha: alphaOf(count, zoom) * DIMMED,
    });
  }
  paintPoints(image, { ...common, ...colors, shown: 1, disc: discOf(radius), alpha });
  context.putImageData(image, 0, 0);
}

// Draws marks, the lasso, and the names of clusters.
export function drawOverlay(canvas, { points, camera, clusters, pinned, pointed, near, lasso }) {
  const context = canvas.getContext("2d");
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  context.clearRect(0, 0, width, height);
  const place = (point) => toScreen(camera, points[2 * point], points[2 * point + 1]);
  const center = pointed ?? pinned;
  if (center !== null) {
    context.strokeStyle = css(colorOf("--text"), 0.45);
    context.lineWidth = 1;
    for (const neighbor of near) {
      context.beginPath();
      context.moveTo(...place(center));
      context.lineTo(...place(neighbor));
      context.stroke();
    }
    for (const neighbor of near) ring(context, place(neighbor), 5, 2);
  }
  if (clusters !== null) drawLabels(context, clusters, camera, width, height);
  if (pinned !== null) ring(context, place(pinned), 9, 3);
  if (pointed !== null) ring(context, place(pointed), 7, 2.5);
  if (lasso.length > 1) {
    context.beginPath();
    lasso.forEach(([x, y]) => {
      context.lineTo(x, y);
    });
    context.closePath();
    context.fillStyle = css(colorOf("--accent-rgb"), 0.12);
    context.fill();
    context.strokeStyle = css(colorOf("--accent-rgb"));
    context.lineWidth = 1.5;
    context.stroke();
  }
}

function ring(context, [x, y], radius, width) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.strokeStyle = css(colorOf("--back"));
  context.lineWidth = width + 2.5;
  context.stroke();
  context.strokeStyle = css(colorOf("--text"));
  context.lineWidth = width;
  context.stroke();
}

function drawLabels(context, clusters, camera, width, height) {
  context.font = FONT;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  const boxes = clusters.map(({ label, place }) => {
    const text = label.length > LONGEST_LABEL ? `${label.slice(0, LONGEST_LABEL)}…` : label;
    const [x, y] = toScreen(camera, ...place);
    return { text, x, y, width: context.measureText(text).width, height: 16 };
  });
  context.strokeStyle = css(colorOf("--back"), 0.85);
  context.fillStyle = css(colorOf("--text"));
  context.lineWidth = 4;
  for (const { text, x, y } of placeLabels(boxes, width, height)) {
    context.strokeText(text, x, y);
    context.fillText(text, x, y);
  }
}

// Both canvases as one picture.
export function joinCanvases(canvases) {
  const joined = document.createElement("canvas");
  joined.width = canvases[0].width;
  joined.height = canvases[0].height;
  const context = joined.getContext("2d");
  for (const canvas of canvases) context.drawImage(canvas, 0, 0);
  return joined;
}
