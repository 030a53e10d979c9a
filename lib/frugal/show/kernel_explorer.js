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
} from "./controls.js";
import { MAPS, estimates, projection, scaled, softmaxKernel } from "./kernel_formulas.js";

const LEFT = 50;
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

// What the charts show, from the state; draws and estimates are made anew only when they change.
function computer(model) {
  const q = model.get("q");
  const drawsOf = remembering((seed, orthogonal) =>
    Array.from({ length: DRAWS }, (_, draw) =>
      projection(1 + draw + DRAWS * seed, COUNTS.at(-1), q.length, orthogonal),
    ),
  );
  const kernelsOf = remembering((temperature, seed, orthogonal) => {
    const query = scaled(q, 2 ** temperature);
    const keys = model.get("all_keys").map((key) => scaled(key, 2 ** temperature));
    const found = { exact: keys.map((key) => softmaxKernel(query, key)) };
    for (const [name, map] of Object.entries(MAPS)) {
      found[name] = drawsOf(seed, orthogonal).map((omegas) =>
        estimates(query, keys, omegas, map, COUNTS),
      );
    }
    return found;
  });
  return () => {
    const state = ["temperature", "seed", "orthogonal"].map((name) => model.get(name));
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

function weightsChart(picture, width, model, found) {
  const { truth } = found;
  const { shown } = found[model.get("kind")];
  const top = 1.7 * Math.max(...truth);
  const low = -0.6 * top;
  const y = (value) => 20 + (210 * (top - Math.min(top, Math.max(low, value)))) / (top - low);
  const column = (width - LEFT - RIGHT) / truth.length;
  const x = (j) => LEFT + (j + 0.5) * column;
  const nodes = [
    text(LEFT, 12, "weight of each key: outlined the true one, filled the estimate's mean"),
    ...[0, top / 1.7].map((value) =>
      text(LEFT - 6, y(value) + 4, value.toFixed(2), { "text-anchor": "end" }),
    ),
    shape("path", { class: "kernel-axis", d: `M${LEFT} ${y(0)}H${width - RIGHT}` }),
  ];
  truth.forEach((weight, j) => {
    const drawn = shown.map((one) => one[j]);
    const middle = mean(drawn);
    const spread = root(drawn.map((value) => value - middle));
    const bar = (value, name, share) =>
      shape("rect", {
        class: name,
        "data-weight": value,
        x: x(j) - (column * share) / 2,
        y: Math.min(y(value), y(0)),
        width: column * share,
        height: Math.abs(y(value) - y(0)),
      });
    nodes.push(
      bar(middle, "kernel-estimate", 0.5),
      bar(weight, "kernel-true", 0.8),
      shape("path", {
        class: "kernel-spread",
        "data-spread": spread,
        d:
          `M${x(j)} ${y(middle - spread)}V${y(middle + spread)}` +
          [middle - spread, middle + spread]
            .map((end) => `M${x(j) - 4} ${y(end)}h8`)
            .join(""),
      }),
      shape("circle", {
        class: "kernel-draw",
        "data-weight": drawn[0],
        cx: x(j),
        cy: y(drawn[0]),
        r: 3.5,
      }),
    );
  });
  nodes.push(
    text(LEFT, 248, "keys, from opposite to the query to along it"),
  );
  picture.replaceChildren(...nodes);
}

function errorChart(picture, width, model, found) {
  const all = KINDS.flatMap(([name]) => found[name].errors);
  const [least, most] = [Math.min(...all) / 1.3, Math.max(...all) * 1.3].map(Math.log);
  const x = (power) => LEFT + 12 + ((power - 1) / 7) * (width - LEFT - RIGHT - 24);
  const y = (error) => 172 - (150 * (Math.log(error) - least)) / (most - least);
  const now = model.get("power");
  const nodes = [
    text(LEFT, 12, "error of a weight (root mean square), over the number of features"),
    shape("path", { class: "kernel-axis", d: `M${LEFT} 172H${width - RIGHT}` }),
    shape("path", { class: "kernel-now", d: `M${x(now)} 20V172` }),
    ...COUNTS.map((m, index) => text(x(index + 1), 188, String(m), { "text-anchor": "middle" })),
    ...[Math.exp(least) * 1.3, Math.exp(most) / 1.3].map((error) =>
      text(LEFT - 6, y(error) + 4, short(error), { "text-anchor": "end" }),
    ),
  ];
  for (const [name, words] of KINDS) {
    const points = found[name].errors.map((error, index) => [x(index + 1), y(error)]);
    nodes.push(
      shape("polyline", {
        class: `kernel-line kernel-${name}`,
        "data-errors": found[name].errors.join(" "),
        points: points.map((point) => point.join(",")).join(" "),
      }),
      ...points.map(([cx, cy]) => shape("circle", { class: `kernel-dot kernel-${name}`, cx, cy, r: 3 })),
      text(points[7][0], points[7][1] - 8, words, { "text-anchor": "end" }),
    );
  }
  picture.replaceChildren(...nodes);
}

function render({ model, el }) {
  // A narrow page gets a narrower drawing, not smaller letters.
  const width = el.clientWidth && el.clientWidth < 520 ? 380 : 640;
  const upper = svg(width, 256, "True and estimated weights of every key");
  const lower = svg(width, 196, "Error over the number of features, for both kinds");
  const said = readout();
  const compute = computer(model);

  function draw() {
    const found = compute();
    weightsChart(upper, width, model, found);
    errorChart(lower, width, model, found);
    const kind = model.get("kind");
    const { errors, negative } = found[kind];
    const error = errors[model.get("power") - 1];
    const largest = Math.max(...found.truth);
    said.textContent =
      `With ${2 ** model.get("power")} ${kind} features a weight is off by ${short(error)}, ` +
      `${short(error / largest)} times the largest weight. ` +
      `Over ${DRAWS} draws ${(100 * negative).toFixed(0)} % of the estimates are negative.`;
  }

  const names = ["power", "temperature", "kind", "orthogonal", "divisor", "seed"];
  const events = names.map((name) => `change:${name}`).join(" ");
  model.on(events, draw);
  draw();
  const controls = toolbar(
    slider(model, "power", { label: "Features m", min: 1, max: 8, format: (p) => String(2 ** p) }),
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
    button("Draw again", () => store(model, "seed", model.get("seed") + 1)),
  );
  el.append(element("div", { class: "kernel-figure" }, controls, upper, said, lower));
  return () => model.off(events, draw);
}

export default { render };
