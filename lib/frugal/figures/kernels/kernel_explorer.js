// Random features against the softmax kernel: the weights of one query with a given number of
// features and a spread over draws, and below the error over the number of features.
import {
  button,
  checkbox,
  element,
  readout,
  segmented,
  shape,
  slider,
  store,
  toolbar,
} from "../../show/controls.js";
import { MAPS, estimates, projection, scaled, softmaxKernel } from "./kernel_formulas.js";

const LEFT = 44;
const RIGHT = 10;
const DRAWS = 40;
const COUNTS = [2, 4, 8, 16, 32, 64, 128, 256];
const KINDS = [
  ["positive", "positive"],
  ["trigonometric", "sine and cosine"],
];

function text(x, y, words, attributes = {}) {
  return shape("text", { x, y, class: "kernel-label", ...attributes }, words);
}

function svg(width, height, label) {
  return shape("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "kernel-chart",
    role: "img",
    "aria-label": label,
  });
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const root = (values) => Math.sqrt(mean(values.map((value) => value * value)));
const short = (value) => (value >= 100 ? value.toFixed(0) : value.toPrecision(2));

// Weights of every key: what is estimated over the true sum, or over the estimates' own sum.
function weights(kernels, total, own) {
  const sum = own ? kernels.reduce((all, value) => all + value, 0) : total;
  return kernels.map((value) => value / sum);
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

const product = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

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
    const state = ["temperature", "seed", "orthogonal", "away"].map((name) => model.get(name));
    const kernels = kernelsOf(...state);
    const own = model.get("divisor") === "own";
    const total = kernels.exact.reduce((sum, value) => sum + value, 0);
    const truth = weights(kernels.exact, total, false);
    const found = { truth };
    for (const name of Object.keys(MAPS)) {
      const at = (index) => kernels[name].map((by) => weights(by[index], total, own));
      const shown = at(model.get("power") - 1);
      found[name] = {
        shown,
        negative: mean(shown.flat().map((weight) => Number(weight < 0))),
        errors: COUNTS.map((_, index) =>
          root(at(index).flatMap((one) => one.map((weight, j) => weight - truth[j]))),
        ),
      };
    }
    return found;
  };
}

// Marks of an axis: multiples of 1, 2 or 5 of a power of ten, about `count` of them.
function marks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(n * step);
  return found;
}

// The angle of a key to the query.
function angle(q, key) {
  const cosine = product(q, key) / Math.sqrt(product(q, q) * product(key, key));
  return Math.acos(Math.min(1, Math.max(-1, cosine)));
}

// A small arrow that points as the key does when the query points to the right.
function arrow(x, y, turn) {
  const place = `translate(${x} ${y}) rotate(${(-turn * 180) / Math.PI})`;
  return shape("path", { class: "kernel-arrow", transform: place, d: "M-8 0H8M3 -4L8 0L3 4" });
}

// From outside of the chart a value comes back to its edge.
const within = (value, [low, high]) => Math.min(high, Math.max(low, value));

// One key: the true weight as a bar, every draw as a dot beside the mean and its spread.
function keyNodes(weight, drawn, x, column, y, range) {
  const middle = mean(drawn);
  const spread = root(drawn.map((value) => value - middle));
  const [left, right] = [x - 0.2 * column, x + 0.22 * column];
  const place = (value) => y(within(value, range));
  const dot = (value, index) => {
    const outside = within(value, range) !== value;
    const cx = left + (((index * 7) % 11) - 5) * 0.022 * column;
    const cy = place(value);
    const kind = index ? "kernel-other" : "kernel-draw";
    const at = { class: value < 0 ? `${kind} kernel-negative` : kind, "data-weight": value };
    const size = index ? 2.2 : 4;
    if (!outside) return shape("circle", { ...at, cx: index ? cx : left, cy, r: size });
    const [way, middleX] = [value > 0 ? 1 : -1, index ? cx : left];
    const d = `M${middleX - 4} ${cy + 4 * way}h8l-4 ${-7 * way}z`;
    return shape("path", { ...at, d });
  };
  const ends = [middle - spread, middle + spread];
  return [
    shape("rect", {
      class: "kernel-true",
      "data-weight": weight,
      x: x - 0.42 * column,
      y: y(weight),
      width: 0.84 * column,
      height: y(0) - y(weight),
    }),
    shape("path", { class: "kernel-top", d: `M${x - 0.42 * column} ${y(weight)}h${0.84 * column}` }),
    ...drawn.map(dot).reverse(), // the draw that is looked at, the first, lies on top
    shape("path", {
      class: "kernel-spread",
      "data-spread": spread,
      d:
        `M${right} ${place(ends[0])}V${place(ends[1])}` +
        ends.map((end) => (within(end, range) === end ? `M${right - 4} ${y(end)}h8` : "")).join(""),
    }),
    shape("rect", {
      class: "kernel-mean",
      "data-weight": middle,
      x: right - 4,
      y: place(middle) - 4,
      width: 8,
      height: 8,
    }),
  ];
}

