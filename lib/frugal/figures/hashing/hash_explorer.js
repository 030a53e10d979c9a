// Vectors on a circle that the reader drags: their buckets, the sorted order of each round, and how
// many of the true neighbours the rounds find.
import { button, element, onDrag, onKeys, readout, shape, slider, steps, store, toolbar } from "../../show/controls.js";
import { follow, percent, read, svg, text } from "../../show/drawing.js";
import { bucketOf, lanes, nearest, recall, sorted, unit, visible } from "./lsh_formulas.js";

const SIZE = 300;
const CENTER = SIZE / 2;
const RING = 138;
const RADIUS = 12.5; // of a vector's disc: a finger hits it
const LANES = [114, 88, 62, 36]; // where discs stand; one that would lie on another moves inwards
const LETTERS = "ABCDEFGH";
const TURNS = { ArrowLeft: 3, ArrowUp: 3, ArrowRight: -3, ArrowDown: -3, PageUp: 30, PageDown: -30 };
const LEGEND =
  "Only the direction of a vector counts. A numbered row is a round. Grey: the chunks that the chosen vector reads. Framed: its nearest others.";

const turned = (angle) => ((Math.round(angle) % 360) + 360) % 360;
const at = (angle, radius) => {
  const [x, y] = unit(angle);
  return [CENTER + radius * x, CENTER - radius * y];
};

// The directions of a round, counted from 0, that are in use.
function directions(model, round) {
  return model.get("draws")[model.get("draw")][round].slice(0, model.get("n_buckets") / 2);
}

// What the rounds find: buckets by round, who sees whom, and the chosen vector's nearest.
function hashed(model) {
  const angles = model.get("angles");
  const rounds = model.get("rounds");
  const query = model.get("query");
  const buckets = Array.from({ length: rounds }, (_, round) =>
    angles.map((angle) => bucketOf(unit(angle), directions(model, round))),
  );
  const chunk = model.get("bucket_size");
  const wanted = nearest(angles, query, model.get("neighbours"));
  return {
    angles,
    query,
    buckets,
    shown: Math.min(model.get("round"), rounds) - 1,
    chunk,
    wanted,
    seen: visible(buckets, chunk),
    finds: buckets.map((of) => {
      const seen = visible([of], chunk)[query];
      return wanted.filter((j) => seen[j]).length;
    }),
    lanes: lanes(angles, LANES, 2 * RADIUS),
  };
}

const listed = (items) =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;

function sentence({ angles, query, seen, wanted }) {
  const n = angles.length;
  const lost = wanted.filter((j) => !seen[query][j]).sort((a, b) => a - b);
  const reads = seen[query].filter(Boolean).length;
  const compared = seen.flat().filter(Boolean).length / (n * (n - 1));
  const end = lost.length ? `${listed(lost)} ${lost.length > 1 ? "are" : "is"} lost` : "none is lost";
  return (
    `Vector ${query} sees ${reads} of ${n - 1} others. Of its ${wanted.length} nearest ${end}. ` +
    `Over all vectors ${percent(recall(angles, seen, wanted.length), 0)} of the nearest ` +
    `are found, where ${percent(compared, 0)} of all pairs are compared.`
  );
}

// A vector is a slider: the arrow keys turn it, and it can be dragged. The Tab key reaches the chosen
// one only; "Vector" among the controls chooses.
function pointNode(model, circle, i) {
  const states = { role: "slider", tabindex: -1, "aria-valuemin": 0, "aria-valuemax": 359 };
  const disk = shape("circle", { r: RADIUS });
  const node = shape("g", { class: "hash-point", ...states }, disk, text(0, 4.5, i, { anchor: "middle" }));
  const turnTo = (angle) => {
    const angles = [...model.get("angles")];
    angles[i] = turned(angle);
    store(model, "angles", angles);
  };
  onKeys(node, TURNS, (turn) => turnTo(model.get("angles")[i] + turn));
  node.addEventListener("focus", () => store(model, "query", i));
  onDrag(node, (event) => {
    const box = circle.getBoundingClientRect();
    const x = event.clientX - box.left - box.width / 2;
    const y = box.top + box.height / 2 - event.clientY;
    turnTo((Math.atan2(y, x) * 180) / Math.PI);
  });
  return node;
}

// The ring: which angle falls into which bucket, in the round that is looked at.
function sectorNodes(of) {
  const starts = [];
  for (let angle = 0; angle < 360; angle += 1) {
    if (of(angle) !== of(angle - 1)) starts.push(angle);
  }
  return starts.flatMap((start, index) => {
    const next = starts[(index + 1) % starts.length];
    const end = next > start ? next : next + 360;
    const bucket = of(start);
    const [x1, y1] = at(start - 0.5, RING);
    const [x2, y2] = at(end - 0.5, RING);
    const large = end - start > 180 ? 1 : 0;
    const path = `M${x1} ${y1}A${RING} ${RING} 0 ${large} 0 ${x2} ${y2}`;
    const [x, y] = at((start + end - 1) / 2, RING);
    return [
      shape("path", { d: path, class: "hash-sector", "data-bucket": bucket }),
      shape("circle", { cx: x, cy: y, r: 9, class: "hash-letter-ground" }),
      text(x, y + 4, LETTERS[bucket], { class: "hash-letter", anchor: "middle" }),
    ];
  });
}

// From the chosen vector to one of its nearest, bent towards the middle, where it can be seen.
function linkNode([x1, y1], [x2, y2], found) {
  const inwards = (a, b) => CENTER + 0.3 * ((a + b) / 2 - CENTER);
  const d = `M${x1} ${y1}Q${inwards(x1, x2)} ${inwards(y1, y2)} ${x2} ${y2}`;
  return shape("path", { d, class: found ? "hash-link" : "hash-link hash-missed" });
}

