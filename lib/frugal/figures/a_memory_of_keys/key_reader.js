// A query in two halves that the reader turns, the scores of the half-keys, and the pairs that are
// looked at and read.
import { element, guide, onDrag, onKeys, readout, segmented, shape, slider, store, toolbar } from "../../show/controls.js";
import { follow, percent, svg, text } from "../../show/drawing.js";
import { bestPairs, candidates, ranked, scores } from "./key_formulas.js";

const DIAL = 168;
const MIDDLE = DIAL / 2;
const REACH = 62; // of a key of length 1
const [LEFT, TOP, SIDE] = [72, 62, 272]; // of the square of pairs
const HALVES = ["first", "second"];
const TURNS = { ArrowLeft: 3, ArrowUp: 3, ArrowRight: -3, ArrowDown: -3, PageUp: 30, PageDown: -30 };

const turned = (angle) => ((Math.round(angle) % 360) + 360) % 360;
const unit = (angle) => [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
const at = ([x, y], length) => [MIDDLE + length * x, MIDDLE + 8 - length * y];
const one = (value) => value.toFixed(1).replace(/^-(0\.0)$/, "$1");
const named = ([i, j]) => `(${i + 1}, ${j + 1})`;

// Everything that is drawn, from the state.
export function reading(model) {
  const k = model.get("k");
  const both = HALVES.map((half, side) => {
    const query = unit(model.get(half)).map((value) => value * model.get("length"));
    return scores(query, model.get("half_keys")[side]);
  });
  const ranks = both.map(ranked);
  const best = bestPairs(...both, k);
  const looked = candidates(k).map(([i, j]) => [ranks[0][i], ranks[1][j]]);
  const n = both[0].length;
  const found = { k, n, both, ranks, best, looked };
  const order = model.get("sorted") ? ranks : ranks.map((rank) => rank.map((_, place) => place));
  return { ...found, order, sentence: sentence(found) };
}

function sentence({ k, n, looked, best }) {
  const largest = `${named(best[0].pair)} has ${percent(best[0].weight, 0)} of the weight`;
  const reads = k === 1 ? `1 value is read: ${largest}` : `${k} values are read: ${largest}`;
  return `${2 * n} scores; of the ${n * n} pairs ${looked.length} are added up, and ${reads}.`;
}

// Half of the query, as an arrow that is turned by the arrow keys or dragged, among its half-keys.
function dial(model, side) {
  const half = HALVES[side];
  const keys = model.get("half_keys")[side];
  const picture = svg(DIAL, DIAL + 8, { class: "keys-dial", role: null });
  const dots = keys.map((key) => shape("circle", { class: "keys-dot", r: 10, ...centre(key) }));
  const numbers = keys.map((key, i) => {
    const [x, y] = at(key, REACH);
    return text(x, y + 4, i + 1, { anchor: "middle", class: "keys-number" });
  });
  const line = shape("path", { class: "keys-arrow" });
  const tip = shape("circle", { class: "keys-tip", r: 9 });
  const states = { role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 359 };
  const label = `The ${half} half of the query`;
  const node = shape("g", { class: "keys-query", "aria-label": label, ...states }, line, tip);
  turnable(model, half, picture, node);
  const words = text(MIDDLE, 12, `${half} half`, { anchor: "middle" });
  picture.append(shape("g", { "aria-hidden": "true" }, words, ...dots, ...numbers), node);
  const show = ({ best }) => {
    const angle = model.get(half);
    const [x, y] = at(unit(angle), REACH + 6);
    line.setAttribute("d", `M${MIDDLE} ${MIDDLE + 8}L${x} ${y}`);
    tip.setAttribute("cx", x);
    tip.setAttribute("cy", y);
    node.setAttribute("aria-valuenow", angle);
    node.setAttribute("aria-valuetext", `${angle} degrees`);
    const read = new Set(best.map(({ pair }) => pair[side]));
    dots.forEach((dot, i) => dot.classList.toggle("keys-read", read.has(i)));
    numbers.forEach((number, i) => number.classList.toggle("keys-read", read.has(i)));
  };
  return { picture, show };
}

function centre(key) {
  const [cx, cy] = at(key, REACH);
  return { cx, cy };
}

function turnable(model, half, picture, node) {
  onKeys(node, TURNS, (turn) => store(model, half, turned(model.get(half) + turn)));
  onDrag(node, (event) => {
    const box = picture.getBoundingClientRect();
    const x = event.clientX - box.left - box.width / 2;
    const y = box.top + (box.height * (MIDDLE + 8)) / (DIAL + 8) - event.clientY;
    store(model, half, turned((Math.atan2(y, x) * 180) / Math.PI));
  });
}

// The square of all pairs: a row for each first half-key, a column for each second one.
function cellNodes({ n, order, best, looked }) {
  const size = SIDE / n;
  const weights = new Map(best.map(({ pair, weight }) => [named(pair), weight]));
  const seen = new Set(looked.map(named));
  return order[0].flatMap((i, row) =>
    order[1].flatMap((j, column) => {
      const name = named([i, j]);
      const weight = weights.get(name);
      const kind = weight !== undefined ? "read" : seen.has(name) ? "looked" : "skipped";
      const [x, y] = [LEFT + column * size, TOP + row * size];
      const square = shape("rect", {
        class: "keys-cell",
        "data-kind": kind,
        "data-pair": name,
        "data-weight": weight,
        x: x + 1,
        y: y + 1,
        width: size - 2,
        height: size - 2,
        style: kind === "read" ? `fill-opacity: ${Math.max(0.08, weight)}` : null,
      });
      const said = { read: () => percent(weight, 0), looked: () => "·", skipped: () => "" }[kind]();
      const tone = weight > 0.55 ? "keys-weight keys-on" : "keys-weight";
      const words = text(x + size / 2, y + size / 2 + 4, said, { anchor: "middle", class: tone });
      return said ? [square, words] : [square];
    }),
  );
}

function headers({ n, order, both }) {
  const size = SIDE / n;
  const rows = order[0].flatMap((i, row) => {
    const y = TOP + (row + 0.5) * size + 4;
    return [text(30, y, i + 1, { anchor: "middle", class: "keys-name" }), text(LEFT - 6, y, one(both[0][i]), { anchor: "end" })];
  });
  const columns = order[1].flatMap((j, column) => {
    const x = LEFT + (column + 0.5) * size;
    return [text(x, 34, j + 1, { anchor: "middle", class: "keys-name" }), text(x, TOP - 8, one(both[1][j]), { anchor: "middle" })];
  });
  return [...rows, ...columns];
}

function pairsView() {
  const picture = svg(LEFT + SIDE + 4, TOP + SIDE + 4, {
    class: "keys-pairs",
    "aria-label": "All pairs of half-keys: those that are skipped, added up, and read",
  });
  const axes = [
    text(LEFT + SIDE / 2, 14, "second half-key and its score", { anchor: "middle" }),
    text(0, 0, "first half-key and its score", {
      anchor: "middle",
      transform: `translate(14 ${TOP + SIDE / 2}) rotate(-90)`,
    }),
  ];
  const show = (found) => picture.replaceChildren(...axes, ...headers(found), ...cellNodes(found));
  return { picture, show };
}

function legend() {
  const entry = (kind, words) =>
    element("span", {}, element("i", { class: "keys-swatch", "data-kind": kind }), words);
  return element(
    "p",
    { class: "keys-legend" },
    entry("read", "read, with its weight"),
    entry("looked", "added up, not read"),
    entry("skipped", "never looked at"),
  );
}

function render({ model, el }) {
  const dials = HALVES.map((_, side) => dial(model, side));
  const pairs = pairsView();
  const said = readout();
  const controls = toolbar(
    slider(model, "k", { label: "Values read k", min: 1, max: model.get("half_keys")[0].length }),
    segmented(model, "sorted", {
      label: "Half-keys in order of",
      options: [
        [true, "score"],
        [false, "number"],
      ],
    }),
  );
  const halves = element("div", { class: "keys-dials" }, ...dials.map(({ picture }) => picture));
  const views = element("div", { class: "keys-views" }, halves, pairs.picture);
  el.append(element("div", { class: "keys-figure" }, ...guide(model), controls, views, legend(), said));
  return follow(model, "first second k sorted", () => {
    const found = reading(model);
    for (const view of [...dials, pairs]) view.show(found);
    said.textContent = found.sentence;
  });
}

export default { render };
