// Vectors on a circle that the reader drags: their buckets, the sorted order of each round, and how
// many of the true neighbours the rounds find.
import { button, element, onDrag, onKeys, readout, shape, slider, store, toolbar } from "../../show/controls.js";
import { follow, percent, svg, text } from "../../show/drawing.js";
import { bucketOf, nearest, recall, sorted, unit, visible } from "./lsh_formulas.js";

const SIZE = 300;
const CENTER = SIZE / 2;
const RING = 132;
const PLACE = 104;
const LETTERS = "ABCDEFGH";
const TURNS = { ArrowLeft: 3, ArrowUp: 3, ArrowRight: -3, ArrowDown: -3, PageUp: 30, PageDown: -30 };
const LEGEND =
  "Each row is a round: the vectors sorted by bucket, cut into chunks. Filled: what the chosen " +
  "vector sees. Framed: its nearest others. On the circle a solid line leads to a neighbour " +
  "that is found, a dashed one to one that is missed.";

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
  return {
    angles,
    query,
    buckets,
    shown: Math.min(model.get("round"), rounds) - 1,
    chunk: model.get("bucket_size"),
    seen: visible(buckets, model.get("bucket_size")),
    wanted: nearest(angles, query, model.get("neighbours")),
  };
}

function sentence({ angles, query, seen, wanted }) {
  const n = angles.length;
  const found = wanted.filter((j) => seen[query][j]).length;
  const read = seen[query].filter(Boolean).length;
  const compared = seen.flat().filter(Boolean).length / (n * (n - 1));
  return (
    `Vector ${query} sees ${read} of ${n - 1} others, among them ${found} of its ${wanted.length} ` +
    `nearest. Over all vectors ${percent(recall(angles, seen, wanted.length), 0)} of the nearest ` +
    `are found, where ${percent(compared, 0)} of all pairs are compared.`
  );
}

// A vector is a slider: the arrow keys turn it, and it can be dragged.
function pointNode(model, circle, i, radius) {
  const states = { role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 359 };
  const disk = shape("circle", { r: radius });
  const node = shape("g", { class: "hash-point", ...states }, disk, text(0, 3.5, i, { anchor: "middle" }));
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
      shape("circle", { cx: x, cy: y, r: 8, class: "hash-letter-ground" }),
      text(x, y + 4, LETTERS[bucket], { class: "hash-letter", anchor: "middle" }),
    ];
  });
}

function circleView(model, radius) {
  const picture = svg(SIZE, SIZE, { class: "hash-circle", role: null });
  const sectors = shape("g", { "aria-hidden": "true" });
  const links = shape("g", { "aria-hidden": "true" });
  const points = model.get("angles").map((_, i) => pointNode(model, picture, i, radius));
  picture.append(sectors, links, ...points);

  function show({ angles, query, buckets, shown, seen, wanted }) {
    const columns = directions(model, shown);
    sectors.replaceChildren(...sectorNodes((angle) => bucketOf(unit(angle), columns)));
    links.replaceChildren(
      ...wanted.map((j) => {
        const [[x1, y1], [x2, y2]] = [at(angles[query], PLACE), at(angles[j], PLACE)];
        const kind = seen[query][j] ? "hash-link" : "hash-link hash-missed";
        return shape("line", { x1, y1, x2, y2, class: kind });
      }),
    );
    points.forEach((node, i) => {
      const [x, y] = at(angles[i], PLACE);
      const bucket = buckets[shown][i];
      node.setAttribute("transform", `translate(${x} ${y})`);
      node.setAttribute("data-bucket", bucket);
      node.setAttribute("aria-valuenow", angles[i]);
      node.setAttribute("aria-label", `Vector ${i}`);
      node.setAttribute("aria-valuetext", `${angles[i]} degrees, bucket ${LETTERS[bucket]}`);
      node.classList.toggle("hash-query", i === query);
      node.classList.toggle("hash-seen", seen[query][i]);
    });
  }
  return { picture, show };
}

// A round: its vectors sorted by bucket, in chunks.
function orderNode(of, round, { query, chunk, wanted, shown }) {
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
  return element(
    "div",
    { class: round === shown ? "hash-order hash-shown" : "hash-order" },
    element("span", { class: "hash-round" }, `round ${round + 1}`),
    element("span", { class: "hash-cells" }, ...cells),
  );
}

function controls(model) {
  const draws = model.get("draws");
  const most = draws[0].length;
  return toolbar(
    slider(model, "n_buckets", { label: "Buckets", min: 2, max: 8, step: 2 }),
    slider(model, "rounds", { label: "Rounds", min: 1, max: most }),
    slider(model, "round", {
      label: "Ring shows",
      min: 1,
      max: most,
      format: (round) => `round ${round}`,
    }),
    button("New directions", () => store(model, "draw", (model.get("draw") + 1) % draws.length)),
  );
}

function render({ model, el }) {
  const narrow = Boolean(el.clientWidth) && el.clientWidth < 520;
  const circle = circleView(model, narrow ? 12 : 10);
  const orders = element("div", { class: "hash-orders" });
  const said = readout();
  const legend = element("p", { class: "hash-legend" }, LEGEND);
  const side = element("div", { class: "hash-side" }, orders, legend);
  const views = element("div", { class: "hash-views" }, circle.picture, side);
  const stopKeeping = follow(model, "rounds round", () => {
    if (model.get("round") > model.get("rounds")) store(model, "round", model.get("rounds"));
  });
  const stop = follow(model, "angles rounds round query n_buckets draw", () => {
    const found = hashed(model);
    circle.show(found);
    orders.replaceChildren(...found.buckets.map((of, round) => orderNode(of, round, found)));
    said.textContent = sentence(found);
  });
  el.append(element("div", { class: "hash-figure" }, controls(model), views, said));
  return () => {
    stop();
    stopKeeping();
  };
}

export default { render };
