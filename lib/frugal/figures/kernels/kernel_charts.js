// The two charts of the kernel explorer, each drawn from plain numbers, and their legend.
import { element, shape } from "../../show/controls.js";
import { clamp, svg, text } from "../../show/drawing.js";

const [WIDTH, HEIGHT] = [360, 250];
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 352, 22, 196];

export const chart = (label) => svg(WIDTH, HEIGHT, { class: "kernel-chart", "aria-label": label });

// A small arrow that points as the key does when the query points to the right.
function arrow(x, y, turn) {
  const place = `translate(${x} ${y}) rotate(${(-turn * 180) / Math.PI})`;
  return shape("path", { class: "kernel-arrow", transform: place, d: "M-8 0H8M3 -4L8 0L3 4" });
}

// A line across the chart and its number.
function gridNodes(y, words) {
  return [
    shape("path", { class: "kernel-grid", d: `M${LEFT} ${y}H${RIGHT}` }),
    text(LEFT - 6, y + 4, words, { anchor: "end" }),
  ];
}

// A dot, or beyond the chart's end a triangle that points there.
function mark(kind, x, y, way, radius, data) {
  const at = { class: kind, ...data };
  if (!way) return shape("circle", { ...at, cx: x, cy: y, r: radius });
  return shape("path", { ...at, d: `M${x - 4} ${y - 4 * way}h8l-4 ${7 * way}z` });
}

// Where a value stands between the ends of an axis, and whether it is beyond: -1 above, 1 below.
function placed(value, [low, high]) {
  const inside = clamp(value, low, high);
  const y = BOTTOM - ((BOTTOM - TOP) * (inside - low)) / (high - low);
  return [y, value > high ? -1 : value < low ? 1 : 0];
}

// One key: softmax's weight as an outline, the kernel's as a bar, other draws as dots.
function keyNodes(truth, [shown, ...others], x, column, range) {
  const y = (value) => placed(value, range)[0];
  const bar = (value, wide) => ({
    x: x - wide * column,
    y: Math.min(y(value), y(0)),
    width: 2 * wide * column,
    height: Math.abs(y(0) - y(value)),
  });
  return [
    shape("rect", { class: shown < 0 ? "kernel-own kernel-negative" : "kernel-own", "data-weight": shown, ...bar(shown, 0.26) }),
    ...others.map((value, index) => {
      const [at, way] = placed(value, range);
      const kind = value < 0 ? "kernel-other kernel-negative" : "kernel-other";
      return mark(kind, x + (((index * 7) % 11) - 5) * 0.05 * column, at, way, 1.9, { "data-weight": value });
    }),
    shape("rect", { class: "kernel-true", "data-weight": truth, ...bar(truth, 0.42) }),
  ];
}

// angles: of each key to the query; weights: by draw and key.
export function weightsChart(picture, { truth, weights, angles }) {
  const most = Math.min(1, 1.35 * Math.max(...truth, ...weights[0]));
  const least = Math.min(0, ...weights.flat()) < 0 ? -0.5 * most : 0;
  const range = [least, most];
  const column = (RIGHT - LEFT) / truth.length;
  const x = (j) => LEFT + (j + 0.5) * column;
  const y = (value) => placed(value, range)[0];
  const step = [0.05, 0.1, 0.2, 0.25, 0.5].find((one) => most / one < 5) ?? 0.5;
  const marks = [];
  for (let n = Math.ceil(least / step); n * step <= most + 1e-9; n += 1) marks.push(n * step);
  const below = least < 0 ? [text(LEFT + 4, BOTTOM - 5, "below zero", { class: "kernel-soft" })] : [];
  picture.replaceChildren(
    text(0, 12, "the attention: weight of each key"),
    shape("rect", { class: "kernel-below", x: LEFT, y: y(0), width: RIGHT - LEFT, height: BOTTOM - y(0) }),
    ...marks.flatMap((value) => gridNodes(y(value), `${Math.round(100 * value)} %`)),
    ...below,
    ...truth.flatMap((one, j) => keyNodes(one, weights.map((of) => of[j]), x(j), column, range)),
    shape("path", { class: "kernel-axis", d: `M${LEFT} ${y(0)}H${RIGHT}` }),
    ...angles.map((turn, j) => arrow(x(j), BOTTOM + 16, turn)),
    text(LEFT, BOTTOM + 42, "the keys, if the query points to the right"),
  );
}

