// The roof of a machine, and each step of a layer hanging from it at its arithmetic intensity.
import { quantity, shape } from "../../show/controls.js";
import { LABEL_HEIGHT, colorOf, line, logScale, path, resize, words } from "./cost_charts.js";

const [TOP, FLOOR, LEFT] = [40, 190, 58];
const INTENSITIES = [0.1, 1e6];

// A power of ten without the zeros that `quantity` gives it: 10, 1 k, 1 M.
const rounded = (value, last = /\.0+(?= |$)/) => quantity(value).replace(last, "");

// The two axes: what a step may do for each byte it moves, and how fast that lets it be.
function axes(width, bottom, peak, { x, y }) {
  const decades = [-1, 0, 1, 2, 3, 4, 5, 6].filter((power) => width > 420 || power % 2 === 0);
  const heights = [0, -1, -2, -3, -4]
    .map((power) => 10 ** (Math.floor(Math.log10(peak)) + power))
    .filter((value) => y(value) <= FLOOR);
  return [
    ...heights.flatMap((value) => [
      line(LEFT, y(value), width, y(value), "grid"),
      words(0, y(value) + 4, rounded(value)),
    ]),
    ...decades.flatMap((power) => [
      line(x(10 ** power), bottom, x(10 ** power), bottom + 4, "axis"),
      words(x(10 ** power), bottom + 18, power < 0 ? "0.1" : rounded(10 ** power, /\.0+(?= )| /g), {
        anchor: power === 6 ? "end" : "middle",
      }),
    ]),
    words(width - 1, bottom + 36, "arithmetic intensity, FLOP per byte moved", {
      name: "note",
      anchor: "end",
    }),
    words(0, 31, "FLOP/s", { name: "note" }),
  ];
}

// Labels in the order of their rows, so that no line to a point crosses another label. A label
// starts at its point, or ends there where it would leave the drawing.
function inRows(steps, width, wide, x) {
  const fits = (step) => {
    const letters = step.label.length + (wide ? step.words.length : 0);
    return x(step.intensity) + letters * 7.6 + 8 < width;
  };
  const ordered = [...steps].sort((a, b) => a.intensity - b.intensity);
  const [starts, ends] = [ordered.filter(fits), ordered.filter((step) => !fits(step))];
  return [
    ...ends.map((step) => ({ ...step, anchor: "end" })),
    ...starts.toReversed().map((step) => ({ ...step, anchor: "start" })),
  ];
}

// A step: its point under the roof, and the line down to its label in row `index`.
function hung(step, index, top, width, wide, x) {
  const place = FLOOR + (index + 1) * LABEL_HEIGHT;
  const px = Math.min(width - 6, x(step.intensity));
  const fill = colorOf(step.name);
  const inside = step.name === "fused attention" ? "var(--frugal-paper)" : fill; // a hollow point
  const style = `fill:${inside};stroke:${fill}`;
  const options = { name: "label", anchor: step.anchor, fill };
  const label = words(px + (step.anchor === "start" ? 6 : -6), place, "", options);
  label.append(shape("tspan", { class: "cost-name" }, step.label));
  if (wide) label.append(shape("tspan", {}, ` ${step.words}`));
  return {
    stem: line(px, top, px, place - 4, "stem"),
    front: [label, shape("circle", { cx: px, cy: top, r: 5, class: "cost-point", style })],
  };
}

export function drawRoofline(svg, { width, steps, peak, bandwidth }) {
  const bottom = FLOOR + steps.length * LABEL_HEIGHT + 8;
  const x = logScale(INTENSITIES, [LEFT, width - 1]);
  const y = logScale([peak / 3e3, peak], [FLOOR, TOP]);
  const ridge = peak / bandwidth;
  const reach = (intensity) => y(Math.min(peak, intensity * bandwidth));
  const start = Math.max(0.1, ridge / 3e3);
  const corners = [start, ridge].map((intensity) => [x(intensity), reach(intensity)]);
  const wide = width > 560;
  const items = inRows(steps, width, wide, x).map((step, index) =>
    hung(step, index, reach(step.intensity), width, wide, x),
  );
  const [here, note] = [x(ridge), { name: "note" }];
  const area = { x: LEFT, y: TOP, width: Math.max(0, here - LEFT), height: bottom - TOP };
  resize(svg, width, bottom + 40);
  svg.replaceChildren(
    shape("rect", { class: "cost-memory-bound", ...area }),
    ...axes(width, bottom, peak, { x, y }),
    words(here - 8, 14, "← waits for memory", { ...note, anchor: "end" }),
    words(here + 8, 14, "limited by arithmetic →", note),
    words(here, 31, `${Number(ridge.toPrecision(2))} FLOP/B`, { ...note, anchor: "middle" }),
    line(here, TOP - 5, here, bottom, "crossover"),
    ...items.map(({ stem }) => stem),
    path([...corners, [width - 1, y(peak)]], { class: "cost-roof" }),
    ...items.flatMap(({ front }) => front),
  );
}
