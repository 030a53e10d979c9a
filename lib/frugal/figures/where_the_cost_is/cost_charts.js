// The three drawings of the cost explorer. Each fills an <svg> of the given width in pixels, so that
// text keeps its size on every screen, from a plain object of numbers: no state, no events.
import { quantity, shape } from "../../show/controls.js";

export const LENGTHS = [64, 2 ** 20];
const LABEL_HEIGHT = 17;
const COLORS = {
  attention: "var(--frugal-accent-2)",
  "feed-forward": "var(--frugal-accent-1)",
  projections: "var(--frugal-accent-3)",
  "fused attention": "var(--frugal-accent-4)",
  "KV cache": "var(--frugal-accent-5)",
  parameters: "var(--frugal-accent-6)",
};
const STEPS_OF_ATTENTION = ["scores", "softmax", "weighted sum"];

export function colorOf(name) {
  return COLORS[STEPS_OF_ATTENTION.includes(name) ? "attention" : name];
}

// A logarithmic scale from `domain` to `range`, and back.
export function logScale([low, high], [start, end]) {
  const slope = (end - start) / Math.log(high / low);
  const scale = (value) => start + slope * Math.log(value / low);
  scale.invert = (position) => low * Math.exp((position - start) / slope);
  return scale;
}

// Moves labels apart, each staying as near to its place as it can, within [top, bottom].
export function apart(places, distance, [top, bottom]) {
  const order = places.map((place, index) => ({ place, index })).sort((a, b) => a.place - b.place);
  let previous = top - distance;
  for (const item of order) {
    item.place = Math.max(item.place, previous + distance);
    previous = item.place;
  }
  let next = bottom + distance;
  for (const item of order.reverse()) {
    item.place = Math.min(item.place, next - distance);
    next = item.place;
  }
  return order.sort((a, b) => a.index - b.index).map(({ place }) => place);
}

function line(x1, y1, x2, y2, name) {
  return shape("line", { x1, y1, x2, y2, class: `cost-${name}` });
}

function text(x, y, content, { name = "tick", anchor = "start", fill = null } = {}) {
  const style = fill ? `fill:${fill}` : null;
  return shape("text", { x, y, class: `cost-${name}`, "text-anchor": anchor, style }, content);
}

function path(points, attributes) {
  const d = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
  return shape("path", { d: d.join(""), ...attributes });
}

function resize(svg, width, height) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
}

const MEMORY_MARGIN = 38;

// The N under a pointer that is `offset` pixels from the left of the first or second chart.
export function lengthAt(offset, width, isMemory) {
  const x = logScale(LENGTHS, isMemory ? [MEMORY_MARGIN, width - 1] : [1, width - 1]);
  return Math.min(LENGTHS[1], Math.max(LENGTHS[0], x.invert(offset)));
}

function lengthAxis(x, bottom, width) {
  const ticks =
    width < 300 ? [2 ** 6, 2 ** 10, 2 ** 15, 2 ** 20] : [64, 512, 4096, 32768, 2 ** 18, 2 ** 20];
  return ticks.flatMap((length) => {
    const [first, last] = [length === LENGTHS[0], length === LENGTHS[1]];
    return [
      line(x(length), bottom, x(length), bottom + 4, "axis"),
      text(x(length), bottom + 18, binary(length), {
        anchor: first ? "start" : last ? "end" : "middle",
      }),
    ];
  });
}

// Token counts are powers of two, so k is 1,024 here: 64k is what people call 65,536 tokens.
export function binary(length) {
  if (length >= 2 ** 20) return `${length / 2 ** 20}M`;
  return length >= 1024 ? `${length / 1024}k` : String(length);
}

