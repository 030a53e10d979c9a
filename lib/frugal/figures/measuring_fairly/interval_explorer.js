// Forty comparisons of two settings with so many seeds: their intervals, and the chance to find a difference.
import { button, element, guide, readout, select, shape, slider, store, toolbar } from "../../show/controls.js";
import { follow, mean, percent, read, svg, text, widthOf } from "../../show/drawing.js";
import { intervals } from "./garden_formulas.js";

const [SHOWN, STUDIES, ROW, TOP, CURVE, EDGE] = [40, 1000, 5, 20, 130, 34];
const OPTIONS = "source seeds effect seed";
const WIDEST = 6; // of the table of powers, in spreads

// The chance by the table, between its steps by a straight line.
export function chanceOf(row, spread, effect) {
  const place = Math.min(row.length - 1, ((effect / spread) * (row.length - 1)) / WIDEST);
  const below = Math.min(row.length - 2, Math.floor(place));
  return row[below] + (row[below + 1] - row[below]) * (place - below);
}

// The least difference that is found with this chance, NaN where the table ends before.
export function leastFound(row, spread, chance = 0.8) {
  const above = row.findIndex((one) => one >= chance);
  if (above < 1) return NaN;
  const part = (chance - row[above - 1]) / (row[above] - row[above - 1]);
  return ((above - 1 + part) / (row.length - 1)) * WIDEST * spread;
}

// Everything that is drawn, from the state.
export function explored(model) {
  const state = read(model, OPTIONS);
  const spread = model.get("spreads")[state.source];
  const row = model.get("powers")[state.seeds];
  const noise = model.get("noise")[state.source];
  const all = intervals(state, noise, model.get("limits")[state.seeds], STUDIES, state.seed);
  const finds = all.filter(({ found }) => found);
  return {
    ...state,
    spread,
    row,
    intervals: all.slice(0, SHOWN),
    share: finds.length / STUDIES,
    told: finds.length ? mean(finds.map(({ apart }) => Math.abs(apart))) : null,
    chance: chanceOf(row, spread, state.effect),
    least: leastFound(row, spread),
  };
}

function sentence({ seeds, effect, share, told, chance, least, spread }) {
  const found = `${percent(share)} of ${STUDIES} comparisons exclude 0`;
  const enough = Number.isNaN(least)
    ? `No difference up to ${(WIDEST * spread).toFixed(1)} points is found in 80 %.`
    : `A difference of ${least.toFixed(2)} points is found in 80 %.`;
  const size = told === null ? "" : ` These tell a difference of ${told.toFixed(1)} points on average; the true one is ${effect.toFixed(1)}.`;
  if (effect === 0) return `Nothing differs, and ${found}: false finds.${size} ${enough}`;
  return `With ${seeds} seeds per side ${found}; for normal noise ${percent(chance)} should.${size} ${enough}`;
}

function bars(found, width) {
  const reach = Math.max(...found.intervals.map(({ low, high }) => Math.max(Math.abs(low), Math.abs(high))), 1);
  const x = (value) => EDGE + ((value + reach) / (2 * reach)) * (width - EDGE - 12);
  const height = TOP + SHOWN * ROW;
  return [
    text(EDGE, 12, "lower"),
    text(x(0), 12, "0", { anchor: "middle" }),
    text(width - 12, 12, "higher, in points", { anchor: "end" }),
    ...found.intervals.map(({ low, high, found: out }, row) =>
      shape("path", { class: out ? "interval-out" : "interval-in", "data-low": low, "data-high": high, d: `M${x(low)} ${TOP + row * ROW + 2}H${x(high)}` }),
    ),
    shape("path", { class: "interval-zero", d: `M${x(0)} ${TOP - 4}V${height}` }),
    shape("path", { class: "interval-true", d: `M${x(found.effect)} ${TOP - 4}V${height}` }),
  ];
}

function curve(found, width) {
  const most = Math.max(5, found.effect);
  const x = (value) => EDGE + (value / most) * (width - EDGE - 12);
  const y = (share) => CURVE - 30 - share * (CURVE - 42);
  const steps = Array.from({ length: 101 }, (_, at) => (at / 100) * most);
  const line = steps.map((one) => `${x(one)} ${y(chanceOf(found.row, found.spread, one))}`).join("L");
  return [
    ...[0, 0.8, 1].map((share) => shape("path", { class: "interval-grid", d: `M${EDGE} ${y(share)}H${width - 12}` })),
    ...[0, 0.8].map((share) => text(EDGE - 4, y(share) + 4, percent(share, 0), { anchor: "end" })),
    shape("path", { class: "interval-curve", d: `M${line}` }),
    shape("circle", { class: "interval-now", "data-value": found.chance, cx: x(found.effect), cy: y(found.chance), r: 5 }),
    ...[0, most].map((value, at) => text(x(value), CURVE - 14, String(value), { anchor: at ? "end" : "middle" })),
    text((EDGE + width) / 2, CURVE - 2, "true difference, in points: the chance to find it", { anchor: "middle" }),
  ];
}

function render({ model, el }) {
  const width = widthOf(el);
  const above = svg(width, TOP + SHOWN * ROW + 6, { "aria-label": "Intervals of forty comparisons" });
  const below = svg(width, CURVE, { "aria-label": "The chance to find a difference, over the difference" });
  const said = readout();
  const points = (value) => `${value.toFixed(1)} points`;
  el.append(
    element(
      "div",
      { class: "interval" },
      ...guide(model),
      toolbar(
        slider(model, "seeds", { label: "Seeds per side", min: 2, max: 20 }),
        slider(model, "effect", { label: "True difference", min: 0, max: 5, step: 0.1, format: points }),
        select(model, "source", { label: "Noise from", options: Object.keys(model.get("noise")) }),
        button("Draw again", () => store(model, "seed", model.get("seed") + 1)),
      ),
      said,
      above,
      below,
    ),
  );
  return follow(model, OPTIONS, () => {
    const found = explored(model);
    above.replaceChildren(...bars(found, width));
    below.replaceChildren(...curve(found, width));
    said.textContent = sentence(found);
  });
}

export default { render };
