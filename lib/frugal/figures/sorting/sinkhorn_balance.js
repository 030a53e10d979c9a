// A square of scores on its way to a soft permutation: iterations, temperature and noise move it.
import { button, element, readout, segmented, shape, slider, store, toolbar } from "../../show/controls.js";
import { follow, mean, percent, svg, text } from "../../show/drawing.js";
import { columnSums, rowSums, sinkhorn } from "./sinkhorn_formulas.js";

const LEFT = 54;
const TOP = 40;
const CELL = 38;
const GAP = [16, 14]; // from the square to the sums of its rows, and of its columns
const BAR = [96, 56]; // the longest bar of a row, and of a column
const MOST = 1.6; // the sum at which a bar has that length

const two = (value) => value.toFixed(2);
const middle = (index) => (index + 0.5) * CELL;

// The matrix for the state, its sums, and in words how far it is.
export function balanced(model) {
  const scores = model.get("scores");
  const nothing = scores.map((row) => row.map(() => 0));
  const noise = model.get("noise") ? model.get("noises")[model.get("draw")] : nothing;
  const matrix = sinkhorn(scores, noise, model.get("temperature"), model.get("steps"));
  const found = { matrix, rows: rowSums(matrix), columns: columnSums(matrix) };
  return { ...found, sentence: sentence(found, model.get("steps")) };
}

function sentence({ matrix, rows, columns }, steps) {
  const range = (sums) => {
    const [low, high] = [two(Math.min(...sums)), two(Math.max(...sums))];
    return low === high ? low : `${low} to ${high}`;
  };
  const best = matrix.map((row) => row.indexOf(Math.max(...row)));
  const share = mean(matrix.map((row, i) => row[best[i]] / rows[i]));
  return (
    `After ${steps / 2} iterations rows sum to ${range(rows)} and columns to ${range(columns)}. ` +
    `The largest entry holds ${percent(share, 0)} of its row on average, and ` +
    `${new Set(best).size} of ${matrix.length} blocks are some row's first choice.`
  );
}

function cells(row, i) {
  const y = TOP + i * CELL;
  const square = (value, j) =>
    shape("rect", {
      class: "balance-cell",
      "data-value": value,
      x: LEFT + j * CELL + 1,
      y: y + 1,
      width: CELL - 2,
      height: CELL - 2,
      style: `fill-opacity: ${Math.min(1, value)}`,
    });
  const number = (value, j) =>
    text(LEFT + middle(j), TOP + middle(i) + 4, value < 0.005 ? "" : two(value), {
      anchor: "middle",
      class: value > 0.55 ? "balance-number balance-on" : "balance-number",
    });
  return [...row.map(square), ...row.map(number)];
}

// The sums of the rows, on the right, and of the columns, below: bars, numbers, and where 1 would be.
function sums(rows, columns, side) {
  const [right, bottom] = [LEFT + side + GAP[0], TOP + side + GAP[1]];
  const [width, height] = BAR.map((most) => (sum) => (most / MOST) * Math.min(MOST, sum));
  const bar = (x, y, across, down) =>
    shape("rect", { class: "balance-bar", x, y, width: across, height: down });
  return [
    ...rows.flatMap((sum, i) => [
      bar(right, TOP + i * CELL + 8, width(sum), CELL - 16),
      text(right + 4, TOP + middle(i) + 4, two(sum), { class: "balance-sum balance-row-sum" }),
    ]),
    ...columns.flatMap((sum, j) => [
      bar(LEFT + j * CELL + 8, bottom, CELL - 16, height(sum)),
      text(LEFT + middle(j), bottom + 14, two(sum), {
        anchor: "middle",
        class: "balance-sum balance-column-sum",
      }),
    ]),
    shape("path", { class: "balance-one", d: `M${right + width(1)} ${TOP}V${TOP + side}` }),
    shape("path", { class: "balance-one", d: `M${LEFT} ${bottom + height(1)}H${LEFT + side}` }),
    text(right + BAR[0] / 2, 32, "row sums", { anchor: "middle" }),
    text(right + BAR[0] / 2, bottom + 30, "column sums", { anchor: "middle" }),
  ];
}

function stage(n) {
  const side = n * CELL;
  const numbers = Array.from({ length: n }, (_, index) => index + 1);
  const picture = svg(LEFT + side + GAP[0] + BAR[0] + 8, TOP + side + GAP[1] + BAR[1] + 8, {
    class: "balance-chart",
    "aria-label": "A matrix of shares, the sums of its rows on the right and of its columns below",
  });
  const axes = [
    text(LEFT + side / 2, 14, "fetched from block", { anchor: "middle" }),
    ...numbers.map((number, j) => text(LEFT + middle(j), 32, number, { anchor: "middle" })),
    ...numbers.map((number, i) =>
      text(LEFT - 14, TOP + middle(i) + 4, number, { anchor: "middle" }),
    ),
    text(0, 0, "for query block", {
      anchor: "middle",
      transform: `translate(14 ${TOP + side / 2}) rotate(-90)`,
    }),
  ];
  const said = readout();
  const show = ({ matrix, rows, columns, sentence: words }) => {
    picture.replaceChildren(...axes, ...matrix.flatMap(cells), ...sums(rows, columns, side));
    said.textContent = words;
  };
  return { picture, said, show };
}

function controls(model) {
  return toolbar(
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
}

function render({ model, el }) {
  const { picture, said, show } = stage(model.get("scores").length);
  el.append(element("div", { class: "balance-figure" }, controls(model), picture, said));
  return follow(model, "temperature steps noise draw", () => show(balanced(model)));
}

export default { render };
