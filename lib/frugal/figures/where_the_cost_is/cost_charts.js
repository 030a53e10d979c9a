// The cost explorer's drawings over the length, and what its roofline shares with them. Each fills
// an <svg> of the given width in pixels, so that text keeps its size on every screen, from a plain
// object of numbers: no state, no events.
import { quantity, shape } from "../../show/controls.js";
import { clamp, percent, text } from "../../show/drawing.js";

export const LENGTHS = [64, 2 ** 20];
export const LABEL_HEIGHT = 17;
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

export function line(x1, y1, x2, y2, name) {
  return shape("line", { x1, y1, x2, y2, class: `cost-${name}` });
}

// Words: numbers of an axis, or a label or a note.
export function words(x, y, content, { name = "tick", anchor = "start", fill = null } = {}) {
  return text(x, y, content, { class: `cost-${name}`, anchor, style: fill && `fill:${fill}` });
}

export function path(points, attributes) {
  const d = points.map(([x, y], index) => `${index ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
  return shape("path", { d: d.join(""), ...attributes });
}

export function resize(svg, width, height) {
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("height", height);
}

const MEMORY_MARGIN = 38;

// The N under a pointer that is `offset` pixels from the left of the first or second chart.
export function lengthAt(offset, width, isMemory) {
  const x = logScale(LENGTHS, isMemory ? [MEMORY_MARGIN, width - 1] : [1, width - 1]);
  return clamp(x.invert(offset), ...LENGTHS);
}

function lengthAxis(x, bottom, width) {
  const ticks =
    width < 300 ? [2 ** 6, 2 ** 10, 2 ** 15, 2 ** 20] : [64, 512, 4096, 32768, 2 ** 18, 2 ** 20];
  return ticks.flatMap((length) => {
    const [first, last] = [length === LENGTHS[0], length === LENGTHS[1]];
    return [
      line(x(length), bottom, x(length), bottom + 4, "axis"),
      words(x(length), bottom + 18, binary(length), {
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
    const content = `${names[part]} ${percent(limits[part + 1] - limits[part])}`;
        const anchor = toRight ? "start" : "end";
    return words(x(length) + (toRight ? 8 : -8), place, content, {
      name: "label",
      anchor,
      fill: COLORS[names[part]],
    });
  });
  const half = x(crossover);
  svg.replaceChildren(
    ...areas.flat(),
    line(half, top - 6, half, bottom, "crossover"),
    words(half, top - 10, `half at N = ${crossover.toLocaleString("en")}`, {
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
  const inside = (bytes) => clamp(y(bytes), top, bottom);

  const ticks = [1e3, 1e6, 1e9, 1e12, 1e15].flatMap((bytes) => [
    line(left, y(bytes), width, y(bytes), "grid"),
    words(0, y(bytes) + 4, quantity(bytes, "B").replace(/\.00| /g, "")),
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
    words(x(length) + (toRight ? 9 : -9), places[index], `${name} ${quantity(bytes, "B")}`, {
      name: "label",
      anchor: toRight ? "start" : "end",
      fill,
    }),
  ]);
  const limit = () => [
    line(left, y(capacity), width, y(capacity), "crossover"),
    words(
      toRight ? left + 4 : width - 2,
      y(capacity) - 5,
      `memory ${quantity(capacity, "B").replace(/\.0(?= )/, "")}`,
      { name: "note", anchor: toRight ? "start" : "end" },
    ),
  ];
  svg.replaceChildren(
    ...ticks,
    ...lengthAxis(x, bottom, width),
    ...(capacity ? limit() : []),
    line(x(length), top, x(length), bottom, "here"),
    ...curves,
    ...labels,
  );
}