function circleView(model) {
  const picture = svg(SIZE, SIZE, { class: "hash-circle", role: null });
  const sectors = shape("g", { "aria-hidden": "true" });
  const links = shape("g", { "aria-hidden": "true" });
  const points = model.get("angles").map((_, i) => pointNode(model, picture, i));
  picture.append(sectors, links, ...points);

  function show({ angles, query, buckets, shown, seen, wanted, lanes: radii }) {
    const columns = directions(model, shown);
    sectors.replaceChildren(...sectorNodes((angle) => bucketOf(unit(angle), columns)));
    const places = angles.map((angle, i) => at(angle, radii[i]));
    links.replaceChildren(
      ...wanted.map((j) => linkNode(places[query], places[j], seen[query][j])),
    );
    points.forEach((node, i) => {
      const [x, y] = places[i];
      const bucket = buckets[shown][i];
      node.setAttribute("transform", `translate(${x} ${y})`);
      node.setAttribute("data-bucket", bucket);
      node.setAttribute("tabindex", i === query ? 0 : -1);
      node.setAttribute("aria-valuenow", angles[i]);
      node.setAttribute("aria-label", `Vector ${i}`);
      node.setAttribute("aria-valuetext", `${angles[i]} degrees, bucket ${LETTERS[bucket]}`);
      node.classList.toggle("hash-query", i === query);
      node.classList.toggle("hash-seen", seen[query][i]);
    });
  }
  return { picture, show };
}

const line = (kind, ...parts) => element("div", { class: `hash-line ${kind}` }, ...parts);
const word = (kind, words) => element("span", { class: kind }, words);

// A round: its vectors sorted by bucket, in chunks, and how many of the nearest it finds.
function orderNode(of, round, { query, chunk, wanted, shown, finds }) {
  const order = sorted(of);
  const own = Math.floor(order.indexOf(query) / chunk);
  const cells = order.map((token, place) => {
    const home = Math.floor(place / chunk);
    const kinds = ["hash-cell"];
    if (home === own || home === own - 1) kinds.push("hash-window");
    if (token === query) kinds.push("hash-query");
    if (wanted.includes(token)) kinds.push("hash-wanted");
    if (place % chunk === chunk - 1) kinds.push("hash-chunk-end");
    return element("span", { class: kinds.join(" "), "data-bucket": of[token] }, String(token));
  });
  return line(
    round === shown ? "hash-order hash-shown" : "hash-order",
    word("hash-round", String(round + 1)),
    element("span", { class: "hash-cells" }, ...cells),
    word("hash-finds", `${finds[round]} of ${wanted.length}`),
  );
}

// All rounds that there can be have their place, so that nothing below moves.
function rowsOf(found, most) {
  const heads = ["", "sorted by bucket, cut into chunks", "finds"];
  const names = ["hash-round", "hash-title", "hash-finds"];
  const idle = Array.from({ length: most - found.buckets.length }, (_, index) =>
    line("hash-idle", word("hash-round", String(found.buckets.length + index + 1)), word("hash-empty", "")),
  );
  return [
    line("hash-head", ...heads.map((head, index) => word(names[index], head))),
    ...found.buckets.map((of, round) => orderNode(of, round, found)),
    ...idle,
  ];
}

function guide(model, most) {
  const start = { ...read(model, "angles query n_buckets draw"), round: 1 };
  const { query } = start;
  return steps(
    model,
    `Vector ${query} looks for its ${model.get("neighbours")} nearest others. How many rounds does it take?`,
    [
      ["Two rounds: read both rows", { ...start, rounds: 2 }],
      ["Now one: who is lost across a border?", { ...start, rounds: 1 }],
      [`Now ${most}: what do they cost?`, { ...start, rounds: most }],
    ],
  );
}

function controls(model, most) {
  const draws = model.get("draws");
  const last = model.get("angles").length - 1;
  return toolbar(
    slider(model, "query", { label: "Vector", min: 0, max: last }),
    slider(model, "rounds", { label: "Rounds", min: 1, max: most }),
    slider(model, "n_buckets", { label: "Buckets", min: 2, max: 8, step: 2 }),
    slider(model, "round", { label: "Ring shows", min: 1, max: most, format: (round) => `round ${round}` }),
    button("New directions", () => store(model, "draw", (model.get("draw") + 1) % draws.length)),
  );
}

function render({ model, el }) {
  const most = model.get("draws")[0].length;
  const circle = circleView(model);
  const orders = element("div", { class: "hash-orders" });
  const said = readout();
  const legend = element("p", { class: "hash-legend" }, LEGEND);
  const key = element(
    "p",
    { class: "hash-legend" },
    word("hash-key", ""),
    " seen",
    word("hash-key hash-key-missed", ""),
    " lost",
  );
  const side = element("div", { class: "hash-side" }, orders, key, legend);
  const views = element("div", { class: "hash-views" }, circle.picture, side);
  const stopKeeping = follow(model, "rounds round", () => {
    if (model.get("round") > model.get("rounds")) store(model, "round", model.get("rounds"));
  });
  const stop = follow(model, "angles rounds round query n_buckets draw", () => {
    const found = hashed(model);
    circle.show(found);
    orders.replaceChildren(...rowsOf(found, most));
    said.textContent = sentence(found);
  });
  el.append(
    element("div", { class: "hash-figure" }, guide(model, most), said, views, controls(model, most)),
  );
  return () => {
    stop();
    stopKeeping();
  };
}

export default { render };
