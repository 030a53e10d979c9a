// Windows that shift: a picture in patches, five stages from cutting to merging. Choose a patch and
// see which others it reads. The patches glide to their places unless motion is unwanted.
import { button, element, guide, onKeys, readout, segmented, store, toolbar, uniqueId } from "../../show/controls.js";
import { clamp, follow } from "../../show/drawing.js";
import { heardOf, merged, places, relations, rolled } from "./swin_windows.js";

const STEPS = [
  ["cut", "Cut"],
  ["shift", "Shift"],
  ["mask", "Mask"],
  ["back", "Back"],
  ["merge", "Merge"],
];
const MOVES = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

// Where a patch is seen at a step: the picture is rolled in two of them.
const placeAt = (step, spot, layout) =>
  step === "shift" || step === "mask" ? rolled(spot, layout) : spot;

function related(step, query, layout) {
  if (step === "merge") return merged(query, layout);
  return relations(query, step === "cut" ? { ...layout, shift: 0 } : layout);
}

// Lines at the borders of windows, as shares of the board; once they have moved, the old ones too.
function lineNodes(step, { rows, columns, window, shift }) {
  const size = step === "merge" ? 2 : window;
  const first = step === "back" ? shift : 0;
  const inside = (at, count) => at > 0 && at < count;
  const rule = (count, side) =>
    Array.from({ length: count + 1 }, (_, index) => index).flatMap((at) => {
      const now = (at - first) % size === 0 || !inside(at, count);
      if (!now && at % size) return [];
      const name = now ? `swin-${side}` : `swin-${side} swin-old`;
      return [element("i", { class: name, style: `--at:${at / count}` })];
    });
  return [...rule(rows, "row"), ...rule(columns, "column")];
}

export function sentence(step, query, found, layout) {
  const { shift } = layout;
  const all = found.length;
  const count = (kind) => found.filter((one) => one === kind).length;
  const who = `The patch in row ${query[0] + 1}, column ${query[1] + 1}`;
  const far = count("masked");
  const heard =
    `After a layer of plain windows and this one it can have heard of ` +
    `${heardOf(query, layout)} of the ${all} patches.`;
  return {
    cut:
      `${who} attends to the ${count("seen")} patches of its window (blue), and to nothing else. While the windows ` +
      `stay, it hears of these ${count("seen")} of ${all} alone, in any number of layers.`,
    shift:
      `The picture is rolled up and left by ${shift}, so the same windows cut it elsewhere. ` +
      (far
        ? `${who} now shares a window with ${far} patches from the opposite edge (red).`
        : `${who} now shares a window with patches that were across a border.`),
    mask: far
      ? `A mask hides the ${far} patches from the opposite edge: ${count("seen")} are left. ${heard}`
      : `Nothing in this window came around the edge: all ${count("seen")} patches are seen. ${heard}`,
    back:
      `Rolled back, the windows lie across the old borders (dashed). ${who} ` +
      `attends to ${count("seen")} patches (blue). ${heard}`,
    merge: `${who} is joined with three neighbours to one token of twice the width.`,
  }[step];
}

// The part of the picture at a row and column, which stays with its patch when that moves.
function patchNode(id, picture, [row, column], { rows, columns }) {
  return element("div", {
    class: "swin-patch",
    role: "option",
    id,
    "aria-label": `row ${row + 1}, column ${column + 1}`,
    style:
      `background-image:url(${picture});` +
      `background-size:${columns * 100}% ${rows * 100}%;` +
      `background-position:${(column * 100) / (columns - 1)}% ${(row * 100) / (rows - 1)}%`,
  });
}

function boardView(model, layout) {
  const { rows, columns } = layout;
  const all = places(layout);
  const name = uniqueId("patch");
  const patches = all.map((spot, index) =>
    patchNode(`${name}-${index}`, model.get("picture"), spot, layout),
  );
  const lines = element("div", { class: "swin-lines", "aria-hidden": "true" });
  const style = `--rows:${rows};--columns:${columns}`;
  const states = { role: "listbox", tabindex: 0, "aria-label": "Patches of the picture", style };
  const board = element("div", { class: "swin-board", ...states }, ...patches, lines);
  const show = (step, query, found) => {
    const chosen = query[0] * columns + query[1];
    patches.forEach((patch, index) => {
      const [row, column] = placeAt(step, all[index], layout);
      patch.style.setProperty("--row", row);
      patch.style.setProperty("--column", column);
      patch.dataset.relation = found[index];
      patch.setAttribute("aria-selected", String(index === chosen));
    });
    board.setAttribute("aria-activedescendant", `${name}-${chosen}`);
    lines.replaceChildren(...lineNodes(step, layout));
  };
  // Arrow keys move over the board as it is seen, not as the picture was.
  onKeys(board, MOVES, ([down, right]) => {
    const place = (spot) => placeAt(model.get("step"), spot, layout);
    const [row, column] = place(model.get("query"));
    const target = [clamp(row + down, 0, rows - 1), clamp(column + right, 0, columns - 1)];
    store(model, "query", all.find((spot) => String(place(spot)) === String(target)));
  });
  board.addEventListener("click", (event) => {
    const index = patches.indexOf(event.target.closest(".swin-patch"));
    if (index >= 0) store(model, "query", all[index]);
  });
  return { board, show };
}

function render({ model, el }) {
  const layout = model.get("grid");
  const { board, show } = boardView(model, layout);
  const said = readout();
  const next = button("Next stage", () => {
    const index = STEPS.findIndex(([value]) => value === model.get("step"));
    store(model, "step", STEPS[(index + 1) % STEPS.length][0]);
  });
  const stages = toolbar(segmented(model, "step", { label: "Stage", options: STEPS }), next);
  const root = element("div", { class: "swin" }, ...guide(model), stages, board, said);
  el.append(root);
  return follow(model, "step query", () => {
    const [step, query] = [model.get("step"), model.get("query")];
    const found = related(step, query, layout);
    root.dataset.step = step;
    show(step, query, found);
    said.textContent = sentence(step, query, found, layout);
  });
}

export default { render };
