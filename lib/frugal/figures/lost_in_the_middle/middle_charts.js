// The two charts of accuracy by place, each drawn from plain numbers, and where places stand.
import { shape } from "../../show/controls.js";
import { mean, svg, text } from "../../show/drawing.js";

const WIDTH = 380;
const HEIGHT = 250;
const LEFT = 38;
const RIGHT = 372;
const TOP = 10;
const BOTTOM = 188; // below it the axis, and for ours the bars of what training asked for
const CENTER = (LEFT + RIGHT) / 2;

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

// The first and last fifth minus the middle third, as `frugal.tasks.retriever.dip`.
export function dip(values) {
  const n = values.length;
  const fifth = Math.round(n / 5);
  const third = Math.round(n / 3);
  const start = Math.floor((n - third) / 2);
  const ends = [...values.slice(0, fifth), ...values.slice(n - fifth)];
  return mean(ends) - mean(values.slice(start, start + third));
}

// Shares of a chart's width at which the first of `count` places begins and the last ends. Places
// are points there, not boxes.
export function edgesOf(count) {
  const half = (RIGHT - LEFT) / (count - 1) / 2;
  return [(LEFT - half) / WIDTH, (RIGHT + half) / WIDTH];
}

const x = (along) => LEFT + along * (RIGHT - LEFT);
const y = (percent) => BOTTOM - (percent / 100) * (BOTTOM - TOP);
const path = (points) => `M${points.map(([across, up]) => `${x(across)} ${y(up)}`).join("L")}`;
const curve = (kind, points) => shape("path", { class: `middle-${kind}`, d: path(points) });
const line = (kind, y1) =>
  shape("line", { class: `middle-${kind}`, x1: LEFT, x2: RIGHT, y1, y2: y1 });

export function newChart(kind) {
  return svg(WIDTH, HEIGHT, { class: `middle-chart middle-${kind}` });
}

function axes(title, last) {
  const below = BOTTOM + 16;
  return [
    ...[0, 25, 50, 75, 100].flatMap((percent) => [
      line("grid", y(percent)),
      text(LEFT - 6, y(percent) + 4, percent, { anchor: "end" }),
    ]),
    text(LEFT, below, "1"),
    text(RIGHT, below, last, { anchor: "end" }),
    text(CENTER, below, title, { anchor: "middle" }),
  ];
}

function marker(along) {
  const at = x(along);
  return shape("line", { class: "middle-marker", x1: at, x2: at, y1: TOP, y2: BOTTOM });
}

// A dot for every measurement, the chosen one as a ring.
function dots(points, chosen, radius, data) {
  return points.map(([across, up], index) => {
    const ring = index === chosen;
    const place = { cx: x(across), cy: y(up), r: ring ? 6 : radius };
    const named = { class: ring ? "middle-ring" : "middle-point", "data-accuracy": up };
    return shape("circle", { ...named, ...place, ...data(index) });
  });
}

function limitNodes([name, value]) {
  const up = name === "oracle" ? y(value) - 5 : y(value) + 16;
  const data = { "data-limit": name, "data-accuracy": value };
  const words = `${name.replace("_", " ")} ${value} %`;
  return [
    line("limit", y(value)),
    text(LEFT + 0.42 * (RIGHT - LEFT), up, words, { anchor: "middle", ...data }),
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
    ...axes(`place of the ${noun} with the answer`, documents),
    ...others.map((other) => curve("other", points(other))),
    ...Object.entries(limits).flatMap(limitNodes),
    marker(along),
    ...(standard ? [curve("plain", points(standard))] : []),
    curve("line", points(chosen)),
    ...dots(points(chosen), shown, 3, (index) => ({ "data-position": chosen.positions[index] })),
  );
}

// What training asked for, on a scale of its own: the tallest bar fills the strip.
function askedNodes(asked) {
  const [floor, room] = [HEIGHT - 4, 24];
  const most = Math.max(...asked);
  const bar = (RIGHT - LEFT) / asked.length;
  return [
    ...asked.map((percent, place) => {
      const tall = Math.max(1, (percent / most) * room);
      const size = { x: LEFT + place * bar + 1, y: floor - tall, width: bar - 2, height: tall };
      return shape("rect", { class: "middle-asked", "data-asked": percent, ...size });
    }),
    text(CENTER, floor - 6, "asked in training", { anchor: "middle" }),
  ];
}

// middle, low, high: accuracy by place, and its interval.
export function drawTrained(chart, { middle, low, high, asked }, gold) {
  const points = (values) => values.map((value, place) => [share(place, values.length), value]);
  const outline = path([...points(low), ...points(high).reverse()]);
  chart.replaceChildren(
    ...axes("place of the pair asked for", middle.length),
    shape("path", { class: "middle-band", d: `${outline}Z` }),
    marker(share(gold, middle.length)),
    curve("line", points(middle)),
    ...dots(points(middle), gold, 2, (place) => ({ "data-place": place + 1 })),
    ...askedNodes(asked),
  );
}