function weightsChart(picture, width, model, found) {
  const { truth } = found;
  const kind = model.get("kind");
  const most = Math.max(...truth);
  const range = [-0.9 * most, 2.1 * most];
  const [top, bottom] = [24, 232];
  const y = (value) => bottom - ((bottom - top) * (value - range[0])) / (range[1] - range[0]);
  const column = (width - LEFT - RIGHT) / truth.length;
  const x = (j) => LEFT + (j + 0.5) * column;
  const q = model.get("q");
  picture.replaceChildren(
    text(0, 12, "weight of each key"),
    shape("rect", {
      class: "kernel-below",
      x: LEFT,
      y: y(0),
      width: width - LEFT - RIGHT,
      height: bottom - y(0),
    }),
    ...marks(...range, 5).flatMap((value) => [
      shape("path", { class: "kernel-grid", d: `M${LEFT} ${y(value)}H${width - RIGHT}` }),
      text(LEFT - 6, y(value) + 4, String(Number(value.toPrecision(2))), { "text-anchor": "end" }),
    ]),
    text(LEFT + 6, bottom - 6, "below zero, where softmax has no weights", { class: "kernel-label kernel-soft" }),
    ...truth.flatMap((weight, j) =>
      keyNodes(weight, found[kind].shown.map((one) => one[j]), x(j), column, y, range),
    ),
    shape("path", { class: "kernel-axis", d: `M${LEFT} ${y(0)}H${width - RIGHT}` }),
    ...keysOf(model).map((key, j) => arrow(x(j), bottom + 14, angle(q, key))),
    text(LEFT, bottom + 40, "the keys, if the query points to the right"),
  );
}

function errorChart(picture, width, model, found) {
  const all = KINDS.flatMap(([name]) => found[name].errors);
  const range = [Math.min(...all) / 2.5, Math.max(...all) * 1.8].map(Math.log10);
  const [top, bottom] = [24, 184];
  const x = (power) => LEFT + 16 + ((power - 1) / 7) * (width - LEFT - RIGHT - 32);
  const y = (error) =>
    bottom - ((bottom - top) * (Math.log10(error) - range[0])) / (range[1] - range[0]);
  const now = model.get("power");
  const heights = [];
  for (let n = Math.floor(range[0]); n < range[1]; n += 1) {
    heights.push(...[1, 3].map((factor) => factor * 10 ** n));
  }
  const half = Math.exp(mean(found[model.get("kind")].errors.map(Math.log))); // through the middle
  const falling = (power) => half * 2 ** ((4.5 - power) / 2);
  const nodes = [
    text(0, 12, "error of a weight (root mean square), both axes logarithmic"),
    shape("path", { class: "kernel-axis", d: `M${LEFT} ${bottom}H${width - RIGHT}` }),
    ...heights
      .filter((error) => y(error) > top && y(error) < bottom)
      .flatMap((error) => [
        shape("path", { class: "kernel-grid", d: `M${LEFT} ${y(error)}H${width - RIGHT}` }),
        text(LEFT - 6, y(error) + 4, String(Number(error.toPrecision(1))), { "text-anchor": "end" }),
      ]),
    shape("path", { class: "kernel-now", d: `M${x(now)} ${top}V${bottom}` }),
    shape("path", {
      class: "kernel-slope",
      d: `M${x(1)} ${y(falling(1))}L${x(8)} ${y(falling(8))}`,
    }),
    ...COUNTS.map((m, index) =>
      text(x(index + 1), bottom + 16, String(m), { "text-anchor": "middle" }),
    ),
    text(x(1), bottom + 34, "number of random vectors m"),
  ];
  const [first, second] = KINDS.map(([name]) => found[name].errors[0]);
  for (const [name, words] of KINDS) {
    const points = found[name].errors.map((error, index) => [x(index + 1), y(error)]);
    // Both lines fall: there is room for words above the start of one, below the end of the other.
    const above = (name === "positive") === first >= second;
    const [[startX, startY], [endX, endY]] = [points[0], points.at(-1)];
    const named = { class: `kernel-label kernel-name kernel-${name}` };
    nodes.push(
      shape("polyline", {
        class: `kernel-line kernel-${name}`,
        "data-errors": found[name].errors.join(" "),
        points: points.map((point) => point.join(",")).join(" "),
      }),
      ...points.map(([cx, cy], index) =>
        shape("circle", { class: `kernel-dot kernel-${name}`, cx, cy, r: index + 1 === now ? 5 : 3 }),
      ),
      above
        ? text(startX + 8, startY - 8, words, named)
        : text(endX, endY + 20, words, { ...named, "text-anchor": "end" }),
    );
  }
  picture.replaceChildren(...nodes);
}

