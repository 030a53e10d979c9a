// Lost in the middle: small multiples of our readers' accuracy by place, a panel for each position
// code and each way to ask in training, at a recorded moment; below them the published curves. Where
// the page is narrow, one of these parts is seen at a time.
import { element, readout, segmented, select, slider, steps, store, toolbar } from "../../show/controls.js";
import { clamp, follow, mean } from "../../show/drawing.js";
import { oneAtATime } from "../../show/parts.js";
import {
  askedChart,
  dip,
  drawPublished,
  drawTrained,
  edgesOfPublished,
  edgesOfTrained,
  momentAt,
  nearest,
  newPublished,
  newTrained,
  parts,
  share,
} from "./middle_charts.js";

const LEGEND =
  "Thick: this moment, with its 95 % interval. Dashed: the last recorded moment. " +
  "Shaded: the middle third. Dip: by how many points the ends are above it; below each curve, at " +
  "every recorded moment.";

const each = (runs, name) => [...new Set(runs.map((run) => run[name]))];
const listed = (items) =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;

// The chosen group of published curves, and the curve of the chosen model in it.
const groupOf = (model) => model.get("groups").find((one) => one.label === model.get("group"));
const publishedOf = (model) =>
  groupOf(model).curves.find((one) => one.model === model.get("model"));

// What all readers know at the chosen moment; a run that has ended is at its last one.
export function readers(model) {
  const known = model.get("ours").filter((run) => run.architecture === model.get("architecture"));
  const ends = Math.max(...known.map((run) => run.steps.at(-1)));
  const updates = Math.min(ends, model.get("steps")[model.get("moment")]);
  const runs = known.map((run) => {
    const moment = momentAt(run.steps, updates);
    const middle = run.mean[moment];
    const { first, middle: between, last } = parts(middle);
    return {
      ...run,
      moment,
      middle,
      low: run.low[moment],
      high: run.high[moment],
      last: run.mean.at(-1),
      dips: run.mean.map(dip),
      dip: dip(middle),
      right: mean(middle),
      isU: Math.min(first, last) - between >= model.get("u_at"),
      ended: run.steps.at(-1) < updates,
    };
  });
  const deepest = Math.max(...runs.flatMap((run) => run.dips));
  return { runs, updates, most: 10 * Math.ceil(deepest / 10), words: trainedWords(runs, updates, model.get("u_at")) };
}

const points = (value) => String(Math.round(value) || 0).replace("-", "−"); // no "−0"
const who = (run) => `${run.positions} (dip ${points(run.dip)})`;

function trainedWords(runs, updates, least) {
  const [deep, rest] = [runs.filter((run) => run.isU), runs.filter((run) => !run.isU)];
  const a = `of the ${runs.length} readers ${deep.length > 1 ? "have" : "has"} a U`;
  const where = each(deep, "asks").map((asks) => {
    const of = deep.filter((run) => run.asks === asks);
    return `asked ${asks}: ${listed(of.map(who))}`;
  });
  const others = Math.max(...rest.map((run) => run.dip));
  const best = Math.max(...runs.map((run) => run.right));
  return [
    `After ${updates.toLocaleString("en")} updates ${deep.length || "none"} ${a}, both ends ${least} points or more above the middle.`,
    deep.length ? ` ${deep.length > 1 ? "They were" : "It was"} ${where.join("; ")}.` : "",
    rest.length ? ` The largest dip of ${deep.length ? "the others" : "all"} is ${points(others)}.` : "",
    deep.length || best >= 10 ? "" : ` They have learned little: the best is right for ${best.toFixed(0)} %.`,
  ].join("");
}

function publishedWords({ documents, noun }, chosen, standard, below, along) {
  const at = nearest(chosen.positions, documents, along);
  const accuracy = chosen.accuracy[at];
  const worst = chosen.accuracy.indexOf(Math.min(...chosen.accuracy));
  const lost = noun === "document" && below !== undefined && accuracy < below;
  const plain = standard?.accuracy[nearest(standard.positions, documents, along)];
  return (
    `${chosen.model}, answer in ${noun} ${chosen.positions[at]} of ${documents}: ` +
    `${accuracy} %${lost ? `, less than with no documents at all, ${below} %` : ""}. ` +
    `Worst measured place: ${chosen.positions[worst]}, ${chosen.accuracy[worst]} %.` +
    (standard ? ` Dashed, the plain setting: ${plain} % there.` : "")
  );
}

// The published curves. `build` makes the control that a group has.
function publishedView(model) {
  const chart = newPublished();
  const said = readout();
  const source = element("p", { class: "middle-source" });
  const models = element("div", {});
  const labels = model.get("groups").map((one) => one.label);
  const controls = toolbar(select(model, "group", { label: "Setting", options: labels }), models);
  const heading = element("p", { class: "middle-title" }, "What the paper found");
  const words = element("div", { class: "middle-words" }, controls, said, source);
  const row = element("div", { class: "middle-published" }, chart, words);

  function build() {
    const names = groupOf(model).curves.map((one) => one.model);
    if (!names.includes(model.get("model"))) store(model, "model", names[0]);
    models.replaceChildren(select(model, "model", { label: "Model", options: names }));
  }

  function show(along) {
    const group = groupOf(model);
    const chosen = publishedOf(model);
    const standard = chosen.standard ?? null;
    const limits = model.get("limits")[chosen.model] ?? {};
    drawPublished(chart, group, chosen, standard, group.noun === "document" ? limits : {}, along);
    said.textContent = publishedWords(group, chosen, standard, limits.closed_book, along);
    source.textContent = `Source: ${chosen.source}.`;
    chart.setAttribute(
      "aria-label",
      `Accuracy of ${chosen.model} by place: ${chosen.accuracy.join(", ")} percent at places ${chosen.positions.join(", ")}.`,
    );
  }
  return { part: element("div", {}, heading, row), chart, build, show };
}

