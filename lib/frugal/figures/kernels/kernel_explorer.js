// Random features against the softmax kernel: the weights of one query with a given number of
// features and a spread over draws, and below the error over the number of features.
import {
  button,
  checkbox,
  element,
  readout,
  segmented,
  slider,
  store,
  toolbar,
} from "../../show/controls.js";
import { follow, mean, percent, read, sum, svg, widthOf } from "../../show/drawing.js";
import { COUNTS, DRAWS, KINDS, errorChart, legend, weightsChart } from "./kernel_charts.js";
import { MAPS, estimates, projection, rootMeanSquare, scaled, softmaxKernel } from "./kernel_formulas.js";

const short = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(2));

// Weights of every key: what is estimated over the true sum, or over the estimates' own sum.
function weights(kernels, total, own) {
  const divisor = own ? sum(kernels) : total;
  return kernels.map((value) => value / divisor);
}

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

// The keys on show: all, or those at more than a right angle to the query.
function facingAway(model) {
  return model.get("all_keys").filter((key) => product(model.get("q"), key) < -1e-9);
}

function keysOf(model) {
  return model.get("away") ? facingAway(model) : model.get("all_keys");
}

// What the charts show, from the state; draws and estimates are made anew only when they change.
function computer(model) {
  const q = model.get("q");
  const drawsOf = remembering((seed, orthogonal) =>
    Array.from({ length: DRAWS }, (_, draw) =>
      projection(1 + draw + DRAWS * seed, COUNTS.at(-1), q.length, orthogonal),
    ),
  );
  const kernelsOf = remembering((temperature, seed, orthogonal, _away) => {
    const query = scaled(q, 2 ** temperature);
    const keys = keysOf(model).map((key) => scaled(key, 2 ** temperature));
    const found = { exact: keys.map((key) => softmaxKernel(query, key)) };
    for (const [name, map] of Object.entries(MAPS)) {
      found[name] = drawsOf(seed, orthogonal).map((omegas) =>
        estimates(query, keys, omegas, map, COUNTS),
      );
    }
    return found;
  });
  return () => {
    const state = read(model, "temperature seed orthogonal away");
    const kernels = kernelsOf(...Object.values(state));
    const own = model.get("divisor") === "own";
    const total = sum(kernels.exact);
    const truth = weights(kernels.exact, total, false);
    const found = { truth };
    for (const name of Object.keys(MAPS)) {
      const at = (index) => kernels[name].map((by) => weights(by[index], total, own));
      const shown = at(model.get("power") - 1);
      found[name] = {
        shown,
        negative: mean(shown.flat().map((weight) => Number(weight < 0))),
        errors: COUNTS.map((_, index) =>
          rootMeanSquare(at(index).flatMap((one) => one.map((weight, j) => weight - truth[j]))),
        ),
      };
    }
    return found;
  };
}

// The angle of a key to the query.
function angle(q, key) {
  const cosine = product(q, key) / Math.sqrt(product(q, q) * product(key, key));
  return Math.acos(Math.min(1, Math.max(-1, cosine)));
}

function controls(model) {
  const away = checkbox(model, "away", { label: "Only keys that face away" });
  return toolbar(
    slider(model, "power", { label: "Random vectors m", min: 1, max: 8, format: (p) => 2 ** p }),
    slider(model, "temperature", {
      label: "Temperature",
      min: -2,
      max: 2,
      step: 0.5,
      format: (t) => (2 ** t).toFixed(2),
    }),
    segmented(model, "kind", { label: "Features", options: KINDS }),
    segmented(model, "divisor", {
      label: "Divided by",
      options: [
        ["true", "the true sum"],
        ["own", "their own sum"],
      ],
    }),
    checkbox(model, "orthogonal", { label: "Orthogonal" }),
    ...(facingAway(model).length > 1 ? [away] : []),
    button("Draw again", () => store(model, "seed", model.get("seed") + 1)),
  );
}

function sentence(found, kind, power) {
  const { errors, negative } = found[kind];
  const error = errors[power - 1];
  return (
    `With ${2 ** power} ${kind} features a weight is off by ${short(error)}, ` +
    `${short(error / Math.max(...found.truth))} times the largest weight. ` +
    `Over ${DRAWS} draws ${percent(negative, 0)} of the estimates are negative.`
  );
}

function render({ model, el }) {
  const width = widthOf(el);
  const chart = (height, label) =>
    svg(width, height, { class: "kernel-chart", "aria-label": label });
  const upper = chart(278, "True and estimated weights of every key");
  const lower = chart(224, "Error over the number of random vectors, for both kinds");
  const said = readout();
  const figure = element("div", { class: "kernel-figure" });
  const compute = computer(model);
  figure.append(controls(model), legend(), upper, said, lower);
  el.append(figure);
  return follow(model, "power temperature kind orthogonal divisor away seed", () => {
    const found = compute();
    const { kind, power } = read(model, "kind power");
    const angles = keysOf(model).map((key) => angle(model.get("q"), key));
    weightsChart(upper, width, { kind, angles }, found);
    errorChart(lower, width, { kind, power }, found);
    figure.setAttribute("data-kind", kind); // the color of its estimates
    said.textContent = sentence(found, kind, power);
  });
}

export default { render };
