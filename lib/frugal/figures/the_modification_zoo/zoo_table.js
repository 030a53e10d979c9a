// The table of modifications: a point per row, the paper's gain across and ours upwards, and the table
// itself below. A threshold says which rows would be adopted.
import { checkbox, element, guide, readout, segmented, select, shape, slider, store, toolbar } from "../../show/controls.js";
import { clamp, follow, read, svg, text, widthOf } from "../../show/drawing.js";
import { compared, reach } from "./zoo_formulas.js";

const STATE = "measure family form sort threshold sure chosen";
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 12, 12, 38];
const HEIGHTS = { 380: 280, 640: 340 }; // of the drawing, by its width
const MOST_NAMES = 9;
const MOST_LETTERS = 60; // of names in the sentence
const SAID = { both: "both", paper: "paper", ours: "here", neither: "–" };
const KEY = [
  ["both", "in both"],
  ["paper", "in the paper alone"],
  ["ours", "here alone"],
  ["neither", "in neither"],
];
const SORTS = [
  ["paper", "gain in the paper"],
  ["ours", "gain here"],
  ["apart", "ranks furthest apart"],
  ["order", "the paper's order"],
];

const signed = (value, decimals = 1) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(decimals)}`;
const titled = (model) => Object.fromEntries(model.get("measures"))[model.get("measure")];

// Everything that is drawn, from the state.
export function zoo(model) {
  const asked = read(model, STATE);
  const found = compared(model.get("rows"), asked);
  return { ...asked, ...found, reach: reach(model.get("rows"), asked.measure), title: titled(model) };
}

// Those that both would adopt, while their names are short enough.
function adopted(rows) {
  const names = rows.filter(({ kind }) => kind === "both").map(({ name }) => name);
  const words = names.join(", ");
  return words && words.length <= MOST_LETTERS ? ` (${words})` : "";
}

function sentence({ rows, both, paper, ours, threshold, sure, family, correlation, inside }) {
  const here = sure ? "here with the whole interval" : "here";
  const counted =
    `Of ${rows.length} rows ${paper} gain ${threshold} % or more in the paper, ${ours} ${here}, ` +
    `${both} in both${adopted(rows)}. `;
  const ranked =
    correlation === null
      ? "There are too few rows for a rank correlation."
      : `The rank correlation of these rows is ${signed(correlation, 2)}` +
        (family === "all" && inside !== null ? `, and inside the families ${signed(inside, 2)}.` : ".");
  return counted + ranked;
}

function about(found) {
  const row = found.rows.find(({ name }) => name === found.chosen);
  if (!row) return "Choose a row of the table, or a point, to read about it.";
  const seeds = `${row.seeds} seed${row.seeds === 1 ? "" : "s"}`;
  const spread = row.low === undefined ? seeds : `${signed(row.low)} to ${signed(row.high)}, ${seeds}`;
  const note = row.note && found.form === "published" ? ` As published: ${row.note}.` : "";
  return (
    `${row.name}: ${signed(row.paper)} % in the paper, rank ${row.rankPaper}; ` +
    `${signed(row.ours)} % here (${spread}), rank ${row.rankOurs} of ${found.rows.length}.${note}`
  );
}

function scales({ low, high }, [width, height]) {
  const onto = (from, to) => (gain) => from + ((clamp(gain, low, high) - low) / (high - low)) * (to - from);
  return { x: onto(LEFT, width - RIGHT), y: onto(height - BOTTOM, TOP) };
}

const MARKS = {
  both: "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
  paper: "M-4.5 -4.5h9v9h-9z",
  ours: "M0 -5.5l5.5 9.5h-11z",
  neither: "M-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0z",
};

function points(found, { x, y }, choose) {
  return found.rows.flatMap((row) => {
    const at = `translate(${x(row.paper)} ${y(row.ours)})`;
    const chosen = row.name === found.chosen ? " zoo-chosen" : "";
    const bar =
      row.low === undefined
        ? []
        : [shape("path", { class: `zoo-bar${chosen}`, d: `M${x(row.paper)} ${y(row.low)}V${y(row.high)}` })];
    const mark = shape(
      "path",
      { class: `zoo-mark zoo-${row.kind}${chosen}`, d: MARKS[row.kind], transform: at, "data-name": row.name, onclick: () => choose(row.name) },
      shape("title", {}, row.name),
    );
    return [...bar, mark];
  });
}

// Names beside what would be adopted here, and beside the chosen row, while they are few.
export function labelled({ rows, chosen }) {
  const named = rows.filter(({ name, kind }) => name === chosen || kind === "both" || kind === "ours");
  return named.length > MOST_NAMES ? named.filter(({ name }) => name === chosen) : named;
}

function names(found, { x, y }) {
  return labelled(found).map((row) =>
    text(x(row.paper) + (x(row.paper) > 140 ? -9 : 9), y(row.ours) - 6, row.name, {
      anchor: x(row.paper) > 140 ? "end" : "start",
      class: "zoo-label",
    }),
  );
}

function grid(found, { x, y }, [width, height]) {
  const { low, high } = found.reach;
  const step = [1, 2, 5, 10, 20, 50, 100].find((size) => (high - low) / size <= 8) ?? 200;
  const ticks = Array.from({ length: 17 }, (_, at) => (at - 8) * step).filter((tick) => tick > low && tick < high);
  const base = height - BOTTOM;
  const line = (name, d) => shape("path", { class: name, d });
  return [
    shape("rect", {
      class: "zoo-adopted",
      x: x(found.threshold),
      y: TOP,
      width: Math.max(width - RIGHT - x(found.threshold), 0),
      height: Math.max(y(found.threshold) - TOP, 0),
    }),
    line("zoo-zero", `M${x(0)} ${TOP}V${base}M${LEFT} ${y(0)}H${width - RIGHT}`),
    line("zoo-threshold", `M${x(found.threshold)} ${TOP}V${base}M${LEFT} ${y(found.threshold)}H${width - RIGHT}`),
    ...ticks.map((tick) => text(x(tick), base + 15, `${tick}`, { anchor: "middle" })),
    ...ticks.map((tick) => text(LEFT - 6, y(tick) + 4, `${tick}`, { anchor: "end" })),
    text((LEFT + width - RIGHT) / 2, height - 4, "gain in the paper, %", { anchor: "middle" }),
    shape(
      "g",
      { transform: `translate(12 ${(TOP + base) / 2}) rotate(-90)` },
      text(0, 0, "gain here, %", { anchor: "middle" }),
    ),
  ];
}

const COLUMNS = ["modification", "paper, %", "here, %", "95 %", "adopted"];

function line(row, found, choose) {
  const chosen = row.name === found.chosen;
  const name = element(
    "button",
    { type: "button", class: "zoo-name", "aria-pressed": String(chosen), "data-name": row.name, onclick: () => choose(row.name) },
    row.name,
  );
  const spread = row.low === undefined ? "one seed" : `${signed(row.low)} … ${signed(row.high)}`;
  const note = row.note && found.form === "published" ? element("abbr", { title: row.note }, " *") : "";
  return element(
    "tr",
    { class: chosen ? "zoo-row zoo-row-chosen" : "zoo-row", "data-kind": row.kind },
    element("th", { scope: "row" }, name, note),
    ...[signed(row.paper), signed(row.ours), spread, SAID[row.kind]].map((words) => element("td", {}, words)),
  );
}

// The rows are made anew, and the one that had the focus has it again.
function fillIn(body, found, choose) {
  const held = body.contains(document.activeElement) ? document.activeElement.dataset.name : null;
  body.replaceChildren(...found.rows.map((row) => line(row, found, choose)));
  const buttons = [...body.querySelectorAll("button")];
  const again = buttons.find((button) => button.dataset.name === held);
  const named = again ?? buttons.find((button) => button.dataset.name === found.chosen);
  globalThis.frugalStops?.(buttons, named ?? buttons[0]); // on the site: one stop, and arrow keys
  again?.focus({ preventScroll: true });
}

function controls(model) {
  const families = model.get("families").map((name) => [name, name === "all" ? "all rows" : name]);
  return [
    toolbar(
      select(model, "measure", { label: "Measure", options: model.get("measures") }),
      select(model, "family", { label: "Family", options: families }),
      select(model, "sort", { label: "Sorted by", options: SORTS }),
    ),
    toolbar(
      slider(model, "threshold", { label: "Adopt from a gain of", min: 0, max: 10, step: 0.25, format: (gain) => `${gain} %` }),
      checkbox(model, "sure", { label: "here with the whole interval" }),
      segmented(model, "form", { label: "Ours as", options: ["published", "repaired"] }),
    ),
  ];
}

function render({ model, el }) {
  const width = widthOf(el);
  const size = [width, HEIGHTS[width]];
  const picture = svg(...size, { class: "zoo-points", "aria-label": "A point per modification: gain in the paper across, gain here upwards" });
  const said = readout();
  const told = element("p", { class: "zoo-about" });
  const body = element("tbody");
  const head = element("thead", {}, element("tr", {}, ...COLUMNS.map((name) => element("th", { scope: "col" }, name))));
  const key = KEY.map(([kind, words]) => {
    const mark = shape("path", { class: `zoo-mark zoo-${kind}`, d: MARKS[kind], transform: "translate(8 8)" });
    return element("span", {}, shape("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, mark), words);
  });
  const choose = (name) => store(model, "chosen", model.get("chosen") === name ? "" : name);
  el.append(
    element(
      "div",
      { class: "zoo" },
      ...guide(model),
      ...controls(model),
      said,
      picture,
      element("p", { class: "zoo-key" }, "Adopted ", ...key, "A point on the left edge lies further out."),
      told,
      element(
        "div",
        { class: "zoo-box", tabindex: "0", role: "region", "aria-label": "The table of modifications" },
        element("table", { class: "zoo-table" }, head, body),
      ),
    ),
  );
  return follow(model, STATE, () => {
    const found = zoo(model);
    const scale = scales(found.reach, size);
    picture.replaceChildren(...grid(found, scale, size), ...points(found, scale, choose), ...names(found, scale));
    said.textContent = `${found.title}: ${sentence(found)}`;
    told.textContent = about(found);
    fillIn(body, found, choose);
  });
}

export default { render };
