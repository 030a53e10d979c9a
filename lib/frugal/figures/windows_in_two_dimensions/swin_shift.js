// Windows that shift: a picture in patches, five steps from cutting to merging. Choose a patch and
// see which others it reads. The patches glide to their places unless motion is unwanted.
import { button, element, readout, segmented, store, toolbar } from "../../show/controls.js";
import { merged, places, relations, rolled } from "./swin_windows.js";

const STEPS = [
  ["cut", "1 Cut"],
  ["shift", "2 Shift"],
  ["mask", "3 Mask"],
  ["back", "4 Back"],
  ["merge", "5 Merge"],
];
const MOVES = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};
let serial = 0;

function render({ model, el }) {
  const { rows, columns, window, shift } = model.get("grid");
  const layout = { rows, columns, window, shift };
  const all = places(layout);
  const name = `swin-${++serial}`;
  const root = element("div", { class: "swin" });
  const board = element("div", {
    class: "swin-board",
    role: "listbox",
    tabindex: 0,
    "aria-label": "Patches of the picture",
    style: `--rows:${rows};--columns:${columns}`,
  });
  const patches = all.map(([row, column], index) =>
    element("div", {
      class: "swin-patch",
      role: "option",
      id: `${name}-${index}`,
      "aria-label": `row ${row + 1}, column ${column + 1}`,
      style:
        `background-image:url(${model.get("picture")});` +
        `background-size:${columns * 100}% ${rows * 100}%;` +
        `background-position:${(column * 100) / (columns - 1)}% ${(row * 100) / (rows - 1)}%`,
    }),
  );
  const lines = element("div", { class: "swin-lines", "aria-hidden": "true" });
  const said = readout();
  board.append(...patches, lines);

  const step = () => model.get("step");
  const onRolled = () => step() === "shift" || step() === "mask";
  const place = (spot) => (onRolled() ? rolled(spot, layout) : spot);

  function related(query) {
    if (step() === "merge") return merged(query, layout);
    if (step() === "cut") return relations(query, { ...layout, shift: 0 });
    return relations(query, layout);
  }

  // Lines at the borders of windows, as shares of the board.
  function drawLines() {
    const size = step() === "merge" ? 2 : window;
    const first = step() === "back" ? shift : 0;
    const rule = (count, side) =>
      Array.from({ length: count + 1 }, (_, index) => index)
        .filter((at) => (at - first) % size === 0 || at === 0 || at === count)
        .map((at) => element("i", { class: `swin-${side}`, style: `--at:${at / count}` }));
    lines.replaceChildren(...rule(rows, "row"), ...rule(columns, "column"));
  }

  function sentence(query, found) {
    const count = (kind) => found.filter((one) => one === kind).length;
    const who = `The patch in row ${query[0] + 1}, column ${query[1] + 1}`;
    const far = count("masked");
    return {
      cut: `${who} attends to the ${count("seen")} patches of its window, and to nothing else.`,
      shift:
        `The picture is rolled up and left by ${shift}, so the same windows cut it elsewhere. ` +
        (far
          ? `${who} now shares a window with ${far} patches from the opposite edge (red).`
          : `${who} now shares a window with patches that were across a border.`),
      mask: far
        ? `A mask hides the ${far} patches from the opposite edge: ${count("seen")} are left.`
        : `Nothing in this window came around the edge: all ${count("seen")} patches are seen.`,
      back:
        `Rolled back, the windows lie across the old borders. ${who} ` +
        `attends to ${count("seen")} patches.`,
      merge: `${who} is joined with three neighbours to one token of twice the width.`,
    }[step()];
  }

  function draw() {
    const query = model.get("query");
    const found = related(query);
    const chosen = query[0] * columns + query[1];
    root.dataset.step = step();
    patches.forEach((patch, index) => {
      const [row, column] = place(all[index]);
      patch.style.setProperty("--row", row);
      patch.style.setProperty("--column", column);
      patch.dataset.relation = found[index];
      patch.setAttribute("aria-selected", String(index === chosen));
    });
    board.setAttribute("aria-activedescendant", `${name}-${chosen}`);
    said.textContent = sentence(query, found);
    drawLines();
  }

  // Arrow keys move over the board as it is seen, not as the picture was.
  board.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    const [row, column] = place(model.get("query"));
    const target = [
      Math.min(rows - 1, Math.max(0, row + move[0])),
      Math.min(columns - 1, Math.max(0, column + move[1])),
    ];
    const next = all.find((spot) => String(place(spot)) === String(target));
    store(model, "query", next);
  });
  board.addEventListener("click", (event) => {
    const index = patches.indexOf(event.target.closest(".swin-patch"));
    if (index >= 0) store(model, "query", all[index]);
  });

  const next = button("Next step", () => {
    const index = STEPS.findIndex(([value]) => value === step());
    store(model, "step", STEPS[(index + 1) % STEPS.length][0]);
  });
  root.append(
    toolbar(segmented(model, "step", { label: "Step", options: STEPS }), next),
    board,
    said,
  );
  el.append(root);
  model.on("change:step change:query", draw);
  draw();
  return () => model.off("change:step change:query", draw);
}

export default { render };
