import { find } from "../pages/assets/base.js";

const MOST = 30;
const EXAMPLES = ["The cat is on the sofa", "A kitten on the couch", "Interest rates went up"];
let models = [],
  comparisons = 0;

function add(parent, name, text = "", classes = "") {
  const element = document.createElement(name);
  element.textContent = text;
  if (classes) element.className = classes;
  parent.append(element);
  return element;
}

async function ask(path, body) {
  const headers = {};
  if (find("key").value) headers.Authorization = `Bearer ${find("key").value}`;
  if (body) headers["Content-Type"] = "application/json";
  const reply = await fetch(path, {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
  });
  const content = await reply.json();
  if (reply.ok) return { content, timing: reply.headers.get("Server-Timing") || "" };
  find("key-label").hidden &&= reply.status !== 401;
  throw new Error(content.error.message || content.error);
}

async function readModels() {
  models = (await ask("v1/models")).content.data;
  if (!models.length) throw new Error("The models are not loaded yet; try again.");
  find("model").replaceChildren(...models.map((model) => new Option(model.id)));
}

async function compare() {
  const number = ++comparisons;
  find("error").hidden = true;
  try {
    if (!models.length) await readModels();
    const texts = find("texts")
      .value.split("\n")
      .filter((text) => text.trim());
    if (!texts.length) throw new Error("Type at least one text.");
    if (texts.length > MOST)
      throw new Error(`${texts.length} texts; this page compares ${MOST} at most.`);
    const model = find("model").value;
    const started = performance.now();
    const vectors = await ask("v1/embeddings", { input: texts, model, normalize: true });
    const total = performance.now() - started;
    const tokens = await ask("tokenize", { inputs: texts, model });
    if (number !== comparisons) return; // a later one is on its way
    showSimilarities(
      texts,
      vectors.content.data.map((row) => row.embedding),
    );
    showTokens(tokens.content, new Set(vectors.content.truncated));
    showTimes(vectors.timing, total);
    const origin = vectors.content.origin;
    find("facts").textContent =
      `${origin.dimensions} dimensions, ${origin.precision}, ${vectors.content.usage.total_tokens} tokens`;
    find("results").hidden = false;
  } catch (error) {
    if (number !== comparisons) return;
    find("error").textContent = error.message;
    find("error").hidden = false;
    find("results").hidden = true;
  }
  document.body.dataset.state = "done";
}

function showSimilarities(texts, vectors) {
  const table = find("similarities");
  table.replaceChildren();
  const head = add(add(table, "thead"), "tr");
  add(head, "td");
  texts.forEach((text, i) => {
    add(head, "th", String(i + 1)).title = text;
  });
  const body = add(table, "tbody");
  vectors.forEach((left, i) => {
    const row = add(body, "tr");
    add(row, "th", `${i + 1}  ${texts[i]}`).title = texts[i];
    for (const right of vectors) {
      const cosine = left.reduce((sum, value, at) => sum + value * right[at], 0);
      const shade = Math.min(1, Math.abs(cosine));
      const classes = `${shade > 0.6 ? "strong" : ""} ${cosine < 0 ? "negative" : ""}`.trim();
      const color = cosine < 0 ? "230 159 0" : "0 114 178";
      add(row, "td", cosine.toFixed(2), classes).style.backgroundColor = `rgb(${color} / ${shade})`;
    }
  });
}

function showTokens(rows, truncated) {
  const list = find("tokens");
  const limit = models.find((model) => model.id === find("model").value).max_model_len;
  list.replaceChildren();
  rows.forEach((tokens, i) => {
    const item = add(list, "li");
    let room = limit - tokens.filter((token) => token.special).length;
    for (const token of tokens) {
      const isCut = truncated.has(i) && !token.special && room-- <= 0;
      add(
        item,
        "span",
        token.text,
        `token ${token.special ? "special" : isCut ? "cut" : ""}`.trim(),
      );
    }
    const note = truncated.has(i)
      ? `${tokens.length} tokens, cut to ${limit}`
      : `${tokens.length} tokens`;
    add(item, "small", note, truncated.has(i) ? "cut" : "");
  });
}

function showTimes(timing, total) {
  const parts = timing.split(", ").map((part) => part.split(";dur="));
  parts.push(["request, from this page", total.toFixed(2)]);
  const body = document.createElement("tbody");
  for (const [name, value] of parts) {
    const row = add(body, "tr");
    add(row, "th", name);
    add(row, "td", Number(value).toFixed(1));
  }
  find("times").replaceChildren(body);
}

find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  compare();
});
find("model").addEventListener("change", compare);
find("texts").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) compare();
});
find("texts").value = decodeURIComponent(location.hash.slice(1)) || EXAMPLES.join("\n");
compare();
