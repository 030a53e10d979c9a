// CAT's promise as a dial: a tolerance, many draws of calibration examples, and how often the rest then
// leaves with another answer than the full model's.
import { button, element, guide, readout, select, shape, slider, store, toolbar } from "../../show/controls.js";
import { follow, mean, percent, svg, text, widthOf } from "../../show/drawing.js";
import { draws, needed } from "./exit_formulas.js";

const FORMS = ["counted", "dropped"];
const [LEFT, RIGHT, TOP, PANEL, GAP, BINS] = [44, 12, 26, 96, 42, 40];
const DRAWS = 200;

// Everything that is drawn, from the state.
export function promised(model) {
  const [tolerance, size, seed] = [model.get("tolerance"), model.get("size"), model.get("seed")];
  const table = { scores: model.get("scores"), agrees: model.get("agrees") };
  const all = draws(table, tolerance, size, DRAWS, seed);
  const highest = Math.max(2.5 * tolerance, 0.02);
  const found = Object.fromEntries(
    FORMS.map((form) => {
      const each = all.map((one) => one[form]);
      const rates = each.map(({ inconsistent }) => inconsistent);
      return [
        form,
        {
          rates,
          bins: binned(rates, highest),
          mean: mean(rates),
          layers: mean(each.map(({ layers }) => layers)),
          above: rates.filter((rate) => rate > tolerance).length,
          short: each.filter(({ tau }) => tau === Infinity).length,
        },
      ];
    }),
  );
  return { ...found, tolerance, size, highest, sentence: sentence(found, tolerance, size) };
}

function binned(rates, highest) {
  const bins = Array(BINS).fill(0);
  rates.forEach((rate) => (bins[Math.min(BINS - 1, Math.floor((rate / highest) * BINS))] += 1));
  return bins;
}

function sentence({ counted, dropped }, tolerance, size) {
  const told = ({ mean: rate, rates, layers, above }) =>
    `${percent(rate, 2)} inconsistent on average (${most(rates)} in nine draws of ten), ` +
    `${above} of ${DRAWS} draws above the tolerance, ${layers.toFixed(2)} layers`;
  if (size < needed(tolerance)) {
    return `A tolerance of ${percent(tolerance, 1)} needs ${needed(tolerance)} examples, and there are ${size}: nobody may leave early.`;
  }
  const lacking = dropped.short ? ` (${dropped.short} draws had too few examples that disagree, and nobody left)` : "";
  return `Counted: ${told(counted)}. Dropped: ${told(dropped)}${lacking}. ${verdict(counted, tolerance)}`;
}

// Where nine draws of ten lie, without the lowest and the highest ones.
function most(rates) {
  const order = rates.toSorted((a, b) => a - b);
  const out = Math.round(0.05 * order.length);
  return `${(100 * order[out]).toFixed(1)} to ${percent(order.at(-1 - out), 1)}`;
}

// What the draws that count all examples make of the promise, which is one about their mean: as many
// draws tell a mean to within two of its standard errors.
function verdict({ mean: rate, rates, above }, tolerance) {
  const spread = Math.sqrt(mean(rates.map((one) => (one - rate) ** 2)));
  const error = (2 * spread) / Math.sqrt(rates.length);
  const where = rate > tolerance + error ? "above" : rate < tolerance - error ? "below" : "at";
  const told = where === "at" ? `, as far as ${DRAWS} draws can tell` : "";
  return `Counted, the mean lies ${where} the tolerance of ${percent(tolerance, 1)}${told}; ${above || "none"} of the draws alone ${above === 1 ? "lies" : "lie"} above it.`;
}

function panel(form, found, width, from) {
  const one = found[form];
  const x = (rate) => LEFT + (Math.min(rate, found.highest) / found.highest) * (width - LEFT - RIGHT);
  const most = Math.max(...one.bins, 1);
  const base = from + PANEL;
  const step = (width - LEFT - RIGHT) / BINS;
  const line = (name, rate) => shape("path", { class: name, "data-value": rate, d: `M${x(rate)} ${from}V${base}` });
  const words = { counted: "all examples counted", dropped: "only examples that disagree" };
  return [
    text(LEFT, from - 8, `${words[form]}: mean exit ${one.layers.toFixed(2)}`),
    shape("path", { class: "promise-axis", d: `M${LEFT} ${base}H${width - RIGHT}` }),
    ...one.bins.map((count, bin) =>
      shape("rect", {
        class: `promise-bar promise-${form}`,
        x: LEFT + bin * step,
        width: Math.max(step - 1, 1),
        y: base - (count / most) * (PANEL - 6),
        height: (count / most) * (PANEL - 6),
      }),
    ),
    line("promise-tolerance", found.tolerance),
    line(`promise-mean promise-mean-${form}`, one.mean),
    ...[0, 0.5, 1].map((part) =>
      text(x(part * found.highest), base + 15, percent(part * found.highest, 1), { anchor: part === 1 ? "end" : "middle" }),
    ),
  ];
}

function render({ model, el }) {
  const width = widthOf(el);
  const height = TOP + 2 * PANEL + GAP + 36;
  const picture = svg(width, height, { class: "promise-chart", "aria-label": "How often draws are how inconsistent, in two forms" });
  const said = readout();
  const again = () => store(model, "seed", model.get("seed") + 1);
  const options = model.get("sizes").map((size) => [size, `${size} stories`]);
  el.append(
    element(
      "div",
      { class: "promise" },
      ...guide(model),
      toolbar(
        slider(model, "tolerance", {
          label: "Tolerance ε",
          min: 0.005,
          max: 0.3,
          step: 0.005,
          format: (value) => percent(value, 1),
        }),
        select(model, "size", { label: "Calibrated on", options }),
        button("Draw again", again),
      ),
      picture,
      element("p", { class: "promise-key" }, "Solid line: the tolerance. Dashed line: the mean of the draws."),
      said,
    ),
  );
  return follow(model, "tolerance size seed", () => {
    const found = promised(model);
    picture.replaceChildren(
      ...FORMS.flatMap((form, place) => panel(form, found, width, TOP + place * (PANEL + GAP))),
      text((LEFT + width) / 2, height - 4, "share of test stories that leave inconsistently", { anchor: "middle" }),
    );
    said.textContent = found.sentence;
  });
}

export default { render };
