// One text climbs the layers until a rule lets it leave; beside it, what the rule does to many texts.
import { button, checkbox, element, guide, readout, segmented, shape, slider, store, toolbar } from "../../show/controls.js";
import { follow, percent, svg, text, widthOf } from "../../show/drawing.js";
import { byConfidence, byPatience, outcome, streaks } from "./exit_formulas.js";

const CHART = { width: 300, height: 200, left: 44, right: 10, top: 24, bottom: 40 };
const LOW = { ...CHART, height: 150 }; // on a narrow page
const THRESHOLDS = [...Array.from({ length: 40 }, (_, i) => 0.2 + i * 0.02), 0.99, 0.995, 1];

// Everything that is drawn, from the state.
export function played(model) {
  const [rule, limit, patience] = [model.get("rule"), model.get("threshold"), model.get("patience")];
  const [answers, labels] = [model.get("answers"), model.get("labels")];
  const confidence = model.get(model.get("cooled") ? "calibrated" : "raw");
  const exits = rule === "confidence" ? byConfidence(confidence, limit) : byPatience(answers, patience);
  const example = model.get("example");
  const exit = exits[example];
  const climbed = Math.min(model.get("climbed"), exit);
  const curve = THRESHOLDS.map((one) => outcome(byConfidence(confidence, one), answers, labels));
  const patient = answers[0].map((_, p) => outcome(byPatience(answers, p + 1), answers, labels)).slice(0, -1);
  const found = {
    rule,
    limit,
    patience,
    exit,
    climbed,
    answers: answers[example],
    sure: confidence[example],
    counter: streaks(answers[example]),
    label: labels[example],
    curve,
    patient,
    now: outcome(exits, answers, labels),
    count: labels.length,
  };
  return { ...found, sentence: sentence(found, model.get("classes")) };
}

function sentence({ rule, exit, climbed, answers, sure, counter, label, now, count }, classes) {
  const answer = answers[climbed - 1];
  const state = rule === "confidence" ? `sure by ${percent(sure[climbed - 1], 1)}` : `${counter[climbed - 1]} repetitions`;
  const truth = answer === label ? "right" : `wrong, it is ${classes[label]}`;
  const end =
    climbed < exit
      ? "It climbs on."
      : exit < answers.length
        ? `It leaves: ${answers.length - exit} of ${answers.length} layers are not computed.`
        : "It has climbed all layers.";
  return (
    `After layer ${climbed} the answer is ${classes[answer]} (${truth}), ${state}. ${end} Over ${count} stories this ` +
    `rule has ${percent(now.right, 1)} right, with ${now.layers.toFixed(2)} of ${answers.length} layers on average.`
  );
}

// One layer: its answer, how sure it is, and the streak.
function rung(layer, { climbed, exit, answers, sure, counter, label, rule, limit, patience }, classes) {
  const seen = layer <= climbed;
  const names = ["exit-rung", seen ? "" : "exit-unseen", layer === exit && seen ? "exit-here" : ""];
  const right = answers[layer - 1] === label;
  const fill = element("span", { style: `width: ${100 * sure[layer - 1]}%` });
  const mark = rule === "confidence" ? [element("i", { style: `left: ${100 * limit}%` })] : [];
  const dots = "●".repeat(counter[layer - 1]) + "○".repeat(Math.max(0, patience - counter[layer - 1]));
  const parts = seen
    ? [
        element("span", { class: "exit-answer" }, `${right ? "✓" : "✗"} ${classes[answers[layer - 1]]}`),
        element("span", { class: "exit-bar", "aria-hidden": "true" }, fill, ...mark),
        element("span", { class: "exit-sure" }, rule === "confidence" ? percent(sure[layer - 1], 1) : dots),
      ]
    : [element("span", { class: "exit-none" }, layer > exit ? "not computed" : "not yet")];
  const state = { class: names.filter(Boolean).join(" "), "data-layer": layer };
  return element("div", state, element("span", { class: "exit-layer" }, `Layer ${layer}`), ...parts);
}

function frame({ width, height, left, right, bottom }, [x, y], ticksX, ticksY, words) {
  return [
    ...ticksY.flatMap(([value, said]) => [
      shape("path", { class: "exit-grid", d: `M${left} ${y(value)}H${width - right}` }),
      text(left - 5, y(value) + 4, said, { anchor: "end" }),
    ]),
    ...ticksX.map((value) => text(x(value), height - bottom + 16, value, { anchor: "middle" })),
    text(left, 13, words[0]),
    text((left + width - right) / 2, height - 6, words[1], { anchor: "middle" }),
  ];
}

