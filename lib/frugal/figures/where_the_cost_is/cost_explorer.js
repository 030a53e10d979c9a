// The cost explorer: sizes on sliders; shares of FLOPs, bytes held, a roofline and its table follow.
// Where the page is narrow, one of these is seen at a time.
import { element, guide, quantity, readout, segmented, store, toolbar, uniqueId } from "../../show/controls.js";
import { follow, read, svg } from "../../show/drawing.js";
import { oneAtATime } from "../../show/parts.js";
import { LENGTHS, colorOf, drawMemory, drawShares, lengthAt } from "./cost_charts.js";
import { crossoverLength, flops, operations, peak, rooflineSeconds } from "./cost_formulas.js";
import { boundBy, duration, hangers, linesOfMemory, sentences } from "./cost_words.js";
import { drawRoofline } from "./roofline.js";

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
  const id = uniqueId(name);
  const most = STEPS[name].length - 1;
  const input = element("input", { type: "range", id, min: 0, max: most, step: 1 });
  const shown = element("output", { for: id });
  input.addEventListener("input", () => store(model, name, STEPS[name][input.value]));
  const stop = follow(model, name, () => {
    input.value = nearest(STEPS[name], model.get(name));
    shown.textContent = format(model.get(name));
    input.setAttribute("aria-valuetext", shown.textContent);
  });
  const node = element(
    "div",
    { class: "frugal-control frugal-slider cost-slider" },
    element("label", { for: id }, label),
    input,
    shown,
  );
  return { node, stop };
}