// Shares of the FLOPs over N as stacked areas; `at(N)` gives {attention, projections, feed_forward,
// total}. The chosen N is a line with the three shares written beside it.
export function drawShares(svg, { width, at, length, crossover }) {
  const height = 270;
  const [top, bottom] = [24, height - 24];
  const x = logScale(LENGTHS, [1, width - 1]);
  const y = (share) => bottom - share * (bottom - top);
  resize(svg, width, height);

  const samples = Array.from({ length: 85 }, (_, index) => LENGTHS[0] * 2 ** ((14 * index) / 84));
  const bounds = (count) => {
    const first = count.feed_forward / count.total;
    const second = first + count.projections / count.total;
    return [0, first, second, 1];
  };
  const names = ["feed-forward", "projections", "attention"];
  const areas = names.map((name, part) => {
    const edge = (side) => samples.map((sample) => [x(sample), y(bounds(at(sample))[part + side])]);
    const fill = path([...edge(0), ...edge(1).reverse()], {
      class: "cost-area",
      style: `fill:${COLORS[name]}`,
    });
    return [fill, path(edge(1), { class: "cost-edge", style: `stroke:${COLORS[name]}` })];
  });

  const limits = bounds(at(length));
  const toRight = x(length) < width * 0.55;
  const middles = names.map((_, part) => y((limits[part] + limits[part + 1]) / 2) + 5);
  const labels = apart(middles, LABEL_HEIGHT, [top + 14, bottom - 6]).map((place, part) => {
    const share = limits[part + 1] - limits[part];
    const words = `${names[part]} ${(share * 100).toFixed(share > 0.0995 ? 0 : 1)} %`;
    const anchor = toRight ? "start" : "end";
    return text(x(length) + (toRight ? 8 : -8), place, words, {
      name: "label",
      anchor,
      fill: COLORS[names[part]],
    });
  });
  const half = x(crossover);
  svg.replaceChildren(
    ...areas.flat(),
    line(half, top - 6, half, bottom, "crossover"),
    text(half, top - 10, `half at N = ${crossover.toLocaleString("en")}`, {
      anchor: half < 80 ? "start" : half > width - 80 ? "end" : "middle",
      name: "note",
    }),
    line(1, y(0.5), width - 1, y(0.5), "half"),
    line(x(length), top, x(length), bottom, "here"),
    ...labels,
    ...lengthAxis(x, bottom, width),
  );
}

// Bytes over N as lines; `at(N)` gives [name, bytes, color] triples, a reference line is optional.
export function drawMemory(svg, { width, at, length, capacity }) {
  const height = 270;
  const [top, bottom] = [24, height - 24];
  const left = MEMORY_MARGIN;
  const x = logScale(LENGTHS, [left, width - 1]);
  const y = logScale([1e3, 1e18], [bottom, top]);
  resize(svg, width, height);
  const inside = (bytes) => Math.min(bottom, Math.max(top, y(bytes)));

  const ticks = [1e3, 1e6, 1e9, 1e12, 1e15].flatMap((bytes) => [
    line(left, y(bytes), width, y(bytes), "grid"),
    text(0, y(bytes) + 4, quantity(bytes, "B").replace(/\.00| /g, "")),
  ]);
  const curves = at(LENGTHS[0]).map(([, , stroke], index) => {
    const points = LENGTHS.map((sample) => [x(sample), inside(at(sample)[index][1])]);
    // straight on two logarithmic axes, but for the part cut off at the edge
    const middle = Array.from({ length: 13 }, (_, step) => LENGTHS[0] * 2 ** (step + 1));
    points.splice(1, 0, ...middle.map((sample) => [x(sample), inside(at(sample)[index][1])]));
    return path(points, { class: "cost-curve", style: `stroke:${stroke}` });
  });
  const here = at(length);
  const toRight = x(length) < width * 0.5;
  const places = apart(
    here.map(([, bytes]) => inside(bytes) - 6),
    LABEL_HEIGHT,
    [top + 8, bottom - 4],
  );
  const labels = here.flatMap(([name, bytes, fill], index) => [
    shape("circle", { cx: x(length), cy: inside(bytes), r: 4, style: `fill:${fill}` }),
    text(x(length) + (toRight ? 9 : -9), places[index], `${name} ${quantity(bytes, "B")}`, {
      name: "label",
      anchor: toRight ? "start" : "end",
      fill,
    }),
  ]);
  const limit = capacity
    ? [
        line(left, y(capacity), width, y(capacity), "crossover"),
        text(
          toRight ? left + 4 : width - 2,
          y(capacity) - 5,
          `memory ${quantity(capacity, "B").replace(/\.0(?= )/, "")}`,
          {
            name: "note",
            anchor: toRight ? "start" : "end",
          },
        ),
      ]
    : [];
  svg.replaceChildren(
    ...ticks,
    ...lengthAxis(x, bottom, width),
    ...limit,
    line(x(length), top, x(length), bottom, "here"),
    ...curves,
    ...labels,
  );
}

