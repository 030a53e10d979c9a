// The cost explorer: sizes on sliders; shares of FLOPs, bytes held and a roofline follow.
import { element, quantity, readout, segmented, shape, store, toolbar } from "../../show/controls.js";
import { LENGTHS, colorOf, drawMemory, drawRoofline, drawShares, lengthAt } from "./cost_charts.js";
import {
  crossoverLength,
  flops,
  layerSeconds,
  memory,
  operations,
  peak,
  ridge,
  rooflineSeconds,
} from "./cost_formulas.js";

const MODES = [
  ["forward", "forward pass"],
  ["training", "training step"],
  ["decoding", "decoding step"],
];
const FORMATS = [
  [4, "float32"],
  [2, "bfloat16"],
];

// Powers of two and the sizes half-way between, from `low` to `high`.
function octaves(low, high) {
  const steps = [];
  for (let size = low; size <= high; size *= 2) {
    steps.push(size);
    if (size * 1.5 <= high && Number.isInteger(size * 1.5)) steps.push(size * 1.5);
  }
  return steps;
}

const STEPS = {
  length: octaves(...LENGTHS),
  d_model: octaves(64, 8192),
  n_layers: [...octaves(1, 64), 5, 7, 9, 10, 11].sort((a, b) => a - b),
  n_heads: [1, 2, 4, 8, 16, 32, 64], // each divides every d_model above
  ff_ratio: [1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8],
  batch: [1, 2, 4, 8, 16, 32],
};

function nearest(steps, value) {
  const distance = (step) => Math.abs(Math.log(step / value));
  return steps.reduce(
    (best, step, index) => (distance(step) < distance(steps[best]) ? index : best),
    0,
  );
}

// A slider over a list of sizes. A size that is not in the list (set from Python) keeps its value
// until the reader moves the slider.
function stepped(model, name, label, format = String) {
  const id = `cost-${name}-${Math.random().toString(36).slice(2)}`;
  const input = element("input", {
    type: "range",
    id,
    min: 0,
    max: STEPS[name].length - 1,
    step: 1,
  });
  const shown = element("output", { for: id });
  const show = () => {
    input.value = nearest(STEPS[name], model.get(name));
    shown.textContent = format(model.get(name));
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => store(model, name, STEPS[name][input.value]));
  model.on(`change:${name}`, show);
  show();
  return {
    node: element(
      "div",
      { class: "frugal-control frugal-slider cost-slider" },
      element("label", { for: id }, label),
      input,
      shown,
    ),
    stop: () => model.off(`change:${name}`, show),
  };
}