export function shapeOf(model) {
  const shape = read(model, "length d_model n_heads n_layers batch bytes_per_number");
  return { ...shape, d_ff: Math.round(model.get("ff_ratio") * shape.d_model) };
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

function tableOf() {
  const body = element("tbody");
  const columns = ["step", "FLOPs", "moves", "FLOP/B", "limited by", "at least"];
  const heads = columns.map((name) => element("th", { scope: "col" }, name));
  const head = element("thead", {}, element("tr", {}, ...heads));
  return { body, node: element("table", { class: "cost-table" }, head, body) };
}

// A chart under a title whose second half is set softer.
function chartView(name) {
  const picture = svg(0, 0, { class: `cost-chart cost-${name}`, viewBox: null });
  const title = element("p", { class: "cost-title" });
  const entitle = (first, second) => title.replaceChildren(`${first} `, element("span", {}, second));
  return { picture, title, entitle };
}

function slidersOf(model) {
  const count = (value) => value.toLocaleString("en");
  return [
    stepped(model, "length", "tokens N", count),
    stepped(model, "d_model", "width d", count),
    stepped(model, "ff_ratio", "d_ff / d", (value) => `${value}×`),
    stepped(model, "n_layers", "layers"),
    stepped(model, "n_heads", "heads"),
    stepped(model, "batch", "batch"),
  ];
}

function choices(model) {
  const machines = model.get("machines").map(({ name }, index) => [index, name]);
  return toolbar(
    segmented(model, "mode", { label: "Count", options: MODES }),
    segmented(model, "bytes_per_number", { label: "in", options: FORMATS }),
    segmented(model, "machine", { label: "Machine", options: machines }),
  );
}

const NARROW = 520; // below so many pixels there is no room for two charts beside each other

// The parts of the figure and where they stand.
function stage(model) {
  const [shares, held, roofline] = ["shares", "memory", "roofline"].map(chartView);
  const said = readout();
  const source = element("p", { class: "cost-note" });
  const table = tableOf();
  const sliders = slidersOf(model);
  const drawn = [shares, held, roofline].map(({ title, picture }) => element("div", {}, title, picture));
  const nodes = [...drawn, element("div", {}, table.node, source)];
  const names = ["FLOPs", "bytes", "roofline", "table"];
  const all = element("div", { class: "cost-parts" }, ...nodes);
  const root = element("div", { class: "cost" });
  const parts = names.map((name, at) => [name, nodes[at]]);
  const { bar, fit, stop: stopParts } = oneAtATime(model, { root, all, parts, narrow: NARROW });
  root.append(
    ...guide(model),
    choices(model),
    element("div", { class: "cost-sliders" }, ...sliders.map(({ node }) => node)),
    said,
    bar,
    all,
  );
  const stop = () => [stopParts, ...sliders.map((one) => one.stop)].forEach((end) => end());
  return { root, shares, held, roofline, said, source, body: table.body, fit, stop };
}

// Both charts over N.
function drawOverLength({ shares, held }, sizes, mode, machine) {
  const width = Math.floor(shares.picture.parentElement.clientWidth);
  const { length } = sizes;
  shares.entitle("Where the FLOPs go", `${quantity(flops(sizes, mode).total, "FLOP")} in all`);
  drawShares(shares.picture, {
    width,
    at: (other) => flops({ ...sizes, length: other }, mode),
    length,
    crossover: crossoverLength(sizes.d_model, sizes.d_ff),
  });
  const training = mode === "training";
  held.entitle("Bytes held", training ? "scores of all layers" : "scores of one layer at a time");
  const lines = linesOfMemory(sizes, mode);
  drawMemory(held.picture, {
    width,
    at: (other) => linesOfMemory({ ...sizes, length: other }, mode),
    length,
    capacity: machine.capacity,
  });
  const inWords = lines.map(([name, value]) => `${name} ${quantity(value, "B")}`);
  held.picture.setAttribute("aria-label", `Bytes held at this N: ${inWords.join(", ")}`);
}

function drawMachine({ root, roofline, body, source }, sizes, mode, machine) {
  const bytes = sizes.bytes_per_number;
  const steps = operations(sizes, mode);
  const most = peak(machine, bytes);
  roofline.entitle(`One layer on ${machine.name}`, "each step at its place under the roof");
  drawRoofline(roofline.picture, {
    width: Math.floor(root.clientWidth),
    steps: hangers(steps, machine, bytes),
    peak: most,
    bandwidth: machine.bandwidth,
  });
  roofline.picture.setAttribute(
    "aria-label",
    `Roofline of ${machine.name}; the table below lists every step`,
  );
  body.replaceChildren(...steps.map((step) => tableRow(step, machine, bytes)));
  source.textContent =
    `${quantity(most, "FLOP/s")} and ${quantity(machine.bandwidth, "B/s")} (${machine.source}). ` +
    "Bytes are the least possible: each operand read once, each result written once.";
}

// The two charts over N are handles for it as well; the slider is the keyboard's way.
function dragLength(model, picture, isMemory) {
  const drag = (event) => {
    if (event.type === "pointermove" && !(event.buttons & 1)) return;
    const box = picture.getBoundingClientRect();
    const length = lengthAt(event.clientX - box.left, box.width, isMemory);
    const step = STEPS.length[nearest(STEPS.length, length)];
    if (step !== model.get("length")) store(model, "length", step);
  };
  picture.addEventListener("pointerdown", drag);
  picture.addEventListener("pointermove", drag);
}

function render({ model, el }) {
  const scene = stage(model);
  el.append(scene.root);
  scene.fit();
  const draw = () => {
    const sizes = shapeOf(model);
    const mode = model.get("mode");
    const machine = model.get("machines")[model.get("machine")];
    drawOverLength(scene, sizes, mode, machine);
    drawMachine(scene, sizes, mode, machine);
    const words = sentences(sizes, mode, machine);
    scene.said.textContent = words;
    scene.shares.picture.setAttribute("aria-label", words.split(". ")[0]);
  };
  dragLength(model, scene.shares.picture, false);
  dragLength(model, scene.held.picture, true);
  const resized = new ResizeObserver(draw);
  resized.observe(scene.root);
  const stop = follow(model, [...Object.keys(STEPS), "mode", "bytes_per_number", "machine"], draw);
  return () => {
    resized.disconnect();
    stop();
    scene.stop();
  };
}

export default { render };
