// Query blocks fetch blocks, twice: with the rows of the scores divided by their sums, and with rows
// and columns in turn. Threads, matrix and sums; iterations, temperature and noise move them.
import { button, checkbox, element, readout, shape, slider, steps, store, toolbar } from "../../show/controls.js";
import { follow, percent, sum, svg, text, widthOf } from "../../show/drawing.js";
import { columnSums, rowSums, sinkhorn } from "./sinkhorn_formulas.js";

const [LEFT, SIDE, RIGHT] = [58, 240, 40];
const FROM = 22; // where threads begin
// to: where threads end. row: of the matrix. bar: the longest one of a column's sum. A narrow page has
// lower pictures, of letters that are as large.
const LAYOUTS = { wide: { to: 100, row: 26, bar: 40 }, narrow: { to: 70, row: 21, bar: 24 } };

const two = (value) => value.toFixed(2);
const highest = (row) => row.indexOf(Math.max(...row));

// A matrix with its sums and the block that each row takes most of.
function taken(matrix) {
  return { matrix, rows: rowSums(matrix), columns: columnSums(matrix), best: matrix.map(highest) };
}

// Both matrices for the state, and in words what the columns' division changes.
export function balanced(model) {
  const pull = model.get("pull");
  const scores = model.get("scores").map(([first, ...rest]) => [first + pull, ...rest]);
  const nothing = scores.map((row) => row.map(() => 0));
  const noise = model.get("noise") ? model.get("noises")[model.get("draw")] : nothing;
  const after = (count) => taken(sinkhorn(scores, noise, model.get("temperature"), count));
  const count = model.get("steps");
  const found = { alone: after(Math.min(1, count)), both: after(count) };
  const most = Math.max(1.6, ...found.alone.columns, ...found.both.columns);
  return { ...found, most, words: sentence(found, count) };
}

function range(sums) {
  const [low, high] = [two(Math.min(...sums)), two(Math.max(...sums))];
  return low === high ? low : `${low} to ${high}`;
}

function sentence({ alone, both }, count) {
  const n = both.best.length;
  if (count === 0) return "Nothing is divided yet: these are the exponentials of the scores, on one scale.";
  const choices = ({ best }) => {
    const chosen = new Set(best).size;
    return `${chosen} of ${n} blocks ${chosen > 1 ? "are first choices" : "is a first choice"}`;
  };
  const crowd = highest(alone.columns);
  const near = both.best.filter((j, i) => Math.abs(i - j) <= 1).length;
  const differ = both.best.filter((j, i) => j !== alone.best[i]).length;
  const share = sum(both.matrix.map((row, i) => row[both.best[i]] / both.rows[i])) / n;
  const times = count % 2 ? `${(count + 1) / 2} and ${(count - 1) / 2} times` : `${count / 2} times each`;
  return (
    `Rows only: block ${crowd + 1} is fetched ${two(alone.columns[crowd])} times; ${choices(alone)}. ` +
    `Rows and columns, ${times}: blocks are fetched ${range(both.columns)} times; ${choices(both)}. ` +
    `A first choice holds ${percent(share, 0)} of its row on average. ` +
    `Balance changes ${differ || "no"} choice${differ === 1 ? "" : "s"}; ` +
    `a window of one block to either side reaches ${near} of its ${n}.`
  );
}

// Where the matrix begins, and the sums below it.
function placesOf({ to, row }, n) {
  return { top: to + 26, bottom: to + 26 + n * row + 8 };
}

