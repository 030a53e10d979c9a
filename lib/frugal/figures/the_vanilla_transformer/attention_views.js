// The views of the attention explorer. Each is a node (or several), what builds its lists for a map,
// and what draws a place in it: { map, kind, layer, head, query }.
import { color, element, heat, onKeys, shape, uniqueId } from "../../show/controls.js";
import { KINDS, headSpread, masked, matrix, row, visible, weightInWords } from "./attention_maps.js";

const BAND_WIDTH = 100; // of the drawing between the two columns; it is stretched to fit
const MIDDLE = BAND_WIDTH / 2;

// What keys do to { layer, head, query }, in a map of given size.
const MOVES = {
  ArrowDown: ({ query }, map) => ["query", Math.min(map.queries.length - 1, query + 1)],
  ArrowUp: ({ query }) => ["query", Math.max(0, query - 1)],
  Home: () => ["query", 0],
  End: (_, map) => ["query", map.queries.length - 1],
  ArrowRight: ({ head }, map) => ["head", (head + 1) % map.heads],
  ArrowLeft: ({ head }, map) => ["head", (head + map.heads - 1) % map.heads],
  PageUp: ({ layer }, map) => ["layer", Math.min(map.layers - 1, layer + 1)],
  PageDown: ({ layer }) => ["layer", Math.max(0, layer - 1)],
};

// Colors follow √w, so that a weight of 5 % can be told from nothing; the scale below says so.
// One pixel a cell, which the style sheet enlarges without blurring.
function paint(canvas, { map, kind, layer, head }) {
  const ramp = heat(canvas);
  const empty = color(canvas, "--frugal-panel");
  canvas.width = map.keys.length;
  canvas.height = map.queries.length;
  const context = canvas.getContext("2d");
  matrix(map, layer, head).forEach((weight, index) => {
    const query = Math.floor(index / map.keys.length);
    const key = index % map.keys.length;
    context.fillStyle = masked(kind, query, key) ? empty : ramp(Math.sqrt(weight));
    context.fillRect(key, query, 1, 1);
  });
}

// The heads side by side, to choose from.
export function headsView(choose) {
  const node = element("fieldset", { class: "attention-heads" });
  const name = uniqueId("head");
  const build = (map) => {
    const labels = Array.from({ length: map.heads }, (_, head) => {
      const states = { disabled: map.heads === 1, value: head, onchange: () => choose("head", head) };
      const canvas = element("canvas", { "aria-hidden": "true" });
      return element(
        "label",
        { class: "attention-head" },
        element("input", { type: "radio", name, ...states }),
        element("span", { class: "attention-thumb" }, canvas),
        element("span", { class: "attention-name" }, `head ${head + 1}`),
        element("span", { class: "attention-spread" }),
      );
    });
    const legend = "Heads, and over how many tokens a row of each spreads";
    node.replaceChildren(element("legend", {}, legend), ...labels);
  };
  const draw = (place) =>
    node.querySelectorAll("label").forEach((label, head) => {
      const equal = headSpread(place.map, place.layer, head).toFixed(1);
      const input = label.querySelector("input");
      input.checked = head === place.head;
      input.setAttribute("aria-label", `head ${head + 1}, a row spreads over ${equal} tokens`);
      label.querySelector(".attention-spread").textContent = `${equal} tokens`;
      paint(label.querySelector("canvas"), { ...place, head });
    });
  return { node, build, draw };
}

// The chosen head as a heat map with its tokens along both sides, and the scale of its colors.
export function mapView(choose, placeNow) {
  const canvas = element("canvas", { role: "img" });
  const frame = element("div", { class: "attention-frame", "aria-hidden": "true" });
  const across = element("div", { class: "attention-across", "aria-hidden": "true" });
  const down = element("div", { class: "attention-down", "aria-hidden": "true" });
  const legend = element("p", { class: "attention-scale", "aria-hidden": "true" });
  const pointed = element("p", { class: "attention-pointed", "aria-hidden": "true" });
  const cells = element("div", { class: "attention-cells" }, canvas, frame);
  const grid = element("div", { class: "attention-grid" }, across, down, cells);
  const node = element("div", { class: "attention-map" }, grid, legend, pointed);

  const build = ({ queries, keys }) => {
    down.replaceChildren(...queries.map((token) => element("span", {}, visible(token))));
    across.replaceChildren(...keys.map((token) => element("span", {}, visible(token))));
  };
  const draw = (place) => {
    const { kind, layer, head } = place;
    paint(canvas, place);
    canvas.setAttribute(
      "aria-label",
      `Heat map of layer ${layer + 1}, head ${head + 1}: a row for each token of the ${KINDS[kind].asks}`,
    );
    legend.replaceChildren("weight", ...scaleNodes(canvas, kind));
  };
  const drawRow = ({ map, query }, weights) => {
    [...across.children].forEach((item, key) =>
      item.classList.toggle("attention-most", weights[key] >= 0.1),
    );
    [...down.children].forEach((item, index) =>
      item.classList.toggle("attention-most", index === query),
    );
    frame.style.top = `${(query / map.queries.length) * 100}%`;
  };
  onPointer(canvas, choose, placeNow, pointed);
  return { node, build, draw, drawRow };
}

function scaleNodes(canvas, kind) {
  const ramp = heat(canvas);
  const steps = [0, 0.05, 0.25, 1].map((weight) => [ramp(Math.sqrt(weight)), weightInWords(weight)]);
  if (kind === "decoder") steps.push([color(canvas, "--frugal-panel"), "masked"]);
  return steps.map(([fill, words]) =>
    element("span", {}, element("i", { style: `background:${fill}` }), words),
  );
}