// The roof of a machine, and each step of a layer hanging from it at its arithmetic intensity.
// Labels lie in rows below, ordered so that no line to a point crosses another label.
export function drawRoofline(svg, { width, steps, peak, bandwidth }) {
  const rows = steps.length;
  const [top, floor] = [40, 190];
  const bottom = floor + rows * LABEL_HEIGHT + 8;
  const left = 58;
  resize(svg, width, bottom + 40);
  const x = logScale([0.1, 1e6], [left, width - 1]);
  const y = logScale([peak / 3e3, peak], [floor, top]);
  const ridge = peak / bandwidth;
  const reach = (intensity) => Math.min(peak, intensity * bandwidth);

  const decades = [-1, 0, 1, 2, 3, 4, 5, 6].filter((power) => width > 420 || power % 2 === 0);
  const ticks = decades.flatMap((power) => [
    line(x(10 ** power), bottom, x(10 ** power), bottom + 4, "axis"),
    text(
      x(10 ** power),
      bottom + 18,
      power < 0 ? "0.1" : quantity(10 ** power).replace(/\.0+(?= )| /g, ""),
      {
        anchor: power === 6 ? "end" : "middle",
      },
    ),
  ]);
  const heights = [0, -1, -2, -3, -4]
    .map((power) => 10 ** (Math.floor(Math.log10(peak)) + power))
    .filter((value) => y(value) <= floor);
  const marks = heights.flatMap((value) => [
    line(left, y(value), width, y(value), "grid"),
    text(0, y(value) + 4, quantity(value, "").replace(/\.0+(?= |$)/, "")),
  ]);
  const start = Math.max(0.1, peak / 3e3 / bandwidth);
  const roof = path(
    [
      [x(start), y(reach(start))],
      [x(ridge), y(peak)],
      [width - 1, y(peak)],
    ],
    {
      class: "cost-roof",
    },
  );

  // A label starts at its point, or ends there where it would leave the drawing.
  const wide = width > 560;
  const fits = (step) => {
    const letters = step.label.length + (wide ? step.words.length : 0);
    return x(step.intensity) + letters * 7.6 + 8 < width;
  };
  const ordered = [...steps].sort((a, b) => a.intensity - b.intensity);
  const starts = ordered.filter(fits);
  const inRows = [...ordered.filter((step) => !fits(step)), ...starts.toReversed()];
  const hung = inRows.map((step, index) => {
    const place = floor + (index + 1) * LABEL_HEIGHT;
    const px = Math.min(width - 6, x(step.intensity));
    const anchor = starts.includes(step) ? "start" : "end";
    const fill = colorOf(step.name);
    const hollow = step.name === "fused attention";
    const words = [shape("tspan", { class: "cost-name" }, step.label)];
    if (wide) words.push(shape("tspan", {}, ` ${step.words}`));
    const label = text(px + (anchor === "start" ? 6 : -6), place, "", {
      name: "label",
      anchor,
      fill,
    });
    label.append(...words);
    const style = hollow
      ? `fill:var(--frugal-paper);stroke:${fill}`
      : `fill:${fill};stroke:${fill}`;
    return {
      stem: line(px, y(reach(step.intensity)), px, place - 4, "stem"),
      front: [
        label,
        shape("circle", { cx: px, cy: y(reach(step.intensity)), r: 5, class: "cost-point", style }),
      ],
    };
  });
  svg.replaceChildren(
    shape("rect", {
      x: left,
      y: top,
      width: Math.max(0, x(ridge) - left),
      height: bottom - top,
      class: "cost-memory-bound",
    }),
    ...marks,
    ...ticks,
    text(width - 1, bottom + 36, "arithmetic intensity, FLOP per byte moved", {
      name: "note",
      anchor: "end",
    }),
    text(0, 31, "FLOP/s", { name: "note" }),
    text(x(ridge) - 8, 14, "← waits for memory", { name: "note", anchor: "end" }),
    text(x(ridge) + 8, 14, "limited by arithmetic →", { name: "note" }),
    text(x(ridge), 31, `${Number(ridge.toPrecision(2))} FLOP/B`, {
      name: "note",
      anchor: "middle",
    }),
    line(x(ridge), top - 5, x(ridge), bottom, "crossover"),
    ...hung.map(({ stem }) => stem),
    roof,
    ...hung.flatMap(({ front }) => front),
  );
}