// One picture: who fetches whom, the shares, the sums. `cell` is the width of a column.
function drawnOf({ matrix, rows, columns, best }, most, layout) {
  const n = matrix.length;
  const cell = SIDE / n;
  const { to, row: high, bar } = layout;
  const { top, bottom } = placesOf(layout, n);
  const x = (j) => LEFT + (j + 0.5) * cell;
  const y = (i) => top + (i + 0.5) * high;
  const tall = (sum) => (bar * sum) / most;
  const center = { anchor: "middle" };
  const numbers = matrix.map((_, index) => index);
  return [
    text(0, 14, "reads"),
    ...numbers.map((i) => text(x(i), 14, i + 1, center)),
    ...matrix.flatMap((row, i) => threads(row, i, best[i], rows[i], x, to)),
    text(0, to + 16, "fetched"),
    ...numbers.map((j) => text(x(j), to + 16, j + 1, center)),
    text(LEFT + SIDE + 6, to + 16, "sum"),
    ...numbers.map((i) => text(LEFT - 12, y(i) + 4, i + 1, center)),
    ...matrix.flatMap((row, i) => row.flatMap((value, j) => cellNodes(value, x(j), y(i), [cell, high], j === best[i]))),
    ...rows.map((sum, i) => text(LEFT + SIDE + 6, y(i) + 4, two(sum), { class: "balance-sum balance-row-sum" })),
    ...columns.map((sum, j) =>
      shape("rect", { class: "balance-bar", x: x(j) - 0.35 * cell, y: bottom, width: 0.7 * cell, height: tall(sum) }),
    ),
    shape("path", { class: "balance-one", d: `M${LEFT} ${bottom + tall(1)}H${LEFT + SIDE}` }),
    text(0, bottom + bar + 15, "times"),
    text(LEFT + SIDE + 6, bottom + tall(1) + 4, "once"),
    ...columns.map((sum, j) => text(x(j), bottom + bar + 15, two(sum), { ...center, class: "balance-sum balance-column-sum" })),
  ];
}

// From a query block to the blocks it fetches, as thick as their shares of the row.
function threads(row, i, best, sum, x, to) {
  const bend = (FROM + to) / 2;
  return row
    .map((value, j) => [value / sum, j])
    .filter(([share]) => share > 0.04)
    .sort(([a], [b]) => a - b)
    .map(([share, j]) =>
      shape("path", {
        class: j === best ? "balance-thread balance-first" : "balance-thread",
        d: `M${x(i)} ${FROM}C${x(i)} ${bend} ${x(j)} ${bend} ${x(j)} ${to}`,
        "stroke-width": 9 * share,
      }),
    );
}

function cellNodes(value, x, y, [cell, high], first) {
  return [
    shape("rect", {
      class: first ? "balance-cell balance-best" : "balance-cell",
      "data-value": value,
      x: x - cell / 2 + 1,
      y: y - high / 2 + 1,
      width: cell - 2,
      height: high - 2,
      style: `fill-opacity: ${Math.min(1, value) / 2}`, // the number on it can be read at every share
    }),
    text(x, y + 4, value < 0.005 ? "" : two(value), { anchor: "middle", class: "balance-number" }),
  ];
}

function panel(title, kind, n, layout) {
  const size = [LEFT + SIDE + RIGHT, placesOf(layout, n).bottom + layout.bar + 20];
  const picture = svg(...size, { class: "balance-chart" });
  const node = element("div", { class: `balance-panel balance-${kind}` }, element("p", {}, title), picture);
  const show = (found, most) => {
    picture.replaceChildren(...drawnOf(found, most, layout));
    const fetched = found.best.map((j, i) => `${i + 1} takes ${j + 1}`).join(", ");
    picture.setAttribute("aria-label", `${title}. Most of its share each block fetches: ${fetched}.`);
  };
  return { node, show };
}

function controls(model) {
  const one = (value) => value.toFixed(1);
  return toolbar(
    slider(model, "pull", { label: "All want block 1 by", min: 0, max: 3, step: 0.5, format: one }),
    slider(model, "temperature", { label: "Temperature τ", min: 0.1, max: 3, step: 0.1, format: one }),
    slider(model, "steps", { label: "Iterations", min: 0, max: 24, format: (count) => one(count / 2) }),
    checkbox(model, "noise", { label: "Gumbel noise" }),
    button("Draw noise again", () => {
      model.set("noise", true);
      store(model, "draw", (model.get("draw") + 1) % model.get("noises").length);
    }),
  );
}

function guide(model) {
  const list = model.get("tries").map(({ words, state }) => [words, { ...state, noise: false }]);
  return steps(model, model.get("question"), list);
}

function render({ model, el }) {
  const n = model.get("scores").length;
  const layout = widthOf(el, LAYOUTS.narrow, LAYOUTS.wide);
  const alone = panel("Rows only, the control", "alone", n, layout);
  const both = panel("Rows and columns in turn", "both", n, layout);
  const said = readout();
  const views = element("div", { class: "balance-views" }, alone.node, both.node);
  el.append(element("div", { class: "balance-figure" }, guide(model), said, controls(model), views));
  return follow(model, "pull temperature steps noise draw", () => {
    const found = balanced(model);
    alone.show(found.alone, found.most);
    both.show(found.both, found.most);
    said.textContent = found.words;
  });
}

export default { render };
