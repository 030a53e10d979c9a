// Vectors on a circle that the reader drags: their buckets, the sorted order of each round, and how
// many of the true neighbours the rounds find.
import { button, element, readout, shape, slider, store, toolbar } from "../../show/controls.js";
import { bucketOf, nearest, recall, sorted, unit, visible } from "./lsh_formulas.js";

const SIZE = 300;
const CENTER = SIZE / 2;
const RING = 132;
const PLACE = 104;
const LETTERS = "ABCDEFGH";

const turned = (angle) => ((Math.round(angle) % 360) + 360) % 360;
const percent = (share) => `${Math.round(100 * share)} %`;
const at = (angle, radius) => {
  const [x, y] = unit(angle);
  return [CENTER + radius * x, CENTER - radius * y];
};

function text(x, y, words, attributes = {}) {
  return shape("text", { x, y, "text-anchor": "middle", ...attributes }, words);
}

function render({ model, el }) {
  const narrow = Boolean(el.clientWidth) && el.clientWidth < 520;
  const n = model.get("angles").length;
  const chunk = model.get("bucket_size");
  const count = model.get("neighbours");
  const circle = shape("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "hash-circle" });
  const sectors = shape("g", { "aria-hidden": "true" });
  const links = shape("g", { "aria-hidden": "true" });
  const orders = element("div", { class: "hash-orders" });
  const said = readout();

  const directions = (round) =>
    model.get("draws")[model.get("draw")][round].slice(0, model.get("n_buckets") / 2);
  const hashed = (angles, rounds) =>
    Array.from({ length: rounds }, (_, r) => angles.map((a) => bucketOf(unit(a), directions(r))));

  // A vector is a slider: the arrow keys turn it, and it can be dragged.
  const points = model.get("angles").map((_, i) => {
    const node = shape(
      "g",
      { class: "hash-point", role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": 359 },
      shape("circle", { r: narrow ? 12 : 10 }),
      text(0, 3.5, String(i)),
    );
    const turnTo = (angle) => {
      const angles = [...model.get("angles")];
      angles[i] = turned(angle);
      store(model, "angles", angles);
    };
    node.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: 3, ArrowUp: 3, ArrowRight: -3, ArrowDown: -3, PageUp: 30, PageDown: -30 };
      if (!(event.key in steps)) return;
      event.preventDefault();
      turnTo(model.get("angles")[i] + steps[event.key]);
    });
    node.addEventListener("focus", () => store(model, "query", i));
    node.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      node.focus();
      node.setPointerCapture(event.pointerId);
    });
    node.addEventListener("pointermove", (event) => {
      if (!node.hasPointerCapture(event.pointerId)) return;
      const box = circle.getBoundingClientRect();
      const x = event.clientX - box.left - box.width / 2;
      const y = box.top + box.height / 2 - event.clientY;
      turnTo((Math.atan2(y, x) * 180) / Math.PI);
    });
    return node;
  });

  // The ring: which angle falls into which bucket, in the round that is looked at.
  function drawSectors() {
    const of = (angle) => bucketOf(unit(angle), directions(model.get("round") - 1));
    const starts = [];
    for (let angle = 0; angle < 360; angle += 1) {
      if (of(angle) !== of(angle - 1)) starts.push(angle);
    }
    sectors.replaceChildren(
      ...starts.flatMap((start, index) => {
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
          text(x, y + 4, LETTERS[bucket], { class: "hash-letter" }),
        ];
      }),
    );
  }

  function draw() {
    const angles = model.get("angles");
    const rounds = model.get("rounds");
    const query = model.get("query");
    const shown = Math.min(model.get("round"), rounds);
    const buckets = hashed(angles, rounds);
    const seen = visible(buckets, chunk);
    const wanted = nearest(angles, query, count);
    drawSectors();
    links.replaceChildren(
      ...wanted.map((j) => {
        const [[x1, y1], [x2, y2]] = [at(angles[query], PLACE), at(angles[j], PLACE)];
        const kind = seen[query][j] ? "hash-link" : "hash-link hash-missed";
        return shape("line", { x1, y1, x2, y2, class: kind });
      }),
    );
    points.forEach((node, i) => {
      const [x, y] = at(angles[i], PLACE);
      const bucket = buckets[shown - 1][i];
      node.setAttribute("transform", `translate(${x} ${y})`);
      node.setAttribute("data-bucket", bucket);
      node.setAttribute("aria-valuenow", angles[i]);
      node.setAttribute("aria-label", `Vector ${i}`);
      node.setAttribute("aria-valuetext", `${angles[i]} degrees, bucket ${LETTERS[bucket]}`);
      node.classList.toggle("hash-query", i === query);
      node.classList.toggle("hash-seen", seen[query][i]);
    });
    orders.replaceChildren(
      ...buckets.map((of, round) => {
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
        const name = element("span", { class: "hash-round" }, `round ${round + 1}`);
        const row = element("div", { class: round === shown - 1 ? "hash-order hash-shown" : "hash-order" });
        row.append(name, element("span", { class: "hash-cells" }, ...cells));
        return row;
      }),
    );
    const found = wanted.filter((j) => seen[query][j]).length;
    const read = seen[query].filter(Boolean).length;
    said.textContent =
      `Vector ${query} sees ${read} of ${n - 1} others, among them ${found} of its ${count} nearest. ` +
      `Over all vectors ${percent(recall(angles, seen, count))} of the nearest are found, ` +
      `where ${percent(seen.flat().filter(Boolean).length / (n * (n - 1)))} of all pairs are compared.`;
  }

  const names = "change:angles change:rounds change:round change:query change:n_buckets change:draw";
  const keep = () => {
    if (model.get("round") > model.get("rounds")) store(model, "round", model.get("rounds"));
  };
  model.on("change:rounds", keep);
  model.on(names, draw);
  const controls = toolbar(
    slider(model, "n_buckets", { label: "Buckets", min: 2, max: 8, step: 2 }),
    slider(model, "rounds", { label: "Rounds", min: 1, max: model.get("draws")[0].length }),
    slider(model, "round", {
      label: "Ring shows",
      min: 1,
      max: model.get("draws")[0].length,
      format: (round) => `round ${round}`,
    }),
    button("New directions", () =>
      store(model, "draw", (model.get("draw") + 1) % model.get("draws").length),
    ),
  );
  circle.append(sectors, links, ...points);
  const legend = element(
    "p",
    { class: "hash-legend" },
    "Each row is a round: the vectors sorted by bucket, cut into chunks. Filled: what the chosen " +
      "vector sees. Framed: its nearest others. On the circle a solid line leads to a neighbour " +
      "that is found, a dashed one to one that is missed.",
  );
  const side = element("div", { class: "hash-side" }, orders, legend);
  el.append(element("div", { class: "hash-figure" }, controls, element("div", { class: "hash-views" }, circle, side), said));
  keep();
  draw();
  return () => {
    model.off(names, draw);
    model.off("change:rounds", keep);
  };
}

export default { render };
