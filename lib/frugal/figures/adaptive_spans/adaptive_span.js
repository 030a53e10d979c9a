// Two views of a span: one head whose span and ramp the reader moves, and the spans of every head
// of a trained model over the updates of its training. Each has a question and steps to try.
import { element, readout, segmented, shape, slider, steps, toolbar } from "../../show/controls.js";
import { clamp, follow, mean, percent, sum, svg, text, widthOf } from "../../show/drawing.js";
import { attention, reach, softMask } from "./span_formulas.js";

const LEFT = 46;
const RIGHT = 8;
// From the top: where the mask is 1 and 0, where the attention below it begins and ends; the spans of a model.
const LAYOUTS = {
  wide: { one: 20, zero: 78, top: 110, base: 214, spans: 190 },
  narrow: { one: 20, zero: 58, top: 88, base: 160, spans: 114 },
};
const TOKENS = (count) => `${count} tokens`;

// A bar of the height between two places on the y axis.
function bar(name, x, y, width, height, attributes = {}) {
  return shape("rect", { class: `span-${name}`, ...attributes, x, y, width, height });
}

function line(name, y, width) {
  return shape("path", { class: `span-${name}`, d: `M${LEFT} ${y}H${width - RIGHT}` });
}

// One head: its mask, its attention, and what both leave out.
export function readKeys(scores, span, ramp) {
  const plain = attention(scores, scores.length, 1);
  const seen = reach(span, ramp, scores.length);
  return {
    plain,
    weights: attention(scores, span, ramp),
    mask: scores.map((_, distance) => softMask(span, ramp, distance)),
    seen,
    lost: sum(plain.slice(seen)),
    strongest: plain.indexOf(Math.max(...plain)),
    onRamp: scores.filter((_, distance) => distance > span && distance < span + ramp).length,
  };
}

// What the span learns of the key that it would read most: there are three cases.
export function heard({ strongest, mask, weights }) {
  const key = `The strongest key, ${strongest} tokens back,`;
  if (mask[strongest] === 1) return `${key} is within the span and gets ${percent(weights[strongest])}.`;
  if (mask[strongest] === 0) {
    return `${key} is not read: the span does not hear of it.`;
  }
  return `${key} lies on the ramp and gets ${percent(weights[strongest])}: its gradient can pull the span.`;
}

// The mask above, the attention it leaves below, over the distance to the key.
function drawHead(picture, [width, layout], { span, ramp }, { plain, weights, mask }) {
  const keys = weights.length;
  const x = (distance) => LEFT + ((distance + 0.5) / keys) * (width - LEFT - RIGHT);
  const column = (width - LEFT - RIGHT) / keys;
  const edge = (distance) => Math.min(x(distance), x(keys - 0.5));
  const top = Math.max(...weights, ...plain);
  const { one, zero, top: high, base } = layout;
  const upper = (value) => zero - (zero - one) * value;
  const lower = (value) => base - ((base - high) * value) / top;
  const bars = (name, values, attributes) =>
    values.map((value, distance) => {
      const [left, y] = [x(distance) - column * 0.4, lower(value)];
      return bar(name, left, y, column * 0.8, base - y, attributes(value));
    });
  const ticks = [0, 16, 32, 48, 64, 80, 95].filter((distance) => distance < keys);
  const points = mask.map((value, distance) => `${x(distance)},${upper(value)}`).join(" ");
  picture.replaceChildren(
    ...[[one - 2, zero + 2], [high - 4, base]].map(([from, to]) =>
      bar("ramp", edge(span), from, Math.max(0, edge(span + ramp) - x(span)), to - from),
    ),
    text(LEFT, 12, "soft mask m(x), and the ramp shaded"),
    text(LEFT - 6, upper(1) + 4, "1", { anchor: "end" }),
    text(LEFT - 6, upper(0) + 4, "0", { anchor: "end" }),
    shape("polyline", { class: "span-mask", points }),
    text(LEFT, high - 10, "attention: outline without the mask, filled with it"),
    text(LEFT - 6, lower(top) + 4, percent(top), { anchor: "end" }),
    ...bars("weight", weights, (weight) => ({ "data-weight": weight })),
    ...bars("plain", plain, () => ({})),
    line("axis", base, width),
    ...ticks.map((distance) => text(x(distance), base + 15, distance, { anchor: "middle" })),
    text((LEFT + width) / 2, base + 32, "distance to the key, in tokens", { anchor: "middle" }),
  );
}

// A key that is far enough away to be out of reach of a short span, on a ramp, and within a long span.
function headSteps(model, far) {
  if (far < 24) return [];
  const [near, ramp] = [Math.round(far / 4), 16];
  return [
    steps(model, "What tells a short span of a far key that matters?", [
      ["short span and ramp", { span: near, ramp }],
      ["the ramp reaches it", { span: near, ramp: Math.min(48, far - near + 6) }],
      ["the span has grown", { span: far + 4, ramp }],
    ]),
  ];
}

