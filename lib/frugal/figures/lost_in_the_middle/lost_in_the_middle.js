// Lost in the middle: a context whose answer the reader drags, above two charts of accuracy by
// place. Left the published curves, right ours with their interval and their moment of training.
import { checkbox, element, onKeys, readout, select, slider, store, toolbar } from "../../show/controls.js";
import { clamp, follow } from "../../show/drawing.js";
import { dip, drawPublished, drawTrained, edgesOf, momentAt, nearest, newChart, share } from "./middle_charts.js";

const MOVES = {
  ArrowRight: 1,
  ArrowUp: 1,
  ArrowLeft: -1,
  ArrowDown: -1,
  PageUp: 5,
  PageDown: -5,
  Home: -Infinity,
  End: Infinity,
};

// The chosen group of published curves, and the curve of the chosen model in it.
const groupOf = (model) => model.get("groups").find((one) => one.label === model.get("group"));
const publishedOf = (model) =>
  groupOf(model).curves.find((one) => one.model === model.get("model"));

// The chosen run at the chosen moment of its training.
function trainedOf(model) {
  const curve = model.get("ours")[model.get("curve")];
  const asked = model.get("steps")[model.get("moment")];
  const moment = momentAt(curve.steps, asked);
  const step = curve.steps[moment];
  return {
    label: curve.label,
    asked: curve.asked,
    middle: curve.mean[moment],
    low: curve.low[moment],
    high: curve.high[moment],
    when: `${step} updates${step < asked ? " (its last)" : ""}`,
    step,
  };
}

function publishedWords({ documents, noun }, chosen, standard, below, along) {
  const at = nearest(chosen.positions, documents, along);
  const accuracy = chosen.accuracy[at];
  const worst = chosen.accuracy.indexOf(Math.min(...chosen.accuracy));
  const lost = noun === "document" && below !== undefined && accuracy < below;
  const plain = standard?.accuracy[nearest(standard.positions, documents, along)];
  return (
    `${chosen.model}, answer in ${noun} ${chosen.positions[at]} of ${documents}: ` +
    `${accuracy} %. Worst measured place: ${chosen.positions[worst]}, ` +
    `${chosen.accuracy[worst]} %.` +
    (lost ? ` That is less than with no documents at all, ${below} %.` : "") +
    (standard ? ` Dashed, the plain setting: ${plain} % there.` : "")
  );
}

function trainedWords({ when, middle, low, high, asked }, gold) {
  return (
    `After ${when}, pair ${gold + 1} of ${middle.length}: ${middle[gold]} %, ` +
    `95 % interval ${low[gold]} to ${high[gold]} %. Ends minus middle: ` +
    `${dip(middle).toFixed(1)} points. Training asked for this pair in ${asked[gold]} % of its questions.`
  );
}

function panel(title, controls, chart, ...words) {
  const heading = element("h4", {}, title);
  return element("section", { class: "middle-panel" }, heading, controls, chart, ...words);
}

// Left: published curves. `build` makes the controls that a group has.
function publishedView(model) {
  const chart = newChart("theirs");
  const said = readout();
  const source = element("p", { class: "middle-source" });
  const models = element("div", {});
  const plain = element("div", {});
  const labels = model.get("groups").map((one) => one.label);
  const controls = toolbar(select(model, "group", { label: "Setting", options: labels }), models, plain);

  function build() {
    const names = groupOf(model).curves.map((one) => one.model);
    if (!names.includes(model.get("model"))) store(model, "model", names[0]);
    models.replaceChildren(select(model, "model", { label: "Model", options: names }));
    plain.replaceChildren(checkbox(model, "standard", { label: "and the plain setting" }));
  }

  function show(along) {
    const group = groupOf(model);
    const chosen = publishedOf(model);
    const standard = model.get("standard") ? chosen.standard : null;
    const limits = model.get("limits")[chosen.model] ?? {};
    plain.querySelector("input").disabled = !chosen.standard;
    drawPublished(chart, group, chosen, standard, group.noun === "document" ? limits : {}, along);
    said.textContent = publishedWords(group, chosen, standard, limits.closed_book, along);
    source.textContent = `Source: ${chosen.source}.`;
    chart.setAttribute(
      "aria-label",
      `Accuracy of ${chosen.model} by place: ${chosen.accuracy.join(", ")} percent at places ${chosen.positions.join(", ")}.`,
    );
  }
  return { node: panel("Published", controls, chart, said, source), chart, build, show };
}