export function duration(seconds) {
  if (seconds < 1e-6) return `${(seconds * 1e9).toPrecision(3)} ns`;
  if (seconds < 1e-3) return `${(seconds * 1e6).toPrecision(3)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
  if (seconds < 120) return `${seconds.toPrecision(3)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86400).toLocaleString("en")} days`;
}

export function shapeOf(model) {
  const names = ["length", "d_model", "n_heads", "n_layers", "batch", "bytes_per_number"];
  const shape = Object.fromEntries(names.map((name) => [name, model.get(name)]));
  return { ...shape, d_ff: Math.round(model.get("ff_ratio") * shape.d_model) };
}

function linesOfMemory(sizes, mode) {
  const bytes = memory(sizes, mode);
  const lines = [
    ["scores, naive", bytes.naive_scores, "var(--frugal-accent-2)"],
    ["scores, fused", bytes.fused_scores, "var(--frugal-accent-4)"],
    [
      mode === "training" ? "parameters + Adam" : "parameters",
      bytes.parameters,
      "var(--frugal-accent-6)",
    ],
  ];
  if (mode === "decoding") lines.push(["KV cache", bytes.cache, "var(--frugal-accent-5)"]);
  return lines;
}

// Steps for the roofline. Scores and weighted sum have the same counts in every shape: one point.
function hangers(steps, machine, bytes) {
  return steps
    .filter(({ name }) => name !== "weighted sum")
    .map((step) => {
      const least = duration(rooflineSeconds(step, machine, bytes));
      const both = step.name === "scores";
      return {
        ...step,
        label: both ? "scores, weighted sum" : step.name,
        words: both ? `${least} each` : least,
      };
    });
}

function boundBy(step, machine, bytes) {
  return step.intensity < ridge(machine, bytes) ? "memory" : "arithmetic";
}

function sentences(sizes, mode, machine) {
  const share = flops(sizes, mode).attention_share;
  const half = crossoverLength(sizes.d_model, sizes.d_ff);
  const bytes = sizes.bytes_per_number;
  const waiting = operations(sizes, mode).filter(
    (step) => boundBy(step, machine, bytes) === "memory",
  );
  const names = waiting.map(({ name }) => name);
  const listed =
    names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  const who = names.length === 6 ? "every step" : (listed ?? "no step");
  const waits = `${who} ${names.length > 1 && names.length < 6 ? "wait" : "waits"}`;
  const [separate, fused] = [false, true].map((whole) => layerSeconds(sizes, machine, mode, whole));
  return (
    `At N = ${sizes.length.toLocaleString("en")} scores and weighted sum take ${(share * 100).toFixed(share > 0.0995 ? 0 : 1)} % ` +
    `of the FLOPs; they take half at N = ${half.toLocaleString("en")}, which is 2d + d_ff. ` +
    `On ${machine.name}: ${waits} for memory; a layer takes at least ${duration(separate)}, ` +
    `or ${duration(fused)} with attention fused.`
  );
}

function tableRow(step, machine, bytes) {
  const cells = [
    quantity(step.flops),
    quantity(step.bytes, "B"),
    step.intensity < 100
      ? step.intensity.toPrecision(2)
      : Math.round(step.intensity).toLocaleString("en"),
    boundBy(step, machine, bytes),
    duration(rooflineSeconds(step, machine, bytes)),
  ];
  const name = element(
    "th",
    { scope: "row" },
    element("i", { style: `background:${colorOf(step.name)}` }),
    step.name,
  );
  return element(
    "tr",
    { "data-step": step.name },
    name,
    ...cells.map((cell) => element("td", {}, cell)),
  );
}

function render({ model, el }) {
  const machines = model.get("machines");
  const count = (value) => value.toLocaleString("en");
  const sliders = [
    stepped(model, "length", "tokens N", count),
    stepped(model, "d_model", "width d", count),
    stepped(model, "ff_ratio", "d_ff / d", (value) => `${value}×`),
    stepped(model, "n_layers", "layers"),
    stepped(model, "n_heads", "heads"),
    stepped(model, "batch", "batch"),
  ];
  const chart = (name) => shape("svg", { class: `cost-chart cost-${name}`, role: "img" });
  const [shares, held, roofline] = ["shares", "memory", "roofline"].map(chart);
  const title = (text = "") => element("p", { class: "cost-title" }, text);
  const [sharesTitle, heldTitle, rooflineTitle] = [title(), title(), title()];
  const said = readout();
  const source = element("p", { class: "cost-note" });
  const body = element("tbody");
  const columns = ["step", "FLOPs", "moves", "FLOP/B", "limited by", "at least"];
  const heads = columns.map((name) => element("th", { scope: "col" }, name));
  const table = element(
    "table",
    { class: "cost-table" },
    element("thead", {}, element("tr", {}, ...heads)),
    body,
  );
  const root = element(
    "div",
    { class: "cost" },
    toolbar(
      segmented(model, "mode", { label: "Count", options: MODES }),
      segmented(model, "bytes_per_number", { label: "in", options: FORMATS }),
    ),
    element("div", { class: "cost-sliders" }, ...sliders.map(({ node }) => node)),
    said,
    element(
      "div",
      { class: "cost-pair" },
      element("div", {}, sharesTitle, shares),
      element("div", {}, heldTitle, held),
    ),
    toolbar(
      segmented(model, "machine", {
        label: "Machine",
        options: machines.map(({ name }, index) => [index, name]),
      }),
    ),
    rooflineTitle,
    roofline,
    table,
    source,
  );
  el.append(root);

  function draw() {
    const sizes = shapeOf(model);
    const mode = model.get("mode");
    const bytes = sizes.bytes_per_number;
    const machine = machines[model.get("machine")];
    const width = Math.floor(shares.parentElement.clientWidth);
    const total = flops(sizes, mode).total;
    sharesTitle.replaceChildren(
      "Where the FLOPs go ",
      element("span", {}, `${quantity(total, "FLOP")} in all`),
    );
    drawShares(shares, {
      width,
      at: (length) => flops({ ...sizes, length }, mode),
      length: sizes.length,
      crossover: crossoverLength(sizes.d_model, sizes.d_ff),
    });
    heldTitle.replaceChildren(
      "Bytes held ",
      element(
        "span",
        {},
        mode === "training" ? "scores of all layers" : "scores of one layer at a time",
      ),
    );
    drawMemory(held, {
      width,
      at: (length) => linesOfMemory({ ...sizes, length }, mode),
      length: sizes.length,
      capacity: machine.capacity,
    });

    rooflineTitle.replaceChildren(
      `One layer on ${machine.name} `,
      element("span", {}, "each step at its place under the roof"),
    );
    const steps = operations(sizes, mode);
    drawRoofline(roofline, {
      width: Math.floor(root.clientWidth),
      steps: hangers(steps, machine, bytes),
      peak: peak(machine, bytes),
      bandwidth: machine.bandwidth,
    });
    body.replaceChildren(...steps.map((step) => tableRow(step, machine, bytes)));
    source.textContent =
      `${quantity(peak(machine, bytes), "FLOP/s")} and ${quantity(machine.bandwidth, "B/s")} (${machine.source}). ` +
      "Bytes are the least possible: each operand read once, each result written once.";
    const sentence = sentences(sizes, mode, machine);
    said.textContent = sentence;
    shares.setAttribute("aria-label", sentence.split(". ")[0]);
    const inWords = linesOfMemory(sizes, mode).map(
      ([name, value]) => `${name} ${quantity(value, "B")}`,
    );
    held.setAttribute("aria-label", `Bytes held at this N: ${inWords.join(", ")}`);
    roofline.setAttribute(
      "aria-label",
      `Roofline of ${machine.name}; the table below lists every step`,
    );
  }

  // The two charts over N are handles for it as well; the slider is the keyboard's way.
  const drag = (event) => {
    if (event.type === "pointermove" && !(event.buttons & 1)) return;
    const box = event.currentTarget.getBoundingClientRect();
    const length = lengthAt(event.clientX - box.left, box.width, event.currentTarget === held);
    const step = STEPS.length[nearest(STEPS.length, length)];
    if (step !== model.get("length")) store(model, "length", step);
  };
  for (const svg of [shares, held]) {
    svg.addEventListener("pointerdown", drag);
    svg.addEventListener("pointermove", drag);
  }
  const names = [...Object.keys(STEPS), "mode", "bytes_per_number", "machine"];
  for (const name of names) model.on(`change:${name}`, draw);
  const observer = new ResizeObserver(draw); // draws at once, and when the width changes
  observer.observe(root);
  return () => {
    observer.disconnect();
    for (const name of names) model.off(`change:${name}`, draw);
    for (const { stop } of sliders) stop();
  };
}

export default { render };
