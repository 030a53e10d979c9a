// The letters of a text: how many layers each took, or which drafts of the lower layers held.
import { element, guide, inTurns, readout, segmented, slider, toolbar } from "../../show/controls.js";
import { follow, mean, percent, sum } from "../../show/drawing.js";
import { expected, outcome, rounds, rowsOf } from "./letter_formulas.js";

const VISIBLE = { " ": "␣", "\n": "⏎" };
const visible = (letter) => VISIBLE[letter] ?? letter;

// Everything that is drawn, from the state.
export function written(model) {
  const shown = model.get("texts")[model.get("text")];
  const place = model.get("threshold");
  const lower = shown.lower[model.get("depth") - 1];
  const found = {
    ...shown,
    view: model.get("view"),
    depth: model.get("depth"),
    bar: model.get("thresholds")[place],
    letters: shown.early[place],
    used: shown.layers[place],
    draft: lower,
    now: outcome(shown.early[place], shown.layers[place], shown.whole),
    checks: rounds(shown.whole, lower, model.get("n_drafted")),
    n: model.get("n_drafted"),
  };
  return { ...found, sentence: found.view === "early" ? told(found) : toldOfDrafts(found) };
}

function told({ bar, now, whole, lower }) {
  const same =
    now.same === whole.length
      ? "All letters are those that all layers write."
      : `${now.same} of ${whole.length} letters are those that all layers write; the first other one is letter ${now.first + 1}.`;
  return `Threshold ${bar}: ${now.layers.toFixed(2)} of ${lower.length} layers per letter on average. ${same}`;
}

function toldOfDrafts({ checks, whole, lower, draft, depth, n }) {
  const drafted = sum(checks.map((one) => one.drafted));
  const accepted = sum(checks.map((one) => one.accepted));
  const p = mean(whole.map((letter, i) => Number(letter === draft[i])));
  const share = drafted ? percent(accepted / drafted, 0) : "none";
  return (
    `${depth} of ${lower.length} layers drafted ${drafted} letters, and ${accepted} of them (${share}) were kept. ` +
    `${checks.length} checks wrote ${whole.length} letters: ${(whole.length / checks.length).toFixed(2)} per check. ` +
    `The lower layers alone name ${percent(p, 0)} of all letters as all layers do; for such a share the formula says ` +
    `${expected(p, n).toFixed(2)} per check.`
  );
}

function cell(letter, { height = 0, names = [], said }, ...more) {
  const fill = element("i", { style: `height: ${(100 * height).toFixed(1)}%`, "aria-hidden": "true" });
  const state = { class: ["few-cell", ...names].join(" "), title: said };
  return element("span", state, fill, element("b", {}, visible(letter)), ...more);
}

function earlyCells({ letters, used, whole, lower }) {
  return letters.map((letter, place) => {
    const other = letter !== whole[place];
    const node = cell(letter, {
      height: used[place] / lower.length,
      names: other ? ["few-other"] : [],
      said: `${used[place]} of ${lower.length} layers` + (other ? `; all layers write ${visible(whole[place])}` : ""),
    });
    node.dataset.layers = used[place];
    return node;
  });
}

// One check: the drafts that held, and the letter that the check wrote behind them.
function round({ start, drafted, accepted }, { whole, draft, depth, lower }) {
  const kept = whole.slice(start, start + accepted).map((letter) => {
    const how = { height: depth / lower.length, names: ["few-kept"], said: "drafted and kept" };
    return cell(letter, how);
  });
  const at = start + accepted;
  const wrong = accepted < drafted;
  const said = wrong ? `the draft was ${visible(draft[at])}` : "added by the check";
  const names = ["few-checked", ...(wrong ? ["few-wrong"] : [])];
  const more = wrong ? [element("s", {}, visible(draft[at]))] : [];
  const checked = cell(whole[at], { height: 1, names, said }, ...more);
  const state = { class: "few-round", "data-drafted": drafted, "data-accepted": accepted };
  return element("span", state, ...kept, checked);
}

const KEYS = {
  early: "Fill: layers that the letter took. Dashed frame: with all layers another letter stands here.",
  drafts:
    "A group is a round. Low fill: a draft that was kept. Full: written by the check; the small letter struck out is the draft that it replaced.",
};

function controls(model) {
  const { texts, thresholds, most_drafted: most } = Object.fromEntries(
    ["texts", "thresholds", "most_drafted"].map((name) => [name, model.get(name)]),
  );
  const options = [
    ["early", "leave early"],
    ["drafts", "draft and check"],
  ];
  const format = (index) => `${index + 1} of ${texts.length}`;
  return {
    top: toolbar(
      segmented(model, "view", { label: "Write", options }),
      slider(model, "text", { label: "Text", min: 0, max: texts.length - 1, format }),
    ),
    early: toolbar(
      slider(model, "threshold", {
        label: "Threshold",
        min: 0,
        max: thresholds.length - 1,
        format: (index) => String(thresholds[index]),
      }),
    ),
    drafts: toolbar(
      slider(model, "depth", { label: "Layers that draft", min: 1, max: texts[0].lower.length - 1 }),
      slider(model, "n_drafted", { label: "Letters drafted", min: 1, max: most }),
    ),
  };
}

// The most rows that any choice of drafts takes in so many pixels, in sizes of the style sheet.
function mostRows(model, room) {
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const sizes = { cell: 1.25 * rem, gap: 2, apart: 0.375 * rem };
  const drafts = Array.from({ length: model.get("most_drafted") }, (_, at) => at + 1);
  const rows = model
    .get("texts")
    .flatMap(({ whole, lower }) =>
      lower.slice(0, -1).flatMap((one) => drafts.map((n) => rowsOf(rounds(whole, one, n), sizes, room))),
    );
  return Math.max(...rows);
}

function render({ model, el }) {
  const made = controls(model);
  const prompt = element("p", { class: "few-prompt" });
  const letters = element("div", { class: "few-text" });
  const keys = Object.fromEntries(
    Object.entries(KEYS).map(([view, words]) => [view, element("p", { class: "few-key" }, words)]),
  );
  const said = readout();
  const chosen = inTurns(made.early, made.drafts);
  const key = inTurns(keys.early, keys.drafts);
  const top = [...guide(model), made.top, chosen.node];
  el.append(element("div", { class: "few" }, ...top, prompt, letters, key.node, said));
  const fit = () => letters.style.setProperty("--few-rows", mostRows(model, letters.clientWidth));
  const resized = new ResizeObserver(fit);
  resized.observe(letters);
  fit();
  const stop = follow(model, "view text threshold depth n_drafted", () => {
    const found = written(model);
    chosen.show(made[found.view]);
    key.show(keys[found.view]);
    prompt.replaceChildren("Prompt: ", element("code", {}, [...found.prompt].map(visible).join("")));
    const parts = found.view === "early" ? earlyCells(found) : found.checks.map((one) => round(one, found));
    letters.replaceChildren(...parts);
    said.textContent = found.sentence;
  });
  return () => {
    resized.disconnect();
    stop();
  };
}

export default { render };
