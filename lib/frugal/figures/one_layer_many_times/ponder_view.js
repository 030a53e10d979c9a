// An expression of nested lists whose words run through one layer until each has had enough. The
// reader writes the expression and moves the threshold; the trained model runs in the page.
import { element, guide, readout, select, slider, store, toolbar, uniqueId } from "../../show/controls.js";
import { follow, keepHeight, mean, reachable, watch } from "../../show/drawing.js";
import { unpack } from "../../show/models.js";
import { parse, ponder } from "./ponder_formulas.js";

const best = (probabilities) => probabilities.indexOf(Math.max(...probabilities));

// What the words of one depth took on average: [["digits", 1.5], ["lists of depth 1", 2], ...].
export function byDepth(words, found) {
  const depths = [...new Set(words.map(({ depth }) => depth))].sort((a, b) => a - b);
  return depths.map((depth) => [
    depth ? `lists of depth ${depth}` : "digits",
    mean(found.filter((_, i) => words[i].depth === depth).map(({ steps }) => steps)),
  ]);
}

function sentence(words, found) {
  const said = best(found[0].probabilities);
  const lists = words.map((_, i) => i).filter((i) => words[i].own);
  const right = lists.filter((i) => best(found[i].probabilities) === words[i].value).length;
  const times = byDepth(words, found).map(([name, steps]) => `${name}: ${steps.toFixed(1)}`);
  const verdict = said === words[0].value ? "right" : `wrong: it is ${words[0].value}`;
  return (
    `The model says ${said}, which is ${verdict}; ${right} of ${lists.length} lists are right. ` +
    `Steps on average over all words: ${mean(found.map(({ steps }) => steps)).toFixed(1)}, ${times.join(", ")}.`
  );
}

// A word with a cell for each step that is allowed; those that it ran are filled by their share.
function card(word, { shares, steps, probabilities }, nSteps) {
  const cells = Array.from({ length: nSteps }, (_, step) => {
    const ran = step < steps;
    const style = ran ? `--ponder-share: ${Math.round(20 + 80 * Math.min(1, shares[step]))}%` : null;
    return element("span", { class: ran ? "ponder-cell ponder-ran" : "ponder-cell", style });
  });
  const said = best(probabilities);
  const answer = word.own ? `${said} ${said === word.value ? "✓" : "✗"}` : "";
  const wrong = word.own && said !== word.value ? " ponder-wrong" : "";
  const label = `${word.text.replace("[", "")}, ${steps} ${steps === 1 ? "step" : "steps"}`;
  return element(
    "span",
    {
      class: `ponder-word${word.own ? " ponder-list" : ""}`,
      style: `--ponder-heat: ${Math.round((100 * steps) / nSteps)}%`,
      "data-steps": steps,
      role: "listitem",
      "aria-label": word.own ? `${label}, says ${said}, is ${word.value}` : label,
    },
    element("span", { class: "ponder-text" }, word.text + " ]".repeat(word.closes)),
    element("span", { class: "ponder-cells", "aria-hidden": "true" }, ...cells),
    element("span", { class: "ponder-steps" }, String(steps)),
    element("span", { class: `ponder-answer${wrong}` }, answer),
  );
}

// The expression as text, written by the reader.
function field(model) {
  const id = uniqueId("expression");
  const input = element("input", { type: "text", id, spellcheck: "false", autocomplete: "off" });
  const show = () => {
    if (input.value !== model.get("text")) input.value = model.get("text");
  };
  input.addEventListener("input", () => store(model, "text", input.value));
  const label = element("label", { for: id }, "Expression");
  return { node: element("div", { class: "frugal-control ponder-field" }, label, input), show };
}

function controls(model) {
  const labels = model.get("examples").map((text, index) => [text, `example ${index + 1}`]);
  const options = [...labels, ["", "your own"]];
  const steps = (value) => `${value}${value === model.get("trained") ? " (as in training)" : ""}`;
  return toolbar(
    select(model, "example", { label: "Example", options }),
    slider(model, "threshold", {
      label: "Threshold",
      min: 0.1,
      max: 0.99,
      step: 0.01,
      format: (value) => value.toFixed(2),
    }),
    slider(model, "steps", { label: "Steps allowed", min: 1, max: 12, format: steps }),
  );
}

function render({ model, el }) {
  const shape = model.get("shape");
  const weights = unpack(model.get("weights"), shape.parameters);
  const [line, said, expression] = [element("div", { class: "ponder-line", role: "list" }), readout(), field(model)];
  el.append(element("div", { class: "ponder" }, ...guide(model), controls(model), expression.node, line, said));
  const chosen = () => {
    const example = model.get("example");
    if (example && example !== model.get("text")) store(model, "text", example);
  };
  const fill = (words, found) => {
    line.replaceChildren(...words.map((word, i) => card(word, found[i], model.get("steps"))));
    reachable(line);
  };
  const examples = model.get("examples").map((example) => parse(example).words);
  const unread = { shares: [], steps: 0, probabilities: [1] };
  const measure = (words) => fill(words, words.map(() => unread));
  let shown = [[], []];
  const draw = () => {
    expression.show();
    const text = model.get("text");
    const { words, error } = parse(text);
    if (model.get("example") && model.get("example") !== text) store(model, "example", "");
    if (error) {
      said.textContent = `${error} Write lists of two arguments, such as [MAX 2 [MIN 8 7]].`;
      fill(...shown);
      return;
    }
    const nSteps = model.get("steps");
    const found = ponder(weights, shape, words, { threshold: model.get("threshold"), nSteps });
    shown = [words, found];
    fill(...shown);
    said.textContent = sentence(words, found);
  };
  const stops = [
    follow(model, "example", chosen),
    keepHeight(line, examples, measure, draw),
    watch(model, "text threshold steps", draw),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
