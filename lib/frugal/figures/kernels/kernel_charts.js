// The two charts of the kernel explorer, each drawn from plain numbers, and their legend.
import { element, shape } from "../../show/controls.js";
import { clamp, mean, text } from "../../show/drawing.js";
import { rootMeanSquare } from "./kernel_formulas.js";

export const DRAWS = 40;
export const COUNTS = [2, 4, 8, 16, 32, 64, 128, 256];
export const KINDS = [
  ["positive", "positive"],
  ["trigonometric", "sine and cosine"],
];
const LEFT = 44;
const RIGHT = 10;

// Marks of an axis: multiples of 1, 2 or 5 of a power of ten, about `count` of them.
function marks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let n = Math.ceil(low / step); n * step <= high; n += 1) found.push(n * step);
  return found;
}

// A small arrow that points as the key does when the query points to the right.
function arrow(x, y, turn) {
  const place = `translate(${x} ${y}) rotate(${(-turn * 180) / Math.PI})`;
  return shape("path", { class: "kernel-arrow", transform: place, d: "M-8 0H8M3 -4L8 0L3 4" });
}

// One key: the true weight as a bar, every draw as a dot beside the mean and its spread.
function keyNodes(weight, drawn, x, column, y, range) {
  const middle = mean(drawn);
  const spread = rootMeanSquare(drawn.map((value) => value - middle));
  const [left, right] = [x - 0.2 * column, x + 0.22 * column];
  const place = (value) => y(clamp(value, ...range));
  const dot = (value, index) => {
    const outside = clamp(value, ...range) !== value;
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
        ends.map((end) => (clamp(end, ...range) === end ? `M${right - 4} ${y(end)}h8` : "")).join(""),
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

// A line across the chart and its number.
function gridNodes(y, value, width) {
  return [
    shape("path", { class: "kernel-grid", d: `M${LEFT} ${y}H${width - RIGHT}` }),
    text(LEFT - 6, y + 4, value, { anchor: "end" }),
  ];
}

// angles: of each key to the query.
export function weightsChart(picture, width, { kind, angles }, found) {
  const { truth } = found;
  const most = Math.max(...truth);
  const range = [-0.9 * most, 2.1 * most];
  const [top, bottom] = [24, 232];
  const y = (value) => bottom - ((bottom - top) * (value - range[0])) / (range[1] - range[0]);
  const column = (width - LEFT - RIGHT) / truth.length;
  const x = (j) => LEFT + (j + 0.5) * column;
  picture.replaceChildren(
    text(0, 12, "weight of each key"),
    shape("rect", {
      class: "kernel-below",
      x: LEFT,
      y: y(0),
      width: width - LEFT - RIGHT,
      height: bottom - y(0),
    }),
    ...marks(...range, 5).flatMap((value) =>
      gridNodes(y(value), Number(value.toPrecision(2)), width),
    ),
    text(LEFT + 6, bottom - 6, "below zero, where softmax has no weights", { class: "kernel-soft" }),
    ...truth.flatMap((weight, j) =>
      keyNodes(weight, found[kind].shown.map((one) => one[j]), x(j), column, y, range),
    ),
    shape("path", { class: "kernel-axis", d: `M${LEFT} ${y(0)}H${width - RIGHT}` }),
    ...angles.map((turn, j) => arrow(x(j), bottom + 14, turn)),
    text(LEFT, bottom + 40, "the keys, if the query points to the right"),
  );
}

// The errors of one kind of features: a line with a dot for every number of vectors, and its name,
// which stands above the line's start or below its end.
function errorNodes([name, words], errors, now, above, x, y) {
  const points = errors.map((error, index) => [x(index + 1), y(error)]);
  const [[startX, startY], [endX, endY]] = [points[0], points.at(-1)];
  const named = { class: `kernel-name kernel-${name}` };
  const dots = points.map(([cx, cy], index) =>
    shape("circle", { class: `kernel-dot kernel-${name}`, cx, cy, r: index + 1 === now ? 5 : 3 }),
  );
  return [
    shape("polyline", {
      class: `kernel-line kernel-${name}`,
      "data-errors": errors.join(" "),
      points: points.map((point) => point.join(",")).join(" "),
    }),
    ...dots,
    above
      ? text(startX + 8, startY - 8, words, named)
      : text(endX, endY + 20, words, { ...named, anchor: "end" }),
  ];
}

// 1 and 3 times every power of ten in a range of logarithms.
function heightsIn([low, high]) {
  const heights = [];
  for (let n = Math.floor(low); n < high; n += 1) heights.push(10 ** n, 3 * 10 ** n);
  return heights;
}

export function errorChart(picture, width, { kind, power: now }, found) {
  const all = KINDS.flatMap(([name]) => found[name].errors);
  const range = [Math.min(...all) / 2.5, Math.max(...all) * 1.8].map(Math.log10);
  const [top, bottom] = [24, 184];
  const x = (power) => LEFT + 16 + ((power - 1) / 7) * (width - LEFT - RIGHT - 32);
  const y = (error) =>
    bottom - ((bottom - top) * (Math.log10(error) - range[0])) / (range[1] - range[0]);
  const half = Math.exp(mean(found[kind].errors.map(Math.log))); // through the middle
  const falling = (power) => y(half * 2 ** ((4.5 - power) / 2));
  const [first, second] = KINDS.map(([name]) => found[name].errors[0]);
  // Both lines fall: there is room for words above the start of one, below the end of the other.
  const above = (name) => (name === "positive") === first >= second;
  picture.replaceChildren(
    text(0, 12, "error of a weight (root mean square), both axes logarithmic"),
    shape("path", { class: "kernel-axis", d: `M${LEFT} ${bottom}H${width - RIGHT}` }),
    ...heightsIn(range)
      .filter((error) => y(error) > top && y(error) < bottom)
      .flatMap((error) => gridNodes(y(error), Number(error.toPrecision(1)), width)),
    shape("path", { class: "kernel-now", d: `M${x(now)} ${top}V${bottom}` }),
    shape("path", { class: "kernel-slope", d: `M${x(1)} ${falling(1)}L${x(8)} ${falling(8)}` }),
    ...COUNTS.map((m, index) => text(x(index + 1), bottom + 16, m, { anchor: "middle" })),
    text(x(1), bottom + 34, "number of random vectors m"),
    ...KINDS.flatMap((named) =>
      errorNodes(named, found[named[0]].errors, now, above(named[0]), x, y),
    ),
  );
}

// What the marks of the upper chart are.
export function legend() {
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
