// Trained models whose layers the reader switches off: one row of switches for all, what each model
// still finds at every distance, and one ring of letters in words. The models run in the page.
import { button, element, guide, onKeys, readout, segmented, shape, store, toolbar } from "../../show/controls.js";
import { follow, mean, percent, svg, text } from "../../show/drawing.js";
import { unpack } from "../../show/models.js";
import { forward } from "./shallow_encoder.js";

const LETTERS = "abcdefghijklmnopqrstuvwxyz";
const MOVES = { ArrowLeft: -1, ArrowRight: 1 };
const SIZE = 260;

const best = (probabilities) => probabilities.indexOf(Math.max(...probabilities));

// The layers of 0 to layers - 1 that are not in `on`.
export const allBut = (layers, on) => Array.from({ length: layers }, (_, layer) => layer).filter((layer) => !on.includes(layer));

// As many layers as `keep`, at equal distances from the first one on: frugal.depth.layerdrop.every_other.
export const everyOther = (layers, keep) => Array.from({ length: keep }, (_, place) => Math.floor((place * layers) / keep));

// found: for each example, token and question the letter that a model says -> the share of right
// ones for each question.
export function rightByHop(found, examples) {
  const [first] = examples;
  return first.targets[0].map((_, hop) =>
    mean(found.flatMap((rows, index) => rows.map((row, token) => Number(row[hop] === examples[index].targets[token][hop])))),
  );
}

// The row of an example's arrow that begins at a letter.
export const rowOf = ({ ids }, letter, answers) => ids.findIndex((id) => Math.floor(id / answers) === letter);

function sentence({ names, layers, off, right }) {
  const on = layers - off.length;
  const told = names.map((name, index) => `${percent(mean(right[index]), 0)} with ${name}`);
  const list = told.length > 1 ? `${told.slice(0, -1).join(", ")} and ${told.at(-1)}` : told[0];
  return `${on} of ${layers} layers ${on === 1 ? "is" : "are"} on. Of all letters at all distances the models find ${list}.`;
}

// A switch for each layer; arrow keys move among them. The last one that is on stays on.
function switches(model, layers) {
  const flip = (layer) => {
    const off = model.get("off");
    const others = off.filter((one) => one !== layer);
    const next = others.length < off.length ? others : [...off, layer].sort((a, b) => a - b);
    if (next.length < layers) store(model, "off", next);
  };
  const nodes = Array.from({ length: layers }, (_, layer) =>
    element(
      "button",
      { type: "button", class: "layers-switch", "aria-label": `layer ${layer + 1}`, onclick: () => flip(layer) },
      String(layer + 1),
    ),
  );
  nodes.forEach((node, layer) => onKeys(node, MOVES, (step) => nodes[layer + step]?.focus()));
  const show = (off) => nodes.forEach((node, layer) => node.setAttribute("aria-pressed", String(!off.includes(layer))));
  const label = { class: "layers-row", role: "group", "aria-label": "Layers, switched on or off" };
  return { node: element("div", label, ...nodes), show };
}

function controls(model, layers) {
  const half = Math.ceil(layers / 2);
  const keep = (on) => () => store(model, "off", allBut(layers, on));
  const numbers = allBut(layers, []);
  const fewer = () => {
    const off = model.get("off");
    const left = allBut(layers, off);
    if (left.length < 2) return;
    const gone = left[Math.floor(Math.random() * left.length)];
    store(model, "off", [...off, gone].sort((a, b) => a - b));
  };
  return toolbar(
    button("Every other", keep(everyOther(layers, half))),
    button(`First ${half}`, keep(numbers.slice(0, half))),
    button(`Last ${half}`, keep(numbers.slice(-half))),
    button("− one by chance", fewer),
    button("All on", keep(numbers)),
  );
}

// For each model a panel with a bar for every distance.
function panels(names, questions) {
  const lines = names.map(() => Array.from({ length: questions }, () => element("div", { class: "layers-line" })));
  const nodes = names.map((name, index) =>
    element("div", { class: "layers-panel" }, element("p", { class: "layers-name" }, name), ...lines[index]),
  );
  const show = (right) => right.forEach((row, index) => row.forEach((share, hop) => {
    lines[index][hop].replaceChildren(
      element("span", {}, `${hop + 1} step${hop ? "s" : ""}`),
      element("span", { class: "layers-bar", "aria-hidden": "true" }, element("span", { style: `width: ${100 * share}%` })),
      element("span", { class: "layers-percent", "data-value": share }, percent(share, 0)),
    );
  }));
  return { node: element("div", { class: "layers-panels" }, ...nodes), show };
}

// Where a letter stands on the circle.
function place(letter, answers, radius = 0.38 * SIZE) {
  const angle = (2 * Math.PI * letter) / answers - Math.PI / 2;
  return [SIZE / 2 + radius * Math.cos(angle), SIZE / 2 + radius * Math.sin(angle)];
}

