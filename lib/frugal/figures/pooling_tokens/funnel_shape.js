// Build a funnel: words merge from block to block, and every layer is a stripe of their vectors.
import { element, quantity, readout, shape, slider, steps, toolbar } from "../../show/controls.js";
import { follow, percent, sum, svg, text, widthOf } from "../../show/drawing.js";
import { funnelLayers, layerFlops } from "./token_cost_formulas.js";

const REFERENCE = 12; // layers of the plain encoder that everything is compared with
const WORDS = ["the", "small", "brown", "dog", "sleeps", "in", "the", "sun"]; // of any length, eight
const MOST = 12;
const BLOCKS = ["block_1", "block_2", "block_3", "block_4"];
const [LABEL, BOX, STRIPE, GAP] = [17, 20, 2.1, 15];
const BAND = LABEL + BOX + MOST * STRIPE + GAP; // of a block, whatever its layers

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

// The layers of one block, or of the decoder, which comes last.
function bandsOf(layers) {
  const bands = [...BLOCKS.keys(), null].map((block) => layers.filter((layer) => layer.block === block));
  return bands.map((inside, band) => ({ inside, band, block: band < BLOCKS.length ? band : null }));
}

// How many of the eight words one vector of a block stands for.
const covered = (block) => (block === null ? 1 : 2 ** block);

// A box for each vector, over the words that it stands for.
function boxes(block, y, unit) {
  const size = covered(block);
  const count = WORDS.length / size;
  return Array.from({ length: count }, (_, n) => {
    const words = WORDS.slice(n * size, (n + 1) * size).join(" ");
    const place = { x: n * size * unit + 1.5, y, width: size * unit - 3, height: BOX, rx: 3 };
    const middle = (n + 0.5) * size * unit;
    return [
      shape("rect", { class: "funnel-box", ...place }),
      text(middle, y + 14.5, words, { anchor: "middle", class: "funnel-words" }),
    ];
  }).flat();
}

// Where the vectors of a block stand: each as wide as one word, in the middle of its own.
function vectors(block, unit) {
  const size = covered(block);
  return Array.from({ length: WORDS.length / size }, (_, n) => (n + 0.5) * size * unit);
}

// A layer is a stripe through all vectors that it computes.
function stripe({ block, queries, keys }, y, unit) {
  const pieces = vectors(block, unit).map((x) => `M${x - unit / 2 + 3} ${y}h${unit - 6}`);
  const data = { "data-block": block ?? "decoder", "data-queries": queries, "data-keys": keys };
  return shape("path", { class: "funnel-layer", d: pieces.join(""), ...data });
}

// From the last layer of the block before to the vectors that read it.
function merging(block, y, unit, before) {
  const from = y + before * STRIPE - (MOST * STRIPE + GAP) + 4;
  const lines = vectors(block - 1, unit).map((x, n) => {
    const to = vectors(block, unit)[Math.floor(n / 2)];
    return `M${x} ${from}V${y - GAP + 3}L${to} ${y - 1}`;
  });
  return shape("path", { class: "funnel-keys", d: lines.join("") });
}

function told(inside, plain) {
  const [first, next] = [inside[0], inside.at(-1)].map(({ flops }) => percent(flops / plain, 0));
  const tokens = inside[0].queries === 1 ? "1 token" : `${inside[0].queries} tokens`;
  return `${tokens} · ${first === next ? first : `${first}, then ${next}`}`;
}

// One block: its name and bill, the words that its vectors stand for, and a stripe for each layer.
function bandNodes({ inside, band, block }, { plain, width, sizes }) {
  const y = band * BAND + LABEL;
  const unit = width / WORDS.length;
  const name = block === null ? "decoder" : `block ${block + 1}`;
  if (inside.length === 0) {
    return [text(0, y - 4, `${name}: none`, { class: "funnel-none" })];
  }
  const merged = inside[0].keys > inside[0].queries;
  return [
    text(0, y - 4, `${name}: ${depth(inside.length)}`, { class: "funnel-name" }),
    text(width, y - 4, told(inside, plain), { anchor: "end" }),
    ...(merged ? [merging(block, y - LABEL, unit, sizes[band - 1])] : []),
    ...boxes(block, y, unit),
    ...inside.map((layer, n) => stripe(layer, y + BOX + 3 + n * STRIPE, unit)),
  ];
}

function drawFunnel(picture, width, { layers, plain }) {
  const bands = bandsOf(layers);
  const sizes = bands.map(({ inside }) => inside.length);
  const nodes = bands.flatMap((band) => bandNodes(band, { plain, width, sizes }));
  picture.replaceChildren(...nodes);
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
  return [
    toolbar(...sliders),
    toolbar(
      slider(model, "decoder", { label: "Decoder", min: 0, max: 4, format: depth }),
      slider(model, "length", { label: "Tokens", min: 16, max: 1024, step: 16 }),
    ),
  ];
}

const QUESTION = "Can you have more than 18 layers for the FLOPs of 12 plain ones?";

// A step for each shape, and what to look for.
function guide(model) {
  const list = model.get("presets").map(({ label, blocks, decoder, words }) => {
    const sizes = BLOCKS.map((name, index) => [name, blocks[index] ?? 0]);
    return [`${label}: ${words}`, { ...Object.fromEntries(sizes), decoder }];
  });
  return steps(model, QUESTION, list);
}

const KEY =
  "A box: the words that one vector stands for. A stripe: one layer. Percentages: FLOPs of a layer, of one at full " +
  "length; the first layer of a block still reads the longer sequence.";

function render({ model, el }) {
  const width = widthOf(el, 360);
  const picture = svg(width, BAND * (BLOCKS.length + 1) - GAP, {
    class: "funnel-chart",
    "aria-label": "Blocks of the funnel, the first on top: words merge from one to the next",
  });
  const said = readout();
  const key = element("p", { class: "funnel-key" }, KEY);
  el.append(element("div", { class: "funnel-shape" }, ...controls(model), picture, key, said, guide(model)));
  return follow(model, [...BLOCKS, "decoder", "length"], () => {
    const funnel = funnelOf(model);
    drawFunnel(picture, width, funnel);
    said.textContent = sentence(funnel);
  });
}

export default { render };