// Powers of ten between two logarithms; 3 times each, too, where there are few.
function heights([low, high]) {
  const factors = high - low < 2 ? [1, 3] : [1];
  const found = [];
  for (let n = Math.floor(low); n <= high; n += 1) {
    found.push(...factors.map((factor) => Number((factor * 10 ** n).toPrecision(1))));
  }
  return found.filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
}

// Why: the kernel over the score, beside e^score, which is a straight line on a logarithmic axis.
export function kernelChart(picture, { scores, exact, kernels }) {
  const span = Math.max(...exact) / Math.min(...exact);
  const logs = exact.map(Math.log10);
  const room = Math.max(0.35, 0.25 * Math.log10(span));
  const range = [Math.min(...logs) - room, Math.max(...logs) + room];
  const [from, to] = [Math.min(...scores), Math.max(...scores)];
  const x = (score) => LEFT + 10 + ((score - from) / (to - from)) * (RIGHT - LEFT - 20);
  const y = (value) => (value > 0 ? placed(Math.log10(value), range) : [BOTTOM, 1]);
  const [shown, ...others] = kernels;
  const line = (values) => values.map((value, j) => `${x(scores[j])} ${y(value)[0]}`).join("L");
  const dots = (values, kind, radius) =>
    values.map((value, j) => {
      const [at, way] = y(value);
      return mark(value < 0 ? `${kind} kernel-negative` : kind, x(scores[j]), at, way, radius, { "data-kernel": value });
    });
  picture.replaceChildren(
    text(0, 12, "why: the kernel of each score (log axis)"),
    ...heights(range).flatMap((value) => gridNodes(y(value)[0], value.toLocaleString("en"))),
    shape("path", { class: "kernel-axis", d: `M${LEFT} ${BOTTOM}H${RIGHT}` }),
    ...others.flatMap((values) => dots(values, "kernel-other", 1.9)),
    shape("path", { class: "kernel-curve", d: `M${line(shown)}` }),
    shape("path", { class: "kernel-exact", d: `M${line(exact)}` }),
    ...dots(shown, "kernel-draw", 3.5),
    text(x(from), BOTTOM + 18, from.toFixed(2).replace("-", "−"), { anchor: "start" }),
    text(x(to), BOTTOM + 18, to.toFixed(2), { anchor: "end" }),
    text((LEFT + RIGHT) / 2, BOTTOM + 18, "0", { anchor: "middle" }),
    text((LEFT + RIGHT) / 2, BOTTOM + 42, "score of the key, q·k / √d", { anchor: "middle" }),
  );
}

// What the marks are. `draws`: how many others there are.
export function legend(draws) {
  const item = (kind, parts, words) =>
    element(
      "span",
      { class: `kernel-item ${kind}` },
      shape("svg", { viewBox: "0 0 20 16", class: "kernel-mark", "aria-hidden": "true" }, ...parts),
      words,
    );
  const outline = shape("rect", { class: "kernel-true", x: 3, y: 2, width: 14, height: 13 });
  const fill = shape("rect", { class: "kernel-own", x: 5, y: 2, width: 10, height: 13 });
  const dots = [[4, 11], [10, 5], [15, 9]].map(([cx, cy]) => shape("circle", { class: "kernel-other", cx, cy, r: 2 }));
  return element(
    "p",
    { class: "kernel-legend" },
    item("", [outline], "softmax, e^score"),
    item("", [fill], "the kernel"),
    item("kernel-random", dots, `${draws} other draws of its vectors (triangles: beyond the axis)`),
  );
}
