// A kernel in place of softmax's exponential: the attention of one query, and why it differs.
import { button, element, readout, segmented, slider, steps, store, toolbar } from "../../show/controls.js";
import { follow, percent, read, sum } from "../../show/drawing.js";
import { chart, kernelChart, legend, weightsChart } from "./kernel_charts.js";
import { MAPS, eluKernel, estimates, projection, scaled, softmaxKernel } from "./kernel_formulas.js";

const DRAWS = 40;
const COUNTS = [2, 4, 8, 16, 32, 64, 128, 256];
const KINDS = [
  ["elu", "elu + 1"],
  ["positive", "random, positive"],
  ["trigonometric", "random, sine and cosine"],
];
const NAMES = Object.fromEntries(KINDS);

// A function that remembers what it made last, as long as its key stays.
function remembering(make) {
  let last;
  return (...key) => {
    const name = JSON.stringify(key);
    if (last?.name !== name) last = { name, value: make(...key) };
    return last.value;
  };
}

const product = (a, b) => sum(a.map((value, i) => value * b[i]));
const over = (values) => {
  const total = sum(values);
  return values.map((value) => value / total);
};

// The angle of a key to the query.
function angle(q, key) {
  const cosine = product(q, key) / Math.sqrt(product(q, q) * product(key, key));
  return Math.acos(Math.min(1, Math.max(-1, cosine)));
}

// What the charts show, from the state; draws and estimates are made anew only when they change.
function computer(model) {
  const [q, keys] = [model.get("q"), model.get("all_keys")];
  const angles = keys.map((key) => angle(q, key));
  const drawsOf = remembering((seed) =>
    Array.from({ length: DRAWS }, (_, draw) => projection(1 + draw + DRAWS * seed, COUNTS.at(-1), q.length, true)),
  );
  const kernelsOf = remembering((kind, size, seed) => {
    const [query, others] = [scaled(q, 2 ** -size), keys.map((key) => scaled(key, 2 ** -size))];
    return drawsOf(seed).map((omegas) => estimates(query, others, omegas, MAPS[kind], COUNTS));
  });
  return () => {
    const { kind, size, seed, power } = read(model, "kind size seed power");
    const scores = keys.map((key) => (2 ** size * product(q, key)) / Math.sqrt(q.length));
    const exact = scores.map(Math.exp);
    let kernels;
    if (kind === "elu") {
      const grown = (x) => x.map((value) => value * 2 ** (size / 2));
      const own = keys.map((key) => eluKernel(grown(q), grown(key)));
      kernels = [own.map((value) => (value * sum(exact)) / sum(own))]; // on the scale of e^score
    } else {
      kernels = kernelsOf(kind, size, seed).map((by) => by[power - 1]);
    }
    const found = { kind, power, scores, exact, kernels, angles, truth: over(exact), weights: kernels.map(over) };
    return { ...found, words: kind === "elu" ? plainWords(found) : randomWords(found) };
  };
}

const times = (value) => {
  const size = Math.abs(value);
  const small = size < 0.095 ? Number(size.toPrecision(1)) : size.toFixed(1);
  return `${value < 0 ? "−" : ""}${size >= 10 ? Math.round(size).toLocaleString("en") : small}`;
};
const ends = (scores) => [scores.indexOf(Math.min(...scores)), scores.indexOf(Math.max(...scores))];

function plainWords({ scores, exact, kernels, truth, weights }) {
  const [far, near] = ends(scores);
  const [own] = kernels;
  return (
    `Softmax gives the nearest key ${percent(truth[near])} of its attention, elu + 1 gives it ` +
    `${percent(weights[0][near])}. Why: from the farthest key to the nearest, e^score grows ` +
    `${times(exact[near] / exact[far])} times, and this kernel ${times(own[near] / own[far])} times.`
  );
}

function randomWords({ kind, power, scores, exact, kernels, truth, weights }) {
  const [far, near] = ends(scores);
  const ratios = (j) => {
    const found = kernels.map((of) => of[j] / exact[j]);
    return [...new Set([Math.min(...found), Math.max(...found)].map(times))].join(" to ");
  };
  const all = weights.flat();
  const negative = all.filter((weight) => weight < 0).length / all.length;
  const share = kernels.filter((of, draw) => Math.abs(weights[draw][near] - truth[near]) <= 0.1).length;
  return (
    `Softmax gives the nearest key ${percent(truth[near])}. With ${2 ** power} vectors (${NAMES[kind]}) ` +
    `${share} of ${kernels.length} draws come within 10 points of that; ${percent(negative, 0)} of all weights are ` +
    `below zero. Why: the draws estimate ${ratios(near)} times e^score at the nearest key, and ` +
    `${ratios(far)} times at the farthest.`
  );
}

function controls(model) {
  const most = Math.max(...model.get("all_keys").map((key) => product(model.get("q"), key))) / Math.sqrt(model.get("q").length);
  const count = slider(model, "power", { label: "Random vectors m", min: 1, max: 8, format: (p) => String(2 ** p) });
  const again = button("Draw again", () => store(model, "seed", model.get("seed") + 1));
  const bar = toolbar(
    segmented(model, "kind", { label: "Kernel", options: KINDS }),
    slider(model, "size", {
      label: "Largest score",
      min: -2,
      max: 2,
      step: 0.5,
      format: (size) => (most * 2 ** size).toFixed(2),
    }),
    count,
    again,
  );
  const stop = follow(model, "kind", () => {
    const still = model.get("kind") === "elu"; // nothing is drawn by chance
    for (const node of [count.querySelector("input"), again]) node.disabled = still;
  });
  return { bar, stop };
}

function guide(model) {
  const list = model.get("tries").map(({ words, state }) => [words, state]);
  return steps(model, model.get("question"), list);
}

function render({ model, el }) {
  const left = chart("Softmax's weight and the kernel's for every key");
  const right = chart("The kernel over the score of each key, beside the exponential");
  const said = readout();
  const { bar, stop: stopControls } = controls(model);
  const compute = computer(model);
  const views = element("div", { class: "kernel-views" }, left, right);
  const figure = element("div", { class: "kernel-figure" }, guide(model), said, bar, legend(DRAWS - 1), views);
  el.append(figure);
  const stop = follow(model, "power size kind seed", () => {
    const found = compute();
    weightsChart(left, found);
    kernelChart(right, found);
    figure.setAttribute("data-kind", found.kind); // the color of the kernel
    said.textContent = found.words;
  });
  return () => {
    stop();
    stopControls();
  };
}

export default { render };
