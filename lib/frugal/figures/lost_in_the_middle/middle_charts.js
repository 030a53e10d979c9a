// The charts of accuracy by place, each drawn from plain numbers, and where places stand.
import { shape } from "../../show/controls.js";
import { mean, svg, text } from "../../show/drawing.js";

const WIDE = { width: 380, height: 214, left: 40, right: 372, top: 10, bottom: 176 };
const SMALL = { width: 182, height: 184, left: 32, right: 174, top: 8, bottom: 112 };
const STRIP = { top: 144, zero: 178 }; // below a small chart: the dips of all its moments

// Where a place stands: 0 for the first of `count`, 1 for the last.
export function share(place, count) {
  return count > 1 ? place / (count - 1) : 0.5;
}

// The index of the measured position that is nearest to a share of the way.
export function nearest(positions, documents, along) {
  let best = 0;
  positions.forEach((position, index) => {
    const distance = (one) => Math.abs(share(positions[one] - 1, documents) - along);
    if (distance(index) < distance(best)) best = index;
  });
  return best;
}

// The last moment of a run that is not after `step`; the first if all are.
export function momentAt(steps, step) {
  let found = 0;
  steps.forEach((one, index) => {
    if (one <= step) found = index;
  });
  return found;
}

// Where the middle third of n places begins and ends; the ends are fifths.
function middleOf(n) {
  const third = Math.round(n / 3);
  const start = Math.floor((n - third) / 2);
  return [start, start + third];
}

// The means of the first fifth, the middle third and the last fifth, as
// `frugal.tasks.retriever.parts`.
export function parts(values) {
  const n = values.length;
  const fifth = Math.round(n / 5);
  return {
    first: mean(values.slice(0, fifth)),
    middle: mean(values.slice(...middleOf(n))),
    last: mean(values.slice(n - fifth)),
  };
}

// The ends minus the middle, as `frugal.tasks.retriever.dip`.
export function dip(values) {
  const { first, middle, last } = parts(values);
  return (first + last) / 2 - middle;
}

const x = (chart, along) => chart.left + along * (chart.right - chart.left);
const y = (chart, percent) => chart.bottom - (percent / 100) * (chart.bottom - chart.top);

function path(chart, kind, points, end = "") {
  const d = points.map(([along, up]) => `${x(chart, along)} ${y(chart, up)}`).join("L");
  return shape("path", { class: `middle-${kind}`, d: `M${d}${end}` });
}

function across(chart, kind, y1) {
  return shape("line", { class: `middle-${kind}`, x1: chart.left, x2: chart.right, y1, y2: y1 });
}

// Shares of a chart's width at which the first of `count` places begins and the last ends. Places
// are points there, not boxes.
function edges(chart, count) {
  const half = (chart.right - chart.left) / (count - 1) / 2;
  return [(chart.left - half) / chart.width, (chart.right + half) / chart.width];
}
export const edgesOfPublished = (count) => edges(WIDE, count);
export const edgesOfTrained = (count) => edges(SMALL, count);

const picture = ({ width, height }, kind) => svg(width, height, { class: `middle-chart middle-${kind}` });
export const newPublished = () => picture(WIDE, "theirs");
export const newTrained = () => picture(SMALL, "ours");

function axes(chart, percents, last, title) {
  const below = chart.bottom + 16;
  const center = (chart.left + chart.right) / 2;
  return [
    ...percents.flatMap((percent) => [
      across(chart, "grid", y(chart, percent)),
      text(chart.left - 5, y(chart, percent) + 4, percent, { anchor: "end" }),
    ]),
    text(chart.left, below, "1"),
    text(chart.right, below, last, { anchor: "end" }),
    text(center, below, title, { anchor: "middle" }),
  ];
}

function marker(chart, along) {
  const at = x(chart, along);
  return shape("line", { class: "middle-marker", x1: at, x2: at, y1: chart.top, y2: chart.bottom });
}

// Words beside the answer's marker, on its freer side.
function beside(chart, along, up, words) {
  const left = along > 0.5;
  const at = x(chart, along) + (left ? -8 : 8);
  return text(at, up, words, { class: "middle-told", anchor: left ? "end" : "start" });
}

// A dot for every measurement, the chosen one as a ring.
function dots(chart, points, chosen, radius, data) {
  return points.map(([along, up], index) => {
    const ring = index === chosen;
    const place = { cx: x(chart, along), cy: y(chart, up), r: ring ? 5 : radius };
    const named = { class: ring ? "middle-ring" : "middle-point", "data-accuracy": up };
    return shape("circle", { ...named, ...place, ...data(index) });
  });
}