// A place of the grid: one position code, one way to ask. What was not trained keeps its place.
function panelView(positions, asks) {
  const chart = newTrained();
  const depth = element("b", { class: "middle-dip" });
  const name = element("span", { class: "middle-name" }, positions);
  const right = element("span", { class: "middle-right" });
  const heading = element("p", { class: "middle-heading" }, name, depth);
  const missing = element("p", { class: "middle-missing" }, "not trained");
  const node = element("div", { class: "middle-panel" }, heading, right, chart, missing);
  const show = (runs, gold, most) => {
    const run = runs.find((one) => one.positions === positions && one.asks === asks);
    node.classList.toggle("middle-absent", !run);
    node.classList.toggle("middle-u", Boolean(run?.isU));
    depth.textContent = run ? `dip ${points(run.dip)}` : "";
    right.textContent = run ? `${run.right.toFixed(0)} % right${run.ended ? `, ended at ${run.steps.at(-1)}` : ""}` : "";
    if (!run) return;
    drawTrained(chart, run, gold, most);
    chart.setAttribute(
      "aria-label",
      `${positions}, asked ${asks}, after ${run.steps[run.moment]} updates: dip ${points(run.dip)}; ` +
        `accuracy by place ${run.middle.map((one) => one.toFixed(0)).join(", ")} percent.`,
    );
  };
  return { node, chart, show };
}

// Our readers: a row of panels for each way to ask.
function trainedView(model) {
  const ours = model.get("ours");
  const panels = [];
  const rows = each(ours, "asks").map((asks) => {
    const of = each(ours, "positions").map((positions) => panelView(positions, asks));
    panels.push(...of);
    const { asked } = ours.find((run) => run.asks === asks);
    const title = element("p", { class: "middle-title" }, `Training asked ${asks} `, askedChart(asked));
    return element("div", {}, title, element("div", { class: "middle-grid" }, ...of.map(({ node }) => node)));
  });
  const said = readout();
  const show = (gold) => {
    const { runs, most, words } = readers(model);
    panels.forEach((panel) => panel.show(runs, gold, most));
    said.textContent = words;
  };
  return { parts: rows, said, charts: panels.map(({ chart }) => chart), show };
}

// The updates go as far as the architecture's record.
function controls(model, places) {
  const recorded = model.get("steps");
  const bar = toolbar(
    slider(model, "moment", {
      label: "Updates",
      min: 0,
      max: recorded.length - 1,
      format: (moment) => recorded[moment].toLocaleString("en"),
    }),
    segmented(model, "architecture", {
      label: "Reader",
      options: each(model.get("ours"), "architecture"),
    }),
    slider(model, "gold", {
      label: "Place of the answer",
      min: 0,
      max: places - 1,
      format: (gold) => `${gold + 1} of ${places}`,
    }),
  );
  const range = bar.querySelector('input[type="range"]');
  const stop = follow(model, "architecture", () => {
    const runs = model.get("ours").filter((run) => run.architecture === model.get("architecture"));
    const last = recorded.indexOf(Math.max(...runs.map((run) => run.steps.at(-1))));
    range.max = last;
    if (model.get("moment") > last) store(model, "moment", last);
  });
  return { bar, stop };
}

// A drag over a chart; the edges are the shares of its width where the first place begins and the
// last ends. `move` is told how far along the pointer is.
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

// What a narrow page shows one at a time: a row of panels for each way to ask, and the paper's curves.
const NARROW = 640;

function partsOf(model, root, rows, theirs) {
  const asked = each(model.get("ours"), "asks").map((asks, at) => [`asked ${asks}`, rows[at]]);
  const legend = element("p", { class: "middle-legend" }, LEGEND);
  const all = element("div", {}, ...rows, legend, theirs);
  const parts = [...asked, ["the paper's", theirs]];
  return { all, ...oneAtATime(model, { root, all, parts, narrow: NARROW }) };
}

function guide(model) {
  const list = model.get("tries").map(({ words, architecture, moment }) => [words, { architecture, moment }]);
  return steps(model, model.get("question"), list);
}

function render({ model, el }) {
  const places = model.get("ours")[0].asked.length;
  const moveTo = (along) => {
    const gold = clamp(Math.floor(along * places), 0, places - 1);
    if (gold !== model.get("gold")) store(model, "gold", gold);
  };
  const theirs = publishedView(model);
  const ours = trainedView(model);
  const { bar, stop: stopControls } = controls(model, places);
  const root = element("div", { class: "middle" });
  const parts = partsOf(model, root, ours.parts, theirs.part);
  root.append(guide(model), ours.said, bar, parts.bar, parts.all);
  el.append(root);
  parts.fit();
  dragOver(theirs.chart, edgesOfPublished(places), moveTo);
  ours.charts.forEach((chart) => dragOver(chart, edgesOfTrained(places), moveTo));

  let building = false;
  const draw = () => {
    if (!building && publishedOf(model)) theirs.show(share(model.get("gold"), places));
  };
  const stops = [
    stopControls,
    parts.stop,
    follow(model, "group", () => {
      building = true; // until the model is one of the group's
      theirs.build();
      building = false;
      draw();
    }),
    follow(model, "model gold", draw),
    follow(model, "architecture moment gold", () => ours.show(model.get("gold"))),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