// Where a layer and a share stand in a chart.
function scales({ width, height, left, right, top, bottom }, n, low) {
  return [
    (layer) => left + 12 + ((layer - 1) * (width - left - right - 24)) / (n - 1),
    (share) => height - bottom - ((share - low) * (height - top - bottom)) / (1 - low),
  ];
}

const layersOf = (n) => Array.from({ length: n }, (_, k) => k + 1);

function histogram(size, { now }) {
  const n = now.shares.length;
  const [x, y] = scales(size, n, 0);
  const bars = now.shares.map((share, k) =>
    shape("rect", {
      class: "exit-share",
      "data-value": share,
      x: x(k + 1) - 12,
      width: 24,
      y: y(share),
      height: y(0) - y(share),
    }),
  );
  const ticks = [0, 0.5, 1].map((share) => [share, percent(share, 0)]);
  return [...frame(size, [x, y], layersOf(n), ticks, ["share of the stories that leave here", "exit"]), ...bars];
}

function tradeoff(size, { curve, patient, now, rule }, low) {
  const n = now.shares.length;
  const [x, y] = scales(size, n, low);
  const at = ({ layers, right }) => `${x(layers)} ${y(Math.max(low, right))}`;
  const ticks = [low, (1 + low) / 2, 1].map((share) => [share, percent(share, 0)]);
  return [
    ...frame(size, [x, y], layersOf(n), ticks, ["accuracy", "mean layers"]),
    shape("path", { class: "exit-curve", d: `M${curve.map(at).join("L")}` }),
    ...patient.map((one) => shape("path", { class: "exit-patient", d: `M${at(one)}m-5 0l5 -5l5 5l-5 5z` })),
    shape("circle", {
      class: `exit-now exit-by-${rule}`,
      "data-layers": now.layers,
      "data-right": now.right,
      cx: x(now.layers),
      cy: y(Math.max(low, now.right)),
      r: 6,
    }),
  ];
}

function controls(model) {
  const exits = model.get("answers")[0].length;
  const count = model.get("texts").length;
  const step = (by) => () => store(model, "climbed", Math.min(exits, model.get("climbed") + by));
  const story = {
    label: "Story",
    min: 0,
    max: count - 1,
    format: (index) => `${index + 1} of ${count}`,
  };
  const options = [
    ["confidence", "sure enough"],
    ["patience", "patience"],
  ];
  return {
    top: toolbar(
      slider(model, "example", story),
      button("From the start", () => store(model, "climbed", 1)),
      button("Next layer", step(1)),
      button("To the exit", step(exits)),
    ),
    rule: segmented(model, "rule", { label: "Leave by", options }),
    confidence: toolbar(
      slider(model, "threshold", {
        label: "Threshold",
        min: 0.2,
        max: 1,
        step: 0.005,
        format: (value) => percent(value, 1),
      }),
      checkbox(model, "cooled", { label: "with a temperature for each exit" }),
    ),
    patience: toolbar(slider(model, "patience", { label: "Patience", min: 1, max: exits })),
  };
}

// What is not seen keeps its room.
function seen(node, here) {
  node.style.visibility = here ? "" : "hidden";
}

function render({ model, el }) {
  const made = controls(model);
  const size = widthOf(el, LOW, CHART);
  const texts = model.get("texts").map((story) => element("span", {}, story));
  const [ladder, said] = [element("div", { class: "exit-ladder" }), readout()];
  const chart = (label) => svg(size.width, size.height, { class: "exit-chart", "aria-label": label });
  const [leaving, cost] = [chart("Share of the stories that leave at each exit"), chart("Accuracy over mean layers")];
  const key = element("p", { class: "exit-key" }, "Line: every threshold. Diamonds: patience 1, 2, … Ring: your rule now.");
  el.append(
    element(
      "div",
      { class: "exit" },
      ...guide(model),
      made.top,
      element("p", { class: "exit-story" }, ...texts),
      toolbar(made.rule, element("div", { class: "exit-dials" }, made.confidence, made.patience)),
      element("div", { class: "exit-parts" }, ladder, element("div", { class: "exit-charts" }, leaving, cost)),
      key,
      said,
    ),
  );
  return follow(model, "rule threshold patience cooled example climbed", () => {
    const found = played(model);
    for (const name of ["confidence", "patience"]) seen(made[name], name === found.rule);
    texts.forEach((story, index) => seen(story, index === model.get("example")));
    const rungs = layersOf(found.answers.length).map((layer) => rung(layer, found, model.get("classes")));
    ladder.replaceChildren(...rungs.reverse());
    leaving.replaceChildren(...histogram(size, found));
    cost.replaceChildren(...tradeoff(size, found, model.get("lowest")));
    said.textContent = found.sentence;
  });
}

export default { render };
