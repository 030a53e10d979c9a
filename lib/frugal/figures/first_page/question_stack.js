// The drawing of the map: a stack of tokens times layers with everything that a scene can show.
import { shape } from "../../show/controls.js";
import { svg, text } from "../../show/drawing.js";
import { BYTES, HEADS, HUBS, LAYERS, PARTS, ROWS, TOKENS, node, pair, spoke } from "./question_scenes.js";

const [WIDTH, HEIGHT] = [424, 316];
const BYTE_Y = 307;
const HEADER = 12; // the line of words at the top
const WORDS = ["what", "can", "be", "left", "out", "of", "it", "?"];
const LETTERS = [..."what␣can"];

const x = (place) => 18 + 31 * place;
const y = (row) => 282 - 60 * row;
const middle = (layer) => (y(layer) + y(layer + 1)) / 2;
const hubX = (hub) => x(2 + 1.5 * hub);
const byteX = (index) => x((index + 0.5) / 2 - 0.5);
const times = (size, build) => Array.from({ length: size }, (_, index) => build(index));

const curve = (x0, y0, x1, y1) => {
  const half = (y0 + y1) / 2;
  return `M${x0} ${y0}C${x0} ${half} ${x1} ${half} ${x1} ${y1}`;
};

// Every element that a scene moves or fades, by kind and in the order of the scene's numbers.
function elementsOf() {
  const circle = (cx, cy, r) => shape("circle", { cx, cy, r });
  return {
    pairs: times(LAYERS * TOKENS * TOKENS, () => shape("path")),
    gather: times(LAYERS * TOKENS * HUBS, () => shape("path")),
    spread: times(LAYERS * TOKENS * HUBS, () => shape("path")),
    byteEdges: times(BYTES, () => shape("path")),
    hubs: times(LAYERS * HUBS, (at) => circle(hubX(at % HUBS), middle(Math.floor(at / HUBS)), 5)),
    dots: times(ROWS * TOKENS, () => shape("circle", { r: 5.5 })),
    bytes: times(BYTES, (index) =>
      shape("rect", { x: byteX(index) - 3.5, y: BYTE_Y - 3.5, width: 7, height: 7 }),
    ),
    heads: times(LAYERS * HEADS, (at) =>
      circle(290 + 11 * (at % HEADS), middle(Math.floor(at / HEADS)), 4),
    ),
    parts: times(LAYERS * PARTS, (at) => {
      const place = { x: 362 + 12 * (at % PARTS), y: middle(Math.floor(at / PARTS)) - 13 };
      return shape("rect", { ...place, width: 10, height: 26, rx: 2 });
    }),
    marks: times(2 * LAYERS, (at) => {
      const place = at % 2 ? { x: 358, width: 54 } : { x: 280, width: 53 };
      return shape("rect", { ...place, y: middle(Math.floor(at / 2)) - 19, height: 38, rx: 5 });
    }),
    words: wordsAt(BYTE_Y + 4, WORDS),
    letters: wordsAt(BYTE_Y + 4, LETTERS),
    unknown: wordsAt(BYTE_Y + 4, WORDS.map(() => "?")),
    answers: wordsAt(y(LAYERS) - 10, WORDS),
  };
}

const wordsAt = (height, words) =>
  words.map((word, token) => text(x(token), height, word, { anchor: "middle" }));

// The header names what stands below it, and shows what a dot and a line mean.
function labels() {
  const [low, high] = [HEADER - 1, HEADER - 8];
  return [
    shape("circle", { cx: x(0), cy: HEADER - 4, r: 5 }),
    text(x(0) + 8, HEADER, "representations"),
    shape("path", { d: `M139 ${low}C143 ${low} 143 ${high} 147 ${high}` }),
    text(151, HEADER, "interactions"),
    text(272, HEADER, "layer", { anchor: "end" }),
    text(306, HEADER, "heads", { anchor: "middle" }),
    text(WIDTH, HEADER, "feed-forward", { anchor: "end" }),
    ...times(LAYERS, (layer) => text(270, middle(layer) + 4, layer + 1, { anchor: "end" })),
  ];
}

// Regions to click, over everything: the rows, what lies between them, and the layers' parts.
function regionNodes() {
  const region = (about, left, top, width, height) =>
    shape("rect", { x: left, y: top, width, height, "data-about": about });
  return [
    region("interactions", 0, y(LAYERS) + 12, 248, y(0) - y(LAYERS) - 24),
    ...times(ROWS, (row) => region("representations", 0, y(row) - 12, 248, 24)),
    region("parameters", 252, 20, WIDTH - 252, 262),
  ];
}

