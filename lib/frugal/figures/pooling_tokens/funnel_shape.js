// Build a funnel: layers in each block and in the decoder, every layer a bar as wide as its queries.
import { button, element, quantity, readout, shape, slider, store, toolbar } from "../../show/controls.js";
import { follow, percent, sum, svg, text, widthOf } from "../../show/drawing.js";
import { funnelLayers, layerFlops } from "./token_cost_formulas.js";

const REFERENCE = 12; // layers of the plain encoder that everything is compared with
const ROW = 15;
const LEFT = 74;
const RIGHT = 92;
const TOP = 22;
const MOST = 12;
const BLOCKS = ["block_1", "block_2", "block_3", "block_4"];

const depth = (count) => (count === 1 ? "1 layer" : `${count} layers`);

// Blocks up to the first empty one, and no more than the length can be halved.
export function blocksOf(sizes, length) {
  const chosen = [];
  let tokens = length;
  for (const size of sizes) {
    if (size === 0 || (chosen.length > 0 && tokens < 2)) break;
    if (chosen.length > 0) tokens = Math.ceil(tokens / 2);
    chosen.push(size);
  }
  return chosen;
}

// Every layer of the funnel, and a plain layer's FLOPs to compare them with.
function funnelOf(model) {
  const length = model.get("length");
  const widths = { dModel: model.get("d_model"), dFf: model.get("d_ff") };
  const sizes = blocksOf(BLOCKS.map((name) => model.get(name)), length);
  return {
    length,
    layers: funnelLayers(length, sizes, model.get("decoder"), widths),
    plain: layerFlops(length, length, widths),
  };
}

// One layer: a bar for its queries, an outline for its keys where there are more, and two labels.
function layerNodes({ block, queries, keys, flops }, y, first, { length, plain, width }) {
  const full = width - LEFT - RIGHT;
  const name = block === null ? "decoder" : `block ${block + 1}`;
  const bar = (kind, tokens, attributes) => {
    const size = (full * tokens) / length;
    const place = { x: LEFT + full / 2 - size / 2, y: y + 1, height: ROW - 3, rx: 2 };
    return shape("rect", { class: kind, width: Math.max(1.5, size), ...place, ...attributes });
  };
  const data = { "data-block": block ?? "decoder", "data-queries": queries, "data-keys": keys };
  return [
    ...(keys > queries ? [bar("funnel-keys", keys, {})] : []),
    bar("funnel-layer", queries, data),
    ...(first ? [text(LEFT - 8, y + ROW - 4, name, { anchor: "end" })] : []),
    text(width - RIGHT + 8, y + ROW - 4, `${queries} · ${percent(flops / plain)}`),
  ];
}

function drawFunnel(picture, width, { layers, length, plain }) {
  const height = TOP + ROW * layers.length + 24;
  const rows = layers.flatMap((layer, index) => {
    const first = index === 0 || layers[index - 1].block !== layer.block;
    const y = TOP + ROW * (layers.length - 1 - index);
    return layerNodes(layer, y, first, { length, plain, width });
  });
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  picture.replaceChildren(
    text(width - 2, 13, "tokens · FLOPs", { anchor: "end" }),
    ...rows,
    text((LEFT + width - RIGHT) / 2, height - 6, "outline: keys of a layer at a border", {
      anchor: "middle",
    }),
  );
}

function sentence({ layers, plain }) {
  const total = sum(layers.map((layer) => layer.flops));
  const last = layers.at(-1).queries;
  return (
    `${layers.length} layers give ${last} ${last === 1 ? "vector" : "vectors"} for ` +
    `${quantity(total, "FLOP")}: ${percent(total / (REFERENCE * plain))} of ` +
    `${REFERENCE} plain layers. A plain encoder would have ` +
    `${(total / plain).toFixed(1)} layers for that.`
  );
}

function controls(model) {
  const sliders = BLOCKS.map((name, index) =>
    slider(model, name, {
      label: `Block ${index + 1}`,
      min: index === 0 ? 1 : 0,
      max: MOST,
      format: (count) => (count === 0 ? "none" : depth(count)),
    }),
  );
  const presets = model.get("presets").map(({ label, blocks, decoder }) =>
    button(label, () => {
      BLOCKS.forEach((name, index) => store(model, name, blocks[index] ?? 0));
      store(model, "decoder", decoder);
    }),
  );
  return [
    toolbar(...presets),
    toolbar(...sliders),
    toolbar(
      slider(model, "decoder", { label: "Decoder", min: 0, max: 4, format: depth }),
      slider(model, "length", { label: "Tokens", min: 16, max: 1024, step: 16 }),
    ),
  ];
}

function render({ model, el }) {
  const width = widthOf(el, 360);
  const picture = svg(width, TOP, {
    class: "funnel-chart",
    "aria-label": "Layers of the funnel, the first at the bottom",
  });
  const said = readout();
  el.append(element("div", { class: "funnel-shape" }, ...controls(model), picture, said));
  return follow(model, [...BLOCKS, "decoder", "length"], () => {
    const funnel = funnelOf(model);
    drawFunnel(picture, width, funnel);
    said.textContent = sentence(funnel);
  });
}

export default { render };