// Right: our own runs.
function trainedView(model) {
  const chart = newChart("ours");
  const said = readout();
  const steps = model.get("steps");
  const runs = model.get("ours").map((one, index) => [index, one.label]);
  const controls = toolbar(
    select(model, "curve", { label: "Training", options: runs }),
    slider(model, "moment", {
      label: "Updates",
      min: 0,
      max: steps.length - 1,
      format: (moment) => String(steps[moment]),
    }),
  );
  const show = (gold) => {
    const run = trainedOf(model);
    drawTrained(chart, run, gold);
    said.textContent = trainedWords(run, gold);
    chart.setAttribute(
      "aria-label",
      `Accuracy of our model by place, ${run.label}, after ${run.step} updates: ${run.middle.join(", ")} percent.`,
    );
  };
  return { node: panel("Ours", controls, chart, said), chart, show };
}

// The context: a box for each place, the answer's marked. It is a slider for the keyboard.
function contextView(places, move) {
  const label = element("p", { class: "middle-label" });
  const boxes = Array.from({ length: places }, () => element("span", {}));
  const states = { role: "slider", tabindex: 0, "aria-valuemin": 1, "aria-valuemax": places };
  const name = { class: "middle-context", "aria-label": "Place of the answer in the context" };
  const node = element("div", { ...name, ...states }, ...boxes);
  onKeys(node, MOVES, move);
  const show = (gold, { documents, noun }) => {
    const place = Math.round(1 + share(gold, places) * (documents - 1));
    const words = `${noun} ${place} of ${documents}, pair ${gold + 1} of ${places}`;
    label.textContent = `Drag the answer through the context: ${words}`;
    node.setAttribute("aria-valuenow", gold + 1);
    node.setAttribute("aria-valuetext", words);
    boxes.forEach((box, index) => box.classList.toggle("middle-gold", index === gold));
  };
  return { label, node, show };
}

// A drag over the context or over a chart; the edges are the shares of its width where the first
// place begins and the last ends. `move` is told how far along the pointer is.
function dragOver(area, [from, to], move) {
  const tell = (event) => {
    const box = area.getBoundingClientRect();
    move(((event.clientX - box.left) / box.width - from) / (to - from));
  };
  area.addEventListener("pointerdown", (event) => {
    area.setPointerCapture(event.pointerId);
    tell(event);
  });
  area.addEventListener("pointermove", (event) => {
    if (area.hasPointerCapture(event.pointerId)) tell(event);
  });
}

function render({ model, el }) {
  const places = model.get("ours")[0].asked.length;
  const moveTo = (gold) => {
    const inside = clamp(gold, 0, places - 1);
    if (inside !== model.get("gold")) store(model, "gold", inside);
  };
  const context = contextView(places, (by) => moveTo(model.get("gold") + by));
  const theirs = publishedView(model);
  const ours = trainedView(model);
  const panels = element("div", { class: "middle-panels" }, theirs.node, ours.node);
  el.append(element("div", { class: "middle" }, context.label, context.node, panels));
  for (const [area, edges] of [
    [context.node, [0, 1]],
    [theirs.chart, edgesOf(places)],
    [ours.chart, edgesOf(places)],
  ]) {
    dragOver(area, edges, (along) => moveTo(Math.floor(along * places)));
  }

  let building = false;
  const draw = () => {
    if (building || !publishedOf(model)) return;
    const gold = model.get("gold");
    context.show(gold, groupOf(model));
    theirs.show(share(gold, places));
    ours.show(gold);
  };
  const stopBuilding = follow(model, "group", () => {
    building = true; // until the model is one of the group's
    theirs.build();
    building = false;
    draw();
  });
  const stop = follow(model, "model standard curve moment gold", draw);
  return () => {
    stopBuilding();
    stop();
  };
}

export default { render };
