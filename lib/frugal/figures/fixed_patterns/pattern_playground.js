// The pattern playground: choose patterns, see the union as a matrix, and how far a query's sight
// reaches after some layers.
import {
  button,
  checkbox,
  color,
  element,
  heat,
  onThemeChange,
  quantity,
  readout,
  slider,
  store,
  toolbar,
} from "../../show/controls.js";
import { bill, layersNeeded, mask } from "./pattern_formulas.js";

const HEAD_DIM = 64;

// Each pattern, what it is called, and the numbers it takes.
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

function render({ model, el }) {
  const length = model.get("length");
  const root = element("div", { class: "patterns" });
  const canvas = element("canvas", { role: "img", width: length, height: length });
  const frame = element("div", { class: "patterns-frame", "aria-hidden": "true" });
  const strip = element("div", { class: "patterns-strip", "aria-hidden": "true" });
  const legend = element("p", { class: "patterns-legend", "aria-hidden": "true" });
  const facts = element("dl", { class: "patterns-facts" });
  const said = readout();

  const uses = PATTERNS.map(([name, label]) => checkbox(model, `use_${name}`, { label }));
  const sliders = Object.entries(NUMBERS).map(([name, [label, min, max]]) => {
    const control = slider(model, name, { label, min, max });
    control.dataset.name = name;
    return control;
  });
  const presets = Object.entries(PRESETS).map(([label, preset]) =>
    button(label, () => {
      quiet = true;
      for (const [name] of PATTERNS)
        store(model, `use_${name}`, (preset.use ?? []).includes(name));
      for (const name of [...Object.keys(NUMBERS), "causal"])
        if (name in preset) store(model, name, preset[name]);
      quiet = false;
      draw();
    }),
  );
  const which = element(
    "fieldset",
    { class: "patterns-which" },
    element("legend", {}, "Patterns, joined; with none, attention is dense"),
    ...uses,
  );
  const looking = [
    slider(model, "query", {
      label: "Query",
      min: 0,
      max: length - 1,
      format: (value) => `position ${value + 1}`,
    }),
    slider(model, "layers", {
      label: "Layers L",
      min: 1,
      max: 8,
    }),
  ];
  root.append(
    element("div", { class: "frugal-toolbar", role: "group", "aria-label": "Presets" }, ...presets),
    which,
    toolbar(checkbox(model, "causal", { label: "causal: nothing after the query" }), ...sliders),
    element(
      "div",
      { class: "patterns-views" },
      element(
        "div",
        { class: "patterns-map" },
        element("p", { "aria-hidden": "true" }, "keys →"),
        element("div", { class: "patterns-cells" }, canvas, frame),
      ),
      element(
        "div",
        { class: "patterns-side" },
        toolbar(...looking),
        element("p", { "aria-hidden": "true" }, "what the chosen query has heard of"),
        strip,
        legend,
        said,
        facts,
      ),
    ),
  );
  el.append(root);
  const cells = Array.from({ length }, () => element("i", {}));
  strip.append(...cells);

  let quiet = false;
  let seen;
  let needed;

  function options() {
    const numbers = Object.fromEntries(Object.keys(NUMBERS).map((n) => [n, model.get(n)]));
    return {
      ...numbers,
      summary: Math.min(numbers.summary, numbers.stride),
      causal: model.get("causal"),
      global_tokens: Array.from({ length: numbers.n_global }, (_, place) => place),
    };
  }

  function chosen() {
    return PATTERNS.filter(([name]) => model.get(`use_${name}`)).map(([name]) => name);
  }

  // Direct keys dark, what further layers bring in ever lighter, the rest as paper.
  function shade(layers, limit, ramp) {
    if (layers > limit) return null;
    return layers <= 1 ? ramp(0.8) : ramp(0.4 - (0.28 * (layers - 2)) / 6);
  }

  function drawQuery() {
    const query = model.get("query");
    const limit = model.get("layers");
    const ramp = heat(root);
    frame.style.top = `${(query / length) * 100}%`;
    frame.style.height = `${100 / length}%`;
    cells.forEach((cell, key) => {
      const layers = seen[query][key] ? 1 : needed[query][key];
      cell.style.background = shade(layers, limit, ramp) ?? "";
      cell.classList.toggle("patterns-self", key === query);
    });
    const direct = seen[query].filter(Boolean).length;
    const reached = needed[query].filter((layers) => layers <= limit).length;
    said.textContent =
      `Position ${query + 1} sees ${direct} of ${length} positions in one layer; ` +
      `after ${limit} ${limit === 1 ? "layer" : "layers"} it can have heard of ${reached}.`;
  }

  function drawAll() {
    const limit = model.get("layers");
    const ramp = heat(root);
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, length, length);
    let all = 0;
    seen.forEach((row, query) =>
      row.forEach((open, key) => {
        const layers = open ? 1 : needed[query][key];
        if (needed[query][key] <= limit) all += 1;
        if (layers === 0) return;
        const fill = shade(layers, limit, ramp);
        if (!fill) return;
        context.fillStyle = fill;
        context.fillRect(key, query, 1, 1);
      }),
    );
    const { pairs, density, flops } = bill(seen, HEAD_DIM);
    const name = chosen().join(" + ") || "dense";
    canvas.setAttribute(
      "aria-label",
      `Matrix of queries and keys for the pattern ${name}: ${(density * 100).toFixed(0)} % filled`,
    );
    const entries = [
      ["pairs computed", `${pairs} of ${length ** 2}`],
      ["density", `${(density * 100).toFixed(1)} %`],
      ["FLOPs of a head of 64", `${quantity(flops)}, dense ${quantity(4 * length ** 2 * HEAD_DIM)}`],
      [`pairs connected after L = ${limit}`, `${((all / length ** 2) * 100).toFixed(1)} %`],
    ];
    facts.replaceChildren(
      ...entries.flatMap(([term, text]) => [element("dt", {}, term), element("dd", {}, text)]),
    );
    const steps = [[1, "seen directly"]];
    if (limit > 1) steps.push([2, "after 2 layers"]);
    if (limit > 2) steps.push([limit, `after ${limit}`]);
    legend.replaceChildren(
      ...steps.map(([layers, text]) =>
        element("span", {}, element("i", { style: `background:${shade(layers, 8, ramp)}` }), text),
      ),
      element("span", {}, element("i", { style: `background:${color(root, "--frugal-paper")}` }), "never"),
    );
  }

  function draw() {
    if (quiet) return;
    const on = chosen();
    seen = mask(on.join("+") || "full", length, options());
    needed = layersNeeded(seen);
    const wanted = new Set(PATTERNS.filter(([n]) => on.includes(n)).flatMap(([, , takes]) => takes));
    for (const control of sliders) control.hidden = !wanted.has(control.dataset.name);
    drawAll();
    drawQuery();
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    const query = Math.floor(((event.clientY - box.top) / box.height) * length);
    if (query >= 0 && query < length && query !== model.get("query")) store(model, "query", query);
  }
  canvas.addEventListener("pointermove", point);
  canvas.addEventListener("pointerdown", point);

  const inputs = [...PATTERNS.map(([name]) => `use_${name}`), ...Object.keys(NUMBERS), "causal"];
  for (const name of [...inputs, "layers"]) model.on(`change:${name}`, draw);
  model.on("change:query", drawQuery);
  draw();
  const stop = onThemeChange(el, draw);
  return () => {
    stop();
    for (const name of [...inputs, "layers"]) model.off(`change:${name}`, draw);
    model.off("change:query", drawQuery);
  };
}

export default { render };
