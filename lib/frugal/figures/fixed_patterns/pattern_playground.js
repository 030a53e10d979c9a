// The pattern playground: choose patterns, see the union as a matrix, and how far a query's sight
// reaches after some layers.
import {
  button,
  checkbox,
  color,
  element,
  guide,
  heat,
  onThemeChange,
  quantity,
  readout,
  slider,
  store,
  toolbar,
} from "../../show/controls.js";
import { follow, percent, read } from "../../show/drawing.js";
import { bill, layersNeeded, layersToMeet, mask } from "./pattern_formulas.js";

const HEAD_DIM = 64;
const MOST_LAYERS = 12; // as many as the window of four takes from the first position to the last

// Each pattern, what it is called, and the numbers it takes; the slider of the last stands beside it.
const PATTERNS = [
  ["window", "window", ["window"]],
  ["dilated", "dilated", ["window", "dilation"]],
  ["global", "global tokens", ["n_global"]],
  ["random", "random", ["n_random"]],
  ["strided", "strided", ["stride"]],
  ["fixed", "fixed", ["stride", "summary"]],
];
const NUMBERS = {
  window: ["Window w", 0, 12],
  dilation: ["Dilation", 1, 8],
  n_global: ["Global tokens g", 1, 4],
  n_random: ["Random keys r", 1, 6],
  stride: ["Stride ℓ", 2, 12],
  summary: ["Summary c", 1, 4],
};
const PRESETS = {
  Dense: { causal: false },
  Longformer: { window: 4, n_global: 1, use: ["window", "global"], causal: false },
  BigBird: { window: 2, n_global: 2, n_random: 2, use: ["window", "global", "random"], causal: false },
  Strided: { stride: 7, use: ["strided"], causal: true },
  Fixed: { stride: 7, summary: 1, use: ["fixed"], causal: true },
};
const INPUTS = [...PATTERNS.map(([name]) => `use_${name}`), ...Object.keys(NUMBERS), "causal"];

function chosenOf(model) {
  return PATTERNS.map(([name]) => name).filter((name) => model.get(`use_${name}`));
}

// Who sees whom in one layer, after how many layers pairs are connected (a position with itself after
// none), and after how many the matrix shows them.
function sightOf(model) {
  const numbers = read(model, Object.keys(NUMBERS));
  const seen = mask(chosenOf(model).join("+") || "full", model.get("length"), {
    ...numbers,
    summary: Math.min(numbers.summary, numbers.stride),
    causal: model.get("causal"),
    global_tokens: Array.from({ length: numbers.n_global }, (_, place) => place),
  });
  const connected = layersNeeded(seen);
  const needed = connected.map((row, query) =>
    row.map((layers, key) => (seen[query][key] ? 1 : layers)),
  );
  return { seen, needed, connected };
}

// Direct keys dark, what further layers bring in ever lighter, the rest as paper.
function shade(layers, limit, ramp) {
  if (layers > limit) return null;
  return layers <= 1 ? ramp(0.8) : ramp(0.4 - (0.28 * (layers - 2)) / (MOST_LAYERS - 2));
}

// The matrix of queries and keys; the pointer chooses a query.
function mapView(model, length) {
  const canvas = element("canvas", { role: "img", width: length, height: length });
  const frame = element("div", { class: "patterns-frame", "aria-hidden": "true" });
  const node = element(
    "div",
    { class: "patterns-map" },
    element("p", { "aria-hidden": "true" }, "keys →"),
    element("div", { class: "patterns-cells" }, canvas, frame),
  );
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    const query = Math.floor(((event.clientY - box.top) / box.height) * length);
    if (query >= 0 && query < length && query !== model.get("query")) store(model, "query", query);
  };
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);
  const paint = ({ needed }, limit, ramp) => {
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, length, length);
    needed.forEach((row, query) =>
      row.forEach((layers, key) => {
        const fill = layers > 0 && shade(layers, limit, ramp);
        if (!fill) return;
        context.fillStyle = fill;
        context.fillRect(key, query, 1, 1);
      }),
    );
  };
  const say = (name, density) =>
    canvas.setAttribute(
      "aria-label",
      `Matrix of queries and keys for the pattern ${name}: ${percent(density, 0)} filled`,
    );
  const choose = (query) => {
    frame.style.top = `${(query / length) * 100}%`;
    frame.style.height = `${100 / length}%`;
  };
  return { node, paint, say, choose };
}

const inLayers = (count) => `${count} ${count === 1 ? "layer" : "layers"}`;

function meeting(layers, causal) {
  if (layers === Infinity) return "Some positions never hear of each other, in any number of layers.";
  return `Every position has heard of ${causal ? "all before it" : "every other"} after ${inLayers(layers)}.`;
}