// The pointer chooses the row that it is in and tells the weight that it is over.
function onPointer(canvas, choose, placeNow, pointed) {
  const point = (event) => {
    const { map, kind, layer, head } = placeNow();
    const box = canvas.getBoundingClientRect();
    const query = Math.floor(((event.clientY - box.top) / box.height) * map.queries.length);
    const key = Math.floor(((event.clientX - box.left) / box.width) * map.keys.length);
    if (query < 0 || key < 0 || query >= map.queries.length || key >= map.keys.length) return;
    choose("query", query);
    const weight = row(map, layer, head, query)[key];
    const value = masked(kind, query, key) ? "masked: the future" : `${(weight * 100).toFixed(1)} %`;
    const [from, to] = [map.queries[query], map.keys[key]].map(visible);
    pointed.textContent = `‘${from}’ → ‘${to}’: ${value}`;
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointerleave", () => {
    pointed.textContent = "";
  });
}

// The chosen query as bands from its token to the tokens it reads.
export function tokensView(choose, placeNow) {
  const queries = element("ul", { class: "attention-queries", role: "listbox", tabindex: 0 });
  const keys = element("ul", { class: "attention-keys" });
  const hidden = { "aria-hidden": "true" };
  const bands = shape("svg", { class: "attention-bands", preserveAspectRatio: "none", ...hidden });
  const headings = [element("p", {}), element("p", {})];
  const node = element(
    "div",
    { class: "attention-tokens" },
    element("div", { class: "attention-headings", ...hidden }, ...headings),
    element("div", { class: "attention-columns" }, queries, bands, keys),
  );
  const build = (map, kind) => {
    const { asks, asked } = KINDS[kind];
    headings[0].textContent = `a token of the ${asks} …`;
    headings[1].textContent = `… reads the ${asked}`;
    queries.setAttribute("aria-label", `Tokens of the ${asks}: choose one to see what it reads`);
    keys.setAttribute("aria-label", `Tokens of the ${asked} with the attention they get`);
    queries.replaceChildren(...queryNodes(map, choose));
    keys.replaceChildren(...map.keys.map(keyNode));
  };
  const drawRow = (place, weights) => {
    [...queries.children].forEach((item, index) =>
      item.setAttribute("aria-selected", String(index === place.query)),
    );
    queries.setAttribute("aria-activedescendant", queries.children[place.query].id);
    drawKeys(keys, place, weights);
    const rows = Math.max(place.map.queries.length, place.map.keys.length);
    bands.setAttribute("viewBox", `0 0 ${BAND_WIDTH} ${rows}`);
    bands.replaceChildren(otherBands(place), chosenBands(place.query, weights));
  };
  onKeys(queries, MOVES, (move) => choose(...move(placeNow(), placeNow().map)));
  return { node, build, drawRow };
}

function queryNodes({ queries }, choose) {
  const id = uniqueId("query");
  return queries.map((token, query) => {
    const chosen = () => choose("query", query);
    const listeners = { onpointerenter: chosen, onclick: chosen };
    return element("li", { role: "option", id: `${id}-${query}`, ...listeners }, visible(token));
  });
}

function keyNode(token) {
  const number = element("span", { class: "attention-number" });
  return element("li", {}, element("span", { class: "attention-key" }, visible(token)), number);
}

function drawKeys(keys, { kind, query }, weights) {
  const most = Math.max(...weights);
  [...keys.children].forEach((item, key) => {
    const hidden = masked(kind, query, key);
    const none = hidden || weights[key] < 0.005;
    item.lastChild.textContent = none ? "" : weightInWords(weights[key]);
    item.classList.toggle("attention-most", weights[key] === most && most > 0);
    item.classList.toggle("attention-future", hidden);
    item.dataset.weight = weights[key];
  });
}

// Behind the chosen row's bands every other row leaves thin lines: the habit of the whole head.
function otherBands({ map, layer, head, query: chosen }) {
  const thin = shape("g", { class: "attention-others" });
  for (let query = 0; query < map.queries.length; query += 1) {
    row(map, layer, head, query).forEach((weight, key) => {
      if (query === chosen || weight < 0.08) return;
      const [from, to] = [query + 0.5, key + 0.5];
      const d = `M0 ${from}C${MIDDLE} ${from} ${MIDDLE} ${to} ${BAND_WIDTH} ${to}`;
      thin.append(shape("path", { d, "stroke-opacity": (weight * 0.5).toFixed(3) }));
    });
  }
  return thin;
}

// A strip that keeps its width's share of the query's row: 72 % of the attention, 72 % of the height.
function band(top, bottom, left, right) {
  return (
    `M0 ${left}C${MIDDLE} ${left} ${MIDDLE} ${top} ${BAND_WIDTH} ${top}` +
    `V${bottom}C${MIDDLE} ${bottom} ${MIDDLE} ${right} 0 ${right}Z`
  );
}

function chosenBands(query, weights) {
  const thick = shape("g", { class: "attention-chosen" });
  let from = query + 0.04;
  weights.forEach((weight, key) => {
    const height = weight * 0.92;
    if (weight >= 0.004) {
      const top = key + 0.5 - height / 2;
      const d = band(top, top + height, from, from + height);
      thick.append(shape("path", { d, "data-key": key }));
    }
    from += height;
  });
  return thick;
}
