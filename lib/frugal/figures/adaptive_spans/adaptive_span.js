// Two views of a span: one head whose span and ramp the reader moves, and the spans of every head
// of a trained model over the updates of its training.
import { element, readout, segmented, shape, slider, toolbar } from "../../show/controls.js";
import { attention, reach, softMask } from "./span_formulas.js";

const LEFT = 46;
const RIGHT = 8;

function text(x, y, words, attributes = {}) {
  return shape("text", { x, y, class: "span-label", ...attributes }, words);
}

function svg(width, height, label) {
  return shape("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "span-chart",
    role: "img",
    "aria-label": label,
  });
}

const percent = (value) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;

// The mask above, the attention it leaves below, over the distance to the key.
function headView(model, width) {
  const scores = model.get("scores");
  const keys = scores.length;
  const plain = attention(scores, keys, 1);
  const picture = svg(width, 250, "Soft mask and attention over the distance to the key");
  const said = readout();
  const x = (distance) => LEFT + ((distance + 0.5) / keys) * (width - LEFT - RIGHT);
  const column = (width - LEFT - RIGHT) / keys;

  function draw() {
    const span = model.get("span");
    const ramp = model.get("ramp");
    const weights = attention(scores, span, ramp);
    const top = Math.max(...weights, ...plain);
    const upper = (value) => 78 - 58 * value;
    const lower = (value) => 214 - (104 * value) / top;
    const seen = reach(span, ramp, keys);
    const masked = scores.map((_, d) => `${x(d)},${upper(softMask(span, ramp, d))}`);
    const ticks = [0, 16, 32, 48, 64, 80, 95].filter((d) => d < keys);
    picture.replaceChildren(
      shape("rect", {
        class: "span-ramp",
        x: Math.min(x(span), x(keys - 0.5)),
        y: 14,
        width: Math.max(0, Math.min(x(span + ramp), x(keys - 0.5)) - x(span)),
        height: 200,
      }),
      text(LEFT, 12, "soft mask m(x), and the ramp shaded"),
      text(LEFT - 6, upper(1) + 4, "1", { "text-anchor": "end" }),
      text(LEFT - 6, upper(0) + 4, "0", { "text-anchor": "end" }),
      shape("polyline", { class: "span-mask", points: masked.join(" ") }),
      text(LEFT, 100, "attention: outline without the mask, filled with it"),
      text(LEFT - 6, lower(top) + 4, percent(top), { "text-anchor": "end" }),
      ...weights.map((weight, d) =>
        shape("rect", {
          class: "span-weight",
          "data-weight": weight,
          x: x(d) - column * 0.4,
          y: lower(weight),
          width: column * 0.8,
          height: 214 - lower(weight),
        }),
      ),
      ...plain.map((weight, d) =>
        shape("rect", {
          class: "span-plain",
          x: x(d) - column * 0.4,
          y: lower(weight),
          width: column * 0.8,
          height: 214 - lower(weight),
        }),
      ),
      shape("path", { class: "span-axis", d: `M${LEFT} 214H${width - RIGHT}` }),
      ...ticks.map((d) => text(x(d), 229, String(d), { "text-anchor": "middle" })),
      text((LEFT + width) / 2, 246, "distance to the key, in tokens", { "text-anchor": "middle" }),
    );
    const lost = plain.slice(seen).reduce((sum, weight) => sum + weight, 0);
    const onRamp = scores.filter((_, d) => d > span && d < span + ramp).length;
    said.textContent =
      `${seen} of ${keys} keys are read; the rest held ${percent(lost)} of the attention. ` +
      `${onRamp} keys lie on the ramp, and only they give the span a gradient.`;
  }

  model.on("change:span change:ramp", draw);
  draw();
  const controls = toolbar(
    slider(model, "span", { label: "Span z", min: 0, max: keys, format: (z) => `${z} tokens` }),
    slider(model, "ramp", { label: "Ramp R", min: 1, max: 48, format: (r) => `${r} tokens` }),
  );
  return { nodes: [controls, picture, said], stop: () => model.off("change:span change:ramp", draw) };
}

// A bar a head, grouped by layer: the span, and above it the ramp.
function modelView(model, width) {
  const runs = model.get("runs");
  const names = Object.keys(runs);
  const limit = model.get("max_span");
  const ramp = model.get("model_ramp");
  const picture = svg(width, 260, "Spans of every head by layer");
  const said = readout();
  const y = (tokens) => 216 - (190 * tokens) / limit;

  function draw() {
    const run = runs[model.get("run")];
    const at = Math.min(model.get("checkpoint"), run.steps.length - 1);
    const layers = run.spans[at];
    const group = (width - LEFT - RIGHT) / layers.length;
    const bar = (group * 0.8) / layers[0].length;
    const marks = [0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * limit));
    picture.replaceChildren(
      text(LEFT, 14, "span of each head, in tokens (paler: its ramp)"),
      ...marks.flatMap((tokens) => [
        shape("path", { class: "span-grid", d: `M${LEFT} ${y(tokens)}H${width - RIGHT}` }),
        text(LEFT - 6, y(tokens) + 4, String(tokens), { "text-anchor": "end" }),
      ]),
      ...layers.flatMap((heads, layer) => [
        ...heads.flatMap((span, head) => {
          const left = LEFT + layer * group + group * 0.1 + head * bar;
          const end = Math.min(limit, span + ramp);
          return [
            shape("rect", {
              class: "span-reach",
              x: left + 1,
              y: y(end),
              width: bar - 2,
              height: y(span) - y(end),
            }),
            shape("rect", {
              class: "span-bar",
              "data-span": span,
              x: left + 1,
              y: y(span),
              width: bar - 2,
              height: y(0) - y(span),
            }),
          ];
        }),
        text(LEFT + (layer + 0.5) * group, 232, String(layer + 1), { "text-anchor": "middle" }),
      ]),
      shape("path", { class: "span-axis", d: `M${LEFT} ${y(0)}H${width - RIGHT}` }),
      text((LEFT + width) / 2, 252, "layer", { "text-anchor": "middle" }),
    );
    const all = layers.flat();
    const mean = all.reduce((sum, span) => sum + span, 0) / all.length;
    const longest = layers.map((heads) => Math.max(...heads));
    const read = longest.reduce((sum, span) => sum + Math.min(limit, span + ramp), 0);
    said.textContent =
      `After ${run.steps[at]} updates the mean span is ${mean.toFixed(1)} tokens and ` +
      `${all.filter((span) => span < 1).length} of ${all.length} heads have one below 1. ` +
      `With their ramps the longest heads of each layer read ` +
      `${percent(read / (limit * layers.length))} of the keys.`;
  }

  model.on("change:run change:checkpoint", draw);
  draw();
  const steps = runs[names[0]].steps;
  const controls = toolbar(
    segmented(model, "run", { label: "Penalty", options: names.map((n) => [n, runs[n].label]) }),
    slider(model, "checkpoint", {
      label: "Training",
      min: 0,
      max: steps.length - 1,
      format: (index) => `${steps[index]} updates`,
    }),
  );
  return {
    nodes: [controls, picture, said],
    stop: () => model.off("change:run change:checkpoint", draw),
  };
}

function render({ model, el }) {
  // A narrow page gets a narrower drawing, not smaller letters.
  const width = el.clientWidth && el.clientWidth < 520 ? 380 : 640;
  const views = [headView(model, width)];
  if (Object.keys(model.get("runs")).length) views.push(modelView(model, width));
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
