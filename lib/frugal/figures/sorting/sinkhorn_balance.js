// A square of scores on its way to a soft permutation: iterations, temperature and noise move it.
import { button, element, readout, segmented, shape, slider, store, toolbar } from "../../show/controls.js";
import { columnSums, rowSums, sinkhorn } from "./sinkhorn_formulas.js";

const LEFT = 54;
const TOP = 40;
const CELL = 38;

function text(x, y, words, attributes = {}) {
  return shape("text", { x, y, "text-anchor": "middle", class: "balance-label", ...attributes }, words);
}

const two = (value) => value.toFixed(2);
const range = (sums) => {
  const low = two(Math.min(...sums));
  const high = two(Math.max(...sums));
  return low === high ? low : `${low} to ${high}`;
};

function render({ model, el }) {
  const scores = model.get("scores");
  const n = scores.length;
  const side = n * CELL;
  const bars = 96;
  const picture = shape("svg", {
    viewBox: `0 0 ${LEFT + side + 16 + bars + 8} ${TOP + side + 14 + 64}`,
    class: "balance-chart",
    role: "img",
    "aria-label": "A matrix of shares, the sums of its rows on the right and of its columns below",
  });
  const said = readout();
  const nothing = scores.map((row) => row.map(() => 0));

  function draw() {
    const temperature = model.get("temperature");
    const steps = model.get("steps");
    const noise = model.get("noise") ? model.get("noises")[model.get("draw")] : nothing;
    const matrix = sinkhorn(scores, noise, temperature, steps);
    const rows = rowSums(matrix);
    const columns = columnSums(matrix);
    const width = (sum) => (bars / 1.6) * Math.min(1.6, sum);
    const height = (sum) => (56 / 1.6) * Math.min(1.6, sum);
    const right = LEFT + side + 16;
    const bottom = TOP + side + 14;
    picture.replaceChildren(
      text(LEFT + side / 2, 14, "fetched from block"),
      ...matrix.map((_, j) => text(LEFT + (j + 0.5) * CELL, 32, String(j + 1))),
      ...matrix.flatMap((row, i) => [
        text(LEFT - 14, TOP + (i + 0.5) * CELL + 4, String(i + 1)),
        ...row.map((value, j) =>
          shape("rect", {
            class: "balance-cell",
            "data-value": value,
            x: LEFT + j * CELL + 1,
            y: TOP + i * CELL + 1,
            width: CELL - 2,
            height: CELL - 2,
            style: `fill-opacity: ${Math.min(1, value)}`,
          }),
        ),
        ...row.map((value, j) =>
          text(LEFT + (j + 0.5) * CELL, TOP + (i + 0.5) * CELL + 4, value < 0.005 ? "" : two(value), {
            class: value > 0.55 ? "balance-number balance-on" : "balance-number",
          }),
        ),
        shape("rect", {
          class: "balance-bar",
          x: right,
          y: TOP + i * CELL + 8,
          width: width(rows[i]),
          height: CELL - 16,
        }),
        text(right + 4, TOP + (i + 0.5) * CELL + 4, two(rows[i]), {
          class: "balance-sum balance-row-sum",
          "text-anchor": "start",
        }),
      ]),
      ...columns.flatMap((sum, j) => [
        shape("rect", {
          class: "balance-bar",
          x: LEFT + j * CELL + 8,
          y: bottom,
          width: CELL - 16,
          height: height(sum),
        }),
        text(LEFT + (j + 0.5) * CELL, bottom + 14, two(sum), { class: "balance-sum balance-column-sum" }),
      ]),
      shape("path", { class: "balance-one", d: `M${right + width(1)} ${TOP}V${TOP + side}` }),
      shape("path", { class: "balance-one", d: `M${LEFT} ${bottom + height(1)}H${LEFT + side}` }),
      text(right + bars / 2, 32, "row sums"),
      shape(
        "text",
        {
          class: "balance-label",
          transform: `translate(14 ${TOP + side / 2}) rotate(-90)`,
          "text-anchor": "middle",
        },
        "for query block",
      ),
      text(right + bars / 2, bottom + 30, "column sums"),
    );
    const best = matrix.map((row) => row.indexOf(Math.max(...row)));
    const share = matrix.reduce((sum, row, i) => sum + row[best[i]] / rows[i], 0) / n;
    const fetched = new Set(best).size;
    said.textContent =
      `After ${steps / 2} iterations rows sum to ${range(rows)} and columns to ${range(columns)}. ` +
      `The largest entry holds ${Math.round(100 * share)} % of its row on average, and ` +
      `${fetched} of ${n} blocks are some row's first choice.`;
  }

  const names = "change:temperature change:steps change:noise change:draw";
  model.on(names, draw);
  draw();
  const controls = toolbar(
    slider(model, "steps", {
      label: "Iterations",
      min: 0,
      max: 24,
      format: (steps) => (steps % 2 ? `${steps / 2}: rows just divided` : String(steps / 2)),
    }),
    slider(model, "temperature", {
      label: "Temperature τ",
      min: 0.1,
      max: 3,
      step: 0.1,
      format: (value) => value.toFixed(1),
    }),
    segmented(model, "noise", {
      label: "Gumbel noise",
      options: [
        [false, "none"],
        [true, "added"],
      ],
    }),
    button("Draw noise again", () => {
      model.set("noise", true);
      store(model, "draw", (model.get("draw") + 1) % model.get("noises").length);
    }),
  );
  el.append(element("div", { class: "balance-figure" }, controls, picture, said));
  return () => model.off(names, draw);
}

export default { render };
