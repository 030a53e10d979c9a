// Scores that the reader drags, and below them the weights that entmax gives and their gradient.
import { element, guide, onDrag, onKeys, readout, shape, slider, store, toolbar } from "../../show/controls.js";
import { clamp, follow, percent, svg, text, widthOf } from "../../show/drawing.js";
import { softmax } from "../../show/models.js";
import { entmax, gradient } from "./entmax_formulas.js";

const LEFT = 48;
const RIGHT = 8;
const HIGH = 3; // scores lie between -HIGH and HIGH
const STEP = 0.1;
const MOVES = {
  ArrowUp: STEP,
  ArrowRight: STEP,
  ArrowDown: -STEP,
  ArrowLeft: -STEP,
  PageUp: 10 * STEP,
  PageDown: -10 * STEP,
  Home: -2 * HIGH,
  End: 2 * HIGH,
};
const HEIGHT = 478;
const REACH = 16; // a finger need not be exact

const two = (value) => value.toFixed(2).replace(/^-(0\.00)$/, "$1");
const rounded = (score) => Math.round(clamp(score, -HIGH, HIGH) / STEP) / Math.round(1 / STEP);

// Everything that is drawn, from the state.
export function weighed(model) {
  const [scores, alpha, chosen] = ["scores", "alpha", "chosen"].map((name) => model.get(name));
  const { weights, threshold } = entmax(scores, alpha);
  const found = {
    scores,
    chosen,
    threshold,
    weights,
    dense: softmax(scores),
    slopes: gradient(weights, alpha, chosen),
    support: weights.filter((weight) => weight > 0).length,
  };
  return { ...found, sentence: sentence(found, alpha) };
}

function sentence({ chosen, threshold, weights, slopes, support }, alpha) {
  const bar = threshold === null ? "no threshold" : `the threshold at score ${two(threshold)}`;
  const answer =
    weights[chosen] > 0
      ? `A higher score of key ${chosen + 1} would raise its weight by ${two(slopes[chosen])} per unit.`
      : `Key ${chosen + 1} lies below it: it has no weight, and a small change of its score does nothing.`;
  return `α = ${two(alpha)}: ${support} of ${weights.length} keys have a weight, with ${bar}. ${answer}`;
}

const heights = {
  scores: (score) => 98 - (70 * score) / HIGH,
  weights: (weight) => 300 - 100 * weight,
  gradient: (slope) => 402 - 70 * slope, // it lies between -0.5 and 1
};

function scale(width, count) {
  const column = (width - LEFT - RIGHT) / count;
  return { column, x: (key) => LEFT + (key + 0.5) * column, width };
}

function frame({ width, x }, count) {
  const line = (y, name = "entmax-grid") =>
    shape("path", { class: name, d: `M${LEFT} ${y}H${width - RIGHT}` });
  const mark = (panel, value, words = value) => [
    line(heights[panel](value)),
    text(LEFT - 6, heights[panel](value) + 4, words, { anchor: "end" }),
  ];
  const numbers = Array.from({ length: count }, (_, key) =>
    text(x(key), HEIGHT - 22, key + 1, { anchor: "middle" }),
  );
  return [
    text(LEFT, 14, "scores: drag them"),
    ...[HIGH, 0, -HIGH].flatMap((score) => mark("scores", score)),
    text(LEFT, 190, "weights (outline: softmax)"),
    ...[0, 0.5, 1].flatMap((weight) => mark("weights", weight, percent(weight, 0))),
    text(LEFT, 322, "gradient with respect to the chosen key's score"),
    ...[-0.5, 0, 0.5, 1].flatMap((slope) => mark("gradient", slope)),
    ...numbers,
    text((LEFT + width) / 2, HEIGHT - 6, "key", { anchor: "middle" }),
  ];
}