// What the marks of the upper chart are.
function legend() {
  const item = (mark, words) =>
    element(
      "span",
      { class: "kernel-item" },
      shape("svg", { viewBox: "0 0 20 16", class: "kernel-mark", "aria-hidden": "true" }, ...mark),
      words,
    );
  const dot = (name, cx, cy, r) => shape("circle", { class: name, cx, cy, r });
  const bar = { class: "kernel-true", x: 2, y: 3, width: 16, height: 13 };
  const mark = { class: "kernel-mean", x: 6, y: 4, width: 8, height: 8 };
  return element(
    "p",
    { class: "kernel-legend" },
    item([shape("rect", bar), shape("path", { class: "kernel-top", d: "M2 3h16" })], "true weight"),
    item([dot("kernel-draw", 10, 8, 4)], "one draw"),
    item(
      [dot("kernel-other", 4, 11, 2), dot("kernel-other", 10, 5, 2), dot("kernel-other", 15, 9, 2)],
      `${DRAWS - 1} other draws (triangles: beyond the scale)`,
    ),
    item(
      [shape("path", { class: "kernel-spread", d: "M10 0V16M6 1h8M6 15h8" }), shape("rect", mark)],
      "their mean, ± one standard deviation",
    ),
  );
}

function render({ model, el }) {
  // A narrow page gets a narrower drawing, not smaller letters.
  const width = el.clientWidth && el.clientWidth < 520 ? 380 : 640;
  const upper = svg(width, 278, "True and estimated weights of every key");
  const lower = svg(width, 224, "Error over the number of random vectors, for both kinds");
  const said = readout();
  const figure = element("div", { class: "kernel-figure" });
  const compute = computer(model);

  function draw() {
    const found = compute();
    weightsChart(upper, width, model, found);
    errorChart(lower, width, model, found);
    const kind = model.get("kind");
    figure.setAttribute("data-kind", kind); // the color of its estimates
    const { errors, negative } = found[kind];
    const error = errors[model.get("power") - 1];
    const largest = Math.max(...found.truth);
    said.textContent =
      `With ${2 ** model.get("power")} ${kind} features a weight is off by ${short(error)}, ` +
      `${short(error / largest)} times the largest weight. ` +
      `Over ${DRAWS} draws ${(100 * negative).toFixed(0)} % of the estimates are negative.`;
  }

  const names = ["power", "temperature", "kind", "orthogonal", "divisor", "away", "seed"];
  const events = names.map((name) => `change:${name}`).join(" ");
  model.on(events, draw);
  draw();
  const away = checkbox(model, "away", { label: "Only keys that face away" });
  const controls = toolbar(
    slider(model, "power", { label: "Random vectors m", min: 1, max: 8, format: (p) => String(2 ** p) }),
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
  figure.append(controls, legend(), upper, said, lower);
  el.append(figure);
  return () => model.off(events, draw);
}

export default { render };