// The chosen query: a strip of what it has heard of, the colors' key, and a sentence.
function queryView(length) {
  const cells = Array.from({ length }, () => element("i", {}));
  const strip = element("div", { class: "patterns-strip", "aria-hidden": "true" }, ...cells);
  const legend = element("p", { class: "patterns-legend", "aria-hidden": "true" });
  const said = readout();
  const show = ({ seen, needed, connected }, query, limit, causal, ramp) => {
    cells.forEach((cell, key) => {
      cell.style.background = shade(needed[query][key], limit, ramp) ?? "";
      cell.classList.toggle("patterns-self", key === query);
    });
    const direct = seen[query].filter(Boolean).length;
    const reached = connected[query].filter((layers) => layers <= limit).length;
    said.textContent =
      `Position ${query + 1} sees ${direct} of ${length} positions in one layer; ` +
      `after ${inLayers(limit)} it can have heard of ${reached}. ${meeting(layersToMeet(connected, causal), causal)}`;
  };
  const explain = (limit, ramp, paper) => {
    const steps = [[1, "seen directly"]];
    if (limit > 1) steps.push([2, "after 2 layers"]);
    if (limit > 2) steps.push([limit, `after ${limit}`]);
    const colors = steps.map(([layers, words]) => [shade(layers, MOST_LAYERS, ramp), words]);
    legend.replaceChildren(
      ...[...colors, [paper, "never"]].map(([fill, words]) =>
        element("span", {}, element("i", { style: `background:${fill}` }), words),
      ),
    );
  };
  return { strip, legend, said, show, explain };
}

function factsOf({ connected }, { pairs, density, flops }, length, limit) {
  const all = connected.flat().filter((layers) => layers <= limit).length;
  const entries = [
    ["pairs computed", `${pairs} of ${length ** 2}`],
    ["density", percent(density, 1)],
    [`FLOPs, head of ${HEAD_DIM}`, quantity(flops)],
    ["if all pairs were", quantity(4 * length ** 2 * HEAD_DIM)],
    [`pairs met after L = ${limit}`, percent(all / length ** 2, 1)],
  ];
  return entries.flatMap(([term, words]) => [element("dt", {}, term), element("dd", {}, words)]);
}

// A box for each pattern, and a slider beside it: those that the chosen patterns take can be moved.
function patternRows(model) {
  const sliders = Object.entries(NUMBERS).map(([name, [label, min, max]]) => [
    name,
    slider(model, name, { label, min, max }),
  ]);
  const rows = PATTERNS.map(([name, label, takes]) => {
    const [, control] = sliders.find(([number]) => number === takes.at(-1));
    return element("div", { class: "patterns-row" }, checkbox(model, `use_${name}`, { label }), control);
  });
  const show = () => {
    const on = chosenOf(model);
    const wanted = PATTERNS.filter(([name]) => on.includes(name)).flatMap(([, , takes]) => takes);
    for (const [name, control] of sliders)
      control.querySelector("input").disabled = !wanted.includes(name);
  };
  return { rows, show };
}

// Buttons that set many names of the state, pressed while it is theirs; `quietly` keeps the figure
// from drawing after each.
function presetsOf(model, quietly) {
  const choices = Object.entries(PRESETS).map(([label, { use = [], ...numbers }]) => {
    const uses = PATTERNS.map(([name]) => [`use_${name}`, use.includes(name)]);
    return [label, [...uses, ...Object.entries(numbers)]];
  });
  const buttons = choices.map(([label, state]) =>
    button(label, () => quietly(() => state.forEach(([name, value]) => store(model, name, value)))),
  );
  const show = () =>
    choices.forEach(([, state], index) => {
      const here = state.every(([name, value]) => model.get(name) === value);
      buttons[index].setAttribute("aria-pressed", String(here));
    });
  const group = { class: "frugal-toolbar", role: "group", "aria-label": "Presets" };
  return { node: element("div", group, ...buttons), show };
}

function stage(model, map, chosen, rows, facts, presets) {
  const length = model.get("length");
  const position = (value) => `position ${value + 1}`;
  return element(
    "div",
    { class: "patterns" },
    ...guide(model),
    chosen.said,
    presets,
    element(
      "fieldset",
      { class: "patterns-which" },
      element("legend", {}, "Patterns, joined; with none, attention is dense"),
      ...rows,
    ),
    toolbar(checkbox(model, "causal", { label: "causal: nothing after the query" })),
    element(
      "div",
      { class: "patterns-views" },
      map.node,
      element(
        "div",
        { class: "patterns-side" },
        toolbar(
          slider(model, "query", { label: "Query", min: 0, max: length - 1, format: position }),
          slider(model, "layers", { label: "Layers L", min: 1, max: MOST_LAYERS }),
        ),
        element("p", { "aria-hidden": "true" }, "what the chosen query has heard of"),
        chosen.strip,
        chosen.legend,
        facts,
      ),
    ),
  );
}

function render({ model, el }) {
  const length = model.get("length");
  const map = mapView(model, length);
  const chosen = queryView(length);
  const numbers = patternRows(model);
  const facts = element("dl", { class: "patterns-facts" });
  let quiet = false;
  let sight;
  const quietly = (change) => {
    quiet = true;
    change();
    quiet = false;
    draw();
  };
  const presets = presetsOf(model, quietly);
  const root = stage(model, map, chosen, numbers.rows, facts, presets.node);
  el.append(root);

  function drawQuery() {
    const query = model.get("query");
    map.choose(query);
    chosen.show(sight, query, model.get("layers"), model.get("causal"), heat(root));
  }

  function draw() {
    if (quiet) return;
    const limit = model.get("layers");
    const ramp = heat(root);
    sight = sightOf(model);
    const cost = bill(sight.seen, HEAD_DIM);
    numbers.show();
    presets.show();
    map.paint(sight, limit, ramp);
    map.say(chosenOf(model).join(" + ") || "dense", cost.density);
    facts.replaceChildren(...factsOf(sight, cost, length, limit));
    chosen.explain(limit, ramp, color(root, "--frugal-paper"));
    drawQuery();
  }

  const stops = [
    follow(model, [...INPUTS, "layers"], draw),
    follow(model, "query", drawQuery),
    onThemeChange(el, draw),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