const show = (item, strength, name = "opacity") => item.setAttribute(name, strength.toFixed(3));

// The lines between two rows: from token to token, and through the summaries.
function drawLayer({ pairs, gather, spread }, now, layer) {
  for (let query = 0; query < TOKENS; query += 1) {
    const above = x(now.place[node(layer + 1, query)]);
    for (let key = 0; key < TOKENS; key += 1) {
      const item = pairs[pair(layer, query, key)];
      item.setAttribute("d", curve(x(now.place[node(layer, key)]), y(layer), above, y(layer + 1)));
      show(item, now.pairs[pair(layer, query, key)]);
    }
    const below = x(now.place[node(layer, query)]);
    for (let hub = 0; hub < HUBS; hub += 1) {
      const index = spoke(layer, query, hub);
      gather[index].setAttribute("d", curve(below, y(layer), hubX(hub), middle(layer)));
      spread[index].setAttribute("d", curve(hubX(hub), middle(layer), above, y(layer + 1)));
      show(gather[index], now.gather[index]);
      show(spread[index], now.spread[index]);
    }
  }
}

function drawWords({ words, letters, unknown, answers }, now) {
  for (let token = 0; token < TOKENS; token += 1) {
    const [spelled, answered] = [now.letters[token], now.answers[token]];
    show(words[token], Math.max(0, 1 - now.bytes[0] - spelled - answered));
    show(letters[token], spelled);
    show(unknown[token], answered);
    show(answers[token], answered);
  }
}

function drawScene(items, now) {
  items.dots.forEach((dot, index) => {
    dot.setAttribute("cx", x(now.place[index]).toFixed(1));
    dot.setAttribute("cy", y(Math.floor(index / TOKENS)));
    show(dot, now.nodes[index]);
  });
  for (let layer = 0; layer < LAYERS; layer += 1) drawLayer(items, now, layer);
  items.hubs.forEach((hub, index) => show(hub, now.hubs[index]));
  items.heads.forEach((head, index) => show(head, now.heads[index], "fill-opacity"));
  items.parts.forEach((part, index) => show(part, now.parts[index], "fill-opacity"));
  items.bytes.forEach((byte, index) => {
    const place = x(now.place[Math.floor(index / 2)]);
    show(byte, now.bytes[index]);
    items.byteEdges[index].setAttribute("d", curve(byteX(index), BYTE_Y, place, y(0)));
    show(items.byteEdges[index], now.bytes[index]);
  });
  items.marks.forEach((mark, index) => show(mark, now.marks[index]));
  drawWords(items, now);
}

// Builds the drawing once. `draw(scene)` then only sets strengths and places, and `mark(scene)` the
// colors of buckets and whether interactions are fixed.
export function stack() {
  const items = elementsOf();
  const group = (name, ...children) => shape("g", { class: `map-${name}` }, ...children);
  const ghosts = times(ROWS * TOKENS, (index) =>
    shape("circle", { cx: x(index % TOKENS), cy: y(Math.floor(index / TOKENS)), r: 5.5 }),
  );
  const { pairs, gather, spread, byteEdges, hubs } = items;
  const edges = group("edges", ...pairs, ...gather, ...spread, ...byteEdges, ...hubs);
  const words = [...items.words, ...items.letters, ...items.unknown, ...items.answers];
  const regions = group("regions", ...regionNodes());
  const picture = svg(WIDTH, HEIGHT, { class: "map-stack" });
  picture.append(
    group("labels", ...labels()),
    edges,
    group("ghosts", ...ghosts),
    group("nodes", ...items.dots, ...items.bytes),
    group("layers", ...items.heads, ...items.parts),
    group("marks", ...items.marks),
    group("words", ...words),
    regions,
  );
  const mark = ({ groups, fixed }) => {
    edges.classList.toggle("map-fixed", fixed);
    items.dots.forEach((dot, index) => {
      const accent = groups && [1, 2, 4][groups[index % TOKENS]];
      dot.style.fill = groups ? `var(--frugal-accent-${accent})` : "";
    });
  };
  return { picture, draw: (now) => drawScene(items, now), mark, regions };
}