function limitNodes([name, value]) {
  const up = name === "oracle" ? y(WIDE, value) - 5 : y(WIDE, value) + 16;
  const data = { "data-limit": name, "data-accuracy": value };
  const words = `${name.replace("_", " ")} ${value} %`;
  return [
    across(WIDE, "limit", y(WIDE, value)),
    text(x(WIDE, 0.3), up, words, { anchor: "middle", ...data }),
  ];
}

// chosen: the curve that is looked at, among the group's; standard: its plain setting, or null;
// limits: what the model does without documents and with the right one alone, by name.
export function drawPublished(chart, { documents, curves, noun }, chosen, standard, limits, along) {
  const points = (one) =>
    one.positions.map((place, index) => [share(place - 1, documents), one.accuracy[index]]);
  const others = curves.filter((other) => other !== chosen);
  const shown = nearest(chosen.positions, documents, along);
  chart.replaceChildren(
    ...axes(WIDE, [0, 25, 50, 75, 100], documents, `place of the ${noun} with the answer`),
    ...others.map((other) => path(WIDE, "other", points(other))),
    ...Object.entries(limits).flatMap(limitNodes),
    marker(WIDE, along),
    ...(standard ? [path(WIDE, "plain", points(standard))] : []),
    path(WIDE, "line", points(chosen)),
    ...dots(WIDE, points(chosen), shown, 3, (index) => ({ "data-position": chosen.positions[index] })),
  );
}

// The dips of a run's moments, a dot each; the one on show as a ring. most: the top of the strip.
function stripNodes(dips, moment, most) {
  const { zero, top } = STRIP;
  const at = dips.map((depth, index) => [
    x(SMALL, share(index, dips.length)),
    zero - (Math.max(-3, depth) / most) * (zero - top),
  ]);
  return [
    across(SMALL, "grid", zero),
    text(SMALL.left - 5, zero + 4, 0, { anchor: "end" }),
    text(SMALL.left - 5, top + 6, most, { anchor: "end" }),
    text(SMALL.right, top + 6, "dip", { anchor: "end" }),
    shape("path", { class: "middle-dips", d: `M${at.map((one) => one.join(" ")).join("L")}` }),
    ...at.map(([cx, cy], index) => {
      const kind = index === moment ? "middle-now" : "middle-then";
      return shape("circle", { class: kind, cx, cy, r: index === moment ? 4.5 : 1.75, "data-dip": dips[index] });
    }),
  ];
}

// run: a curve (`middle`) with its interval, the last curve of the run, its dips and the moment.
export function drawTrained(chart, { middle, low, high, last, dips, moment }, gold, most) {
  const n = middle.length;
  const points = (values) => values.map((value, place) => [share(place, n), value]);
  const [from, to] = middleOf(n).map((place, end) => x(SMALL, share(place - (end ? 1 : 0), n)));
  const along = share(gold, n);
  const ground = { x: from, width: to - from, y: SMALL.top, height: SMALL.bottom - SMALL.top };
  chart.replaceChildren(
    shape("rect", { class: "middle-third", ...ground }),
    ...axes(SMALL, [0, 50, 100], n, "place"),
    path(SMALL, "band", [...points(low), ...points(high).reverse()], "Z"),
    marker(SMALL, along),
    path(SMALL, "last", points(last)),
    path(SMALL, "line", points(middle)),
    ...dots(SMALL, points(middle), gold, 1.5, (place) => ({ "data-place": place + 1 })),
    beside(SMALL, along, middle[gold] > 50 ? SMALL.bottom - 6 : SMALL.top + 12, `${Math.round(middle[gold])} %`),
    ...stripNodes(dips, moment, most),
  );
}

// What training asks for at each place: the tallest bar fills the height.
export function askedChart(asked) {
  const [width, height] = [asked.length * 5, 22];
  const most = Math.max(...asked);
  const bars = asked.map((percent, place) => {
    const tall = Math.max(1, (height * percent) / most);
    const size = { x: 5 * place + 0.5, y: height - tall, width: 4, height: tall };
    return shape("rect", { class: "middle-asked", "data-asked": percent, ...size });
  });
  const chart = svg(width, height, { class: "middle-where", role: null, "aria-hidden": "true" });
  chart.append(...bars);
  return chart;
}