function headView(model, [width, layout]) {
  const scores = model.get("scores");
  const picture = svg(width, layout.base + 36, {
    class: "span-chart",
    "aria-label": "Soft mask and attention over the distance to the key",
  });
  const said = readout();
  const stop = follow(model, "span ramp", () => {
    const [span, ramp] = [model.get("span"), model.get("ramp")];
    const head = readKeys(scores, span, ramp);
    drawHead(picture, [width, layout], { span, ramp }, head);
    said.textContent =
      `${head.seen} of ${scores.length} keys are read; the rest held ${percent(head.lost)} of the ` +
      `attention. ${head.onRamp} keys lie on the ramp and alone give the span a gradient. ` +
      heard(head);
  });
  const controls = toolbar(
    slider(model, "span", { label: "Span z", min: 0, max: scores.length, format: TOKENS }),
    slider(model, "ramp", { label: "Ramp R", min: 1, max: 48, format: TOKENS }),
  );
  return { nodes: [...headSteps(model, readKeys(scores, 0, 1).strongest), controls, picture, said], stop };
}

// A bar a head, grouped by layer: the span, and above it the ramp.
function drawModel(picture, [width, { spans }], layers, { limit, ramp }) {
  const base = spans + 26;
  const y = (tokens) => base - (spans * tokens) / limit;
  const group = (width - LEFT - RIGHT) / layers.length;
  const column = (group * 0.8) / layers[0].length;
  const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * limit));
  const bars = (span, left) => {
    const end = y(clamp(span + ramp, 0, limit));
    return [
      bar("reach", left + 1, end, column - 2, y(span) - end),
      bar("bar", left + 1, y(span), column - 2, y(0) - y(span), { "data-span": span }),
    ];
  };
  picture.replaceChildren(
    text(LEFT, 14, "span of each head, in tokens (paler: its ramp)"),
    ...marks.flatMap((tokens) => [
      line("grid", y(tokens), width),
      text(LEFT - 6, y(tokens) + 4, tokens, { anchor: "end" }),
    ]),
    ...layers.flatMap((heads, layer) => [
      ...heads.flatMap((span, head) => bars(span, LEFT + (layer + 0.1) * group + head * column)),
      text(LEFT + (layer + 0.5) * group, base + 16, layer + 1, { anchor: "middle" }),
    ]),
    line("axis", y(0), width),
    text((LEFT + width) / 2, base + 33, "layer", { anchor: "middle" }),
  );
}

function describeModel(layers, updates, { limit, ramp }) {
  const all = layers.flat();
  const read = layers.map((heads) => clamp(Math.max(...heads) + ramp, 0, limit));
  return (
    `After ${updates} updates the mean span is ${mean(all).toFixed(1)} tokens and ` +
    `${all.filter((span) => span < 1).length} of ${all.length} heads have one below 1. ` +
    `With their ramps the longest heads of each layer read ${percent(mean(read) / limit)} of the keys.`
  );
}

function modelView(model, [width, layout]) {
  const runs = model.get("runs");
  const names = Object.keys(runs);
  const sizes = { limit: model.get("max_span"), ramp: model.get("model_ramp") };
  const picture = svg(width, layout.spans + 64, {
    class: "span-chart",
    "aria-label": "Spans of every head by layer",
  });
  const said = readout();
  const stop = follow(model, "run checkpoint", () => {
    const { steps: updates, spans } = runs[model.get("run")];
    const at = Math.min(model.get("checkpoint"), updates.length - 1);
    drawModel(picture, [width, layout], spans[at], sizes);
    said.textContent = describeModel(spans[at], updates[at], sizes);
  });
  const { steps: updates } = runs[names[0]];
  const last = updates.length - 1;
  const controls = toolbar(
    segmented(model, "run", { label: "Penalty", options: names.map((n) => [n, runs[n].label]) }),
    slider(model, "checkpoint", {
      label: "Training",
      min: 0,
      max: last,
      format: (index) => `${updates[index]} updates`,
    }),
  );
  const guide = steps(model, "How many heads give up, and what makes them?", [
    ["before training", { run: names[0], checkpoint: 0 }],
    ...names.map((name) => [`trained, ${runs[name].label}`, { run: name, checkpoint: last }]),
  ]);
  return { nodes: [guide, controls, picture, said], stop };
}

function render({ model, el }) {
  const width = widthOf(el);
  const size = [width, width < 400 ? LAYOUTS.narrow : LAYOUTS.wide];
  const views = [headView(model, size)];
  if (Object.keys(model.get("runs")).length) views.push(modelView(model, size));
  const titles = ["One head", "Every head of a trained model"];
  const root = element("div", { class: "span-figure" });
  views.forEach((view, index) => {
    const heading = element("p", { class: "span-title" }, titles[index]);
    root.append(element("section", {}, heading, ...view.nodes));
  });
  el.append(root);
  return () => views.forEach((view) => view.stop());
}

export default { render };