// An arrow from one letter to another that ends before their circles; step: its number on the way.
function arrow(from, to, answers, step) {
  const [[x1, y1], [x2, y2]] = [place(from, answers), place(to, answers)];
  const length = Math.hypot(x2 - x1, y2 - y1);
  const [ux, uy] = [(x2 - x1) / length, (y2 - y1) / length];
  const [sx, sy, ex, ey] = [x1 + 14 * ux, y1 + 14 * uy, x2 - 15 * ux, y2 - 15 * uy];
  const wing = (side) => `${ex - 8 * ux + 4 * side * uy} ${ey - 8 * uy - 4 * side * ux}`;
  const kind = step ? "layers-arrow layers-way" : "layers-arrow";
  const line = shape("path", { class: kind, d: `M${sx} ${sy}L${ex} ${ey}M${wing(1)}L${ex} ${ey}L${wing(-1)}` });
  if (!step) return [line];
  const [mx, my] = [sx + 0.3 * (ex - sx), sy + 0.3 * (ey - sy)];
  return [
    line,
    shape("circle", { class: "layers-step", cx: mx, cy: my, r: 8 }),
    text(mx, my + 4, String(step), { anchor: "middle", class: "layers-step-number" }),
  ];
}

// The ring with the letters in alphabetical order, and the way from the chosen one.
function ring({ ids, targets }, start, answers) {
  const way = [start, ...targets[rowOf({ ids }, start, answers)]];
  const arrows = ids.map((id) => [Math.floor(id / answers), id % answers]);
  const ordered = arrows.map(([from, to]) => [from, to, way.indexOf(from) < 0 || way.indexOf(from) > way.length - 2 ? 0 : way.indexOf(from) + 1]);
  ordered.sort((a, b) => a[2] - b[2]);
  const letters = Array.from({ length: answers }, (_, letter) => {
    const [x, y] = place(letter, answers);
    const kind = letter === start ? "layers-letter layers-start" : "layers-letter";
    return [shape("circle", { class: kind, cx: x, cy: y, r: 12 }), text(x, y + 5, LETTERS[letter], { anchor: "middle", class: kind })];
  });
  return [...ordered.flatMap(([from, to, step]) => arrow(from, to, answers, step)), ...letters.flat()];
}

// A table: the letters at each distance, and what each model says they are.
function rows(names, said, truth, start) {
  const head = element("tr", {}, element("th", { scope: "col" }, `after ${LETTERS[start]}`),
    ...truth.map((_, hop) => element("th", { scope: "col" }, String(hop + 1))));
  const right = element("tr", {}, element("th", { scope: "row" }, "the ring"), ...truth.map((letter) => element("td", {}, LETTERS[letter])));
  const models = names.map((name, index) =>
    element("tr", {}, element("th", { scope: "row" }, name), ...said[index].map((letter, hop) => {
      const good = letter === truth[hop];
      return element("td", { class: good ? "layers-good" : "layers-bad" }, `${LETTERS[letter]}${good ? "" : " ✗"}`);
    })),
  );
  return [element("thead", {}, head), element("tbody", {}, right, ...models)];
}

function render({ model, el }) {
  const sizes = model.get("shape");
  const { layers, questions, answers, parameters } = sizes;
  const [names, examples] = [model.get("names"), model.get("examples")];
  const weights = model.get("weights").map((packed) => unpack(packed, parameters));
  const memories = names.map(() => examples.map(() => new Map()));
  const [row, bars, finding] = [switches(model, layers), panels(names, questions), readout()];
  const [picture, table, told] = [svg(SIZE, SIZE, { class: "layers-ring", "aria-hidden": "true" }), element("table", { class: "layers-table" }), element("p", { class: "layers-words" })];
  let found = [];
  const tell = () => {
    const [example, start] = [model.get("example"), model.get("start")];
    const at = rowOf(examples[example], start, answers);
    picture.replaceChildren(...ring(examples[example], start, answers));
    table.replaceChildren(...rows(names, found.map((one) => one[example][at]), examples[example].targets[at], start));
    told.textContent = examples[example].ids.map((id) => `${LETTERS[Math.floor(id / answers)]}>${LETTERS[id % answers]}`).join(" ");
  };
  const draw = () => {
    const off = model.get("off");
    row.show(off);
    found = weights.map((one, index) => examples.map(({ ids }, number) =>
      forward(one, sizes, ids, off, memories[index][number]).map((token) => token.map(best)),
    ));
    const right = found.map((one) => rightByHop(one, examples));
    bars.show(right);
    finding.textContent = sentence({ names, layers, off, right });
    tell();
  };
  const title = (words) => element("p", { class: "layers-title" }, words);
  const start = segmented(model, "start", { label: "Count from", options: Array.from({ length: answers }, (_, letter) => [letter, LETTERS[letter]]) });
  const next = button("Next ring", () => store(model, "example", (model.get("example") + 1) % examples.length));
  el.append(
    element(
      "div",
      { class: "layers" },
      ...guide(model),
      title("Layers, the first one left: press one to switch it off or on in all models"),
      row.node,
      controls(model, layers),
      finding,
      title(`Letters found in ${examples.length} rings, by the number of steps`),
      bars.node,
      title("One ring. The models read its arrows in this order:"),
      told,
      toolbar(start, next),
      element("div", { class: "layers-one" }, picture, table),
    ),
  );
  const stops = [follow(model, "off", draw), follow(model, "example start", tell)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