// The bars of the weights and of the gradient, and the line of the threshold.
function marks({ column, x, width }, { weights, dense, slopes, threshold, chosen }) {
  const bar = (name, panel, key, value, zero) => {
    const [y, from] = [heights[panel](value), heights[panel](zero)];
    return shape("rect", {
      class: key === chosen ? `${name} entmax-chosen` : name,
      "data-value": value,
      x: x(key) - column * 0.35,
      y: Math.min(y, from),
      width: column * 0.7,
      height: Math.abs(from - y),
    });
  };
  const y = threshold === null ? null : heights.scores(clamp(threshold, -HIGH - 0.2, HIGH));
  return [
    ...(y === null ? [] : [shape("path", { class: "entmax-threshold", d: `M${LEFT} ${y}H${width - RIGHT}` })]),
    ...weights.map((weight, key) => bar("entmax-weight", "weights", key, weight, 0)),
    ...dense.map((weight, key) => bar("entmax-dense", "weights", key, weight, 0)),
    ...slopes.map((slope, key) => bar("entmax-slope", "gradient", key, slope, 0)),
  ];
}

// A score is a slider: the arrow keys move it, and it can be dragged.
function handle(model, picture, key, { column, x }) {
  const limits = { "aria-valuemin": -HIGH, "aria-valuemax": HIGH, "aria-orientation": "vertical" };
  const disk = shape("circle", { cx: x(key), r: 8 });
  const reach = shape("rect", {
    class: "entmax-reach",
    x: x(key) - column / 2,
    width: column,
    height: 2 * REACH,
  });
  const stem = shape("path", { class: "entmax-stem" });
  const states = { role: "slider", tabindex: 0, "aria-label": `Score of key ${key + 1}`, ...limits };
  const node = shape("g", { class: "entmax-handle", ...states }, stem, reach, disk);
  const move = (score) => {
    const scores = [...model.get("scores")];
    scores[key] = rounded(score);
    store(model, "scores", scores);
  };
  onKeys(node, MOVES, (by) => move(model.get("scores")[key] + by));
  node.addEventListener("focus", () => store(model, "chosen", key));
  onDrag(node, (event) => {
    const box = picture.getBoundingClientRect();
    move(((98 - ((event.clientY - box.top) * HEIGHT) / box.height) * HIGH) / 70);
  });
  return { node, show: (score, seen, chosen) => showHandle(node, score, { seen, chosen, at: x(key) }) };
}

function showHandle(node, score, { seen, chosen, at }) {
  const [stem, reach, disk] = node.children;
  const y = heights.scores(score);
  disk.setAttribute("cy", y);
  reach.setAttribute("y", y - REACH);
  stem.setAttribute("d", `M${at} ${heights.scores(-HIGH)}V${y}`);
  node.classList.toggle("entmax-unseen", !seen);
  node.classList.toggle("entmax-chosen", chosen);
  node.setAttribute("aria-valuenow", score);
  node.setAttribute("aria-valuetext", `${score.toFixed(1)}, ${seen ? "seen" : "not seen"}`);
}

function render({ model, el }) {
  const count = model.get("scores").length;
  const places = scale(widthOf(el), count);
  const picture = svg(places.width, HEIGHT, { class: "entmax-chart", role: null });
  const drawn = shape("g", { "aria-hidden": "true" });
  const handles = model.get("scores").map((_, key) => handle(model, picture, key, places));
  picture.append(
    shape("g", { "aria-hidden": "true" }, ...frame(places, count)),
    drawn,
    ...handles.map(({ node }) => node),
  );
  const said = readout();
  const controls = toolbar(
    slider(model, "alpha", {
      label: "α",
      min: 1,
      max: 2,
      step: 0.05,
      format: (alpha) => ({ 1: "1.00 (softmax)", 2: "2.00 (sparsemax)" })[alpha] ?? two(alpha),
    }),
  );
  el.append(element("div", { class: "entmax-figure" }, ...guide(model), controls, picture, said));
  return follow(model, "scores alpha chosen", () => {
    const found = weighed(model);
    drawn.replaceChildren(...marks(places, found));
    handles.forEach(({ show }, key) =>
      show(found.scores[key], found.weights[key] > 0, key === found.chosen),
    );
    said.textContent = found.sentence;
  });
}

export default { render };
