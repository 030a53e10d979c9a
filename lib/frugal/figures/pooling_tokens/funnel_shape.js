// Build a funnel: layers in each block and in the decoder, every layer a bar as wide as its queries.
import { button, element, quantity, readout, shape, slider, store, toolbar } from "../../show/controls.js";
import { funnelLayers, layerFlops } from "./token_cost_formulas.js";

const REFERENCE = 12; // layers of the plain encoder that everything is compared with
const ROW = 15;
const LEFT = 74;
const RIGHT = 92;
const TOP = 22;
const MOST = 12;

function text(x, y, words, attributes = {}) {
  return shape("text", { x, y, class: "funnel-label", ...attributes }, words);
}

const percent = (value) => `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`;

function render({ model, el }) {
  const width = el.clientWidth && el.clientWidth < 520 ? 360 : 640;
  const widths = { dModel: model.get("d_model"), dFf: model.get("d_ff") };
  const names = ["block_1", "block_2", "block_3", "block_4"];
  const picture = shape("svg", {
    class: "funnel-chart",
    role: "img",
    "aria-label": "Layers of the funnel, the first at the bottom",
  });
  const said = readout();

  // Blocks up to the first empty one, and no more than the length can be halved.
  function blocks() {
    const chosen = [];
    let tokens = model.get("length");
    for (const name of names) {
      if (model.get(name) === 0 || (chosen.length > 0 && tokens < 2)) break;
      if (chosen.length > 0) tokens = Math.ceil(tokens / 2);
      chosen.push(model.get(name));
    }
    return chosen;
  }

  function draw() {
    const length = model.get("length");
    const sizes = blocks();
    const decoder = model.get("decoder");
    const layers = funnelLayers(length, sizes, decoder, widths);
    const plain = layerFlops(length, length, widths);
    const height = TOP + ROW * layers.length + 24;
    const full = width - LEFT - RIGHT;
    const middle = LEFT + full / 2;
    const rows = layers.flatMap(({ block, queries, keys, flops }, index) => {
      const y = TOP + ROW * (layers.length - 1 - index);
      const size = (full * queries) / length;
      const seen = (full * keys) / length;
      const first = index === 0 || layers[index - 1].block !== block;
      const name = block === null ? "decoder" : `block ${block + 1}`;
      return [
        keys > queries
          ? shape("rect", {
              class: "funnel-keys",
              x: middle - seen / 2,
              y: y + 1,
              width: seen,
              height: ROW - 3,
              rx: 2,
            })
          : null,
        shape("rect", {
          class: "funnel-layer",
          "data-block": block === null ? "decoder" : block,
          "data-queries": queries,
          "data-keys": keys,
          x: middle - size / 2,
          y: y + 1,
          width: Math.max(1.5, size),
          height: ROW - 3,
          rx: 2,
        }),
        first ? text(LEFT - 8, y + ROW - 4, name, { "text-anchor": "end" }) : null,
        text(width - RIGHT + 8, y + ROW - 4, `${queries} · ${percent(flops / plain)}`),
      ].filter(Boolean);
    });
    picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    picture.replaceChildren(
      text(width - 2, 13, "tokens · FLOPs", { "text-anchor": "end" }),
      ...rows,
      text(middle, height - 6, "outline: keys of a layer at a border", { "text-anchor": "middle" }),
    );
    const total = layers.reduce((sum, layer) => sum + layer.flops, 0);
    const last = layers[layers.length - 1].queries;
    said.textContent =
      `${layers.length} layers give ${last} ${last === 1 ? "vector" : "vectors"} for ` +
      `${quantity(total, "FLOP")}: ${percent(total / (REFERENCE * plain))} of ` +
      `${REFERENCE} plain layers. A plain encoder would have ` +
      `${(total / plain).toFixed(1)} layers for that.`;
  }

  const depth = (count) => (count === 1 ? "1 layer" : `${count} layers`);
  const sliders = names.map((name, index) =>
    slider(model, name, {
      label: `Block ${index + 1}`,
      min: index === 0 ? 1 : 0,
      max: MOST,
      format: (count) => (count === 0 ? "none" : depth(count)),
    }),
  );
  const presets = model.get("presets").map(({ label, blocks: sizes, decoder }) =>
    button(label, () => {
      names.forEach((name, index) => store(model, name, sizes[index] ?? 0));
      store(model, "decoder", decoder);
    }),
  );
  const controls = [
    toolbar(...presets),
    toolbar(...sliders),
    toolbar(
      slider(model, "decoder", { label: "Decoder", min: 0, max: 4, format: depth }),
      slider(model, "length", { label: "Tokens", min: 16, max: 1024, step: 16 }),
    ),
  ];
  el.append(element("div", { class: "funnel-shape" }, ...controls, picture, said));
  const watched = [...names, "decoder", "length"].map((name) => `change:${name}`).join(" ");
  model.on(watched, draw);
  draw();
  return () => model.off(watched, draw);
}

export default { render };
