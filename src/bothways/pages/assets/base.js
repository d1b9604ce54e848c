// What the scripts of all pages share: elements, data of the page, colors, numbers.

export function find(id) {
  return document.getElementById(id);
}

// A new element with this text, never markup.
export function create(name, text = "", className = "") {
  const element = document.createElement(name);
  if (text !== "") element.textContent = text;
  if (className) element.className = className;
  return element;
}

export function readJson(name) {
  return JSON.parse(find(`data-${name}`).textContent);
}

// Bytes that the page declares in gzip and base64; null if it has none of that name.
export async function readBinary(name) {
  const element = find(`data-${name}`);
  if (element === null) return null;
  if (typeof DecompressionStream === "undefined") {
    throw new Error(
      "This browser cannot unpack the data of this page; a version from 2023 on can.",
    );
  }
  const characters = atob(element.textContent);
  const packed = new Uint8Array(characters.length);
  for (let at = 0; at < characters.length; at++) packed[at] = characters.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

// The red, green and blue of a custom property such as "0 114 178".
export function colorOf(property) {
  const value = getComputedStyle(document.documentElement).getPropertyValue(property).trim();
  if (value.startsWith("#")) {
    return [1, 3, 5].map((at) => Number.parseInt(value.slice(at, at + 2), 16));
  }
  return value.split(" ").map(Number);
}

export function onThemeChange(redraw) {
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}

// A canvas of this size in CSS pixels, sharp on any screen; returns its context.
export function resizeCanvas(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}

// A number with three digits after the point, and more near zero; a true minus sign.
export function formatNumber(value, signed = false) {
  const size = Math.abs(value);
  const digits = size >= 0.0005 || size === 0 ? size.toFixed(3) : size.toExponential(1);
  const sign = value < 0 && Number(digits) !== 0 ? "−" : signed && size !== 0 ? "+" : "";
  return sign + digits;
}

// Rows of cells as tab-separated text, without tabs or line breaks inside of cells.
export function toTsv(rows) {
  return rows
    .map((row) => row.map((cell) => String(cell).replace(/[\t\r\n]/g, " ")).join("\t"))
    .join("\n");
}

export async function copyText(text, button) {
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copying is not allowed here";
  }
  setTimeout(() => {
    button.textContent = label;
  }, 1500);
}

export function saveCanvas(canvas, name) {
  const link = create("a");
  link.download = name;
  link.href = canvas.toDataURL("image/png");
  link.click();
}
