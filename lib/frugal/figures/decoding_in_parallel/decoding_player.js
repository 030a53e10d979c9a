// Several ways to write one text, on one clock. Each lane shows the text after as many parallel
// steps as the clock says; a lane that needs fewer steps stands still when it has finished.
import { button, element, guide, onKeys, readout, select, slider, store, toolbar } from "../../show/controls.js";
import { clamp, follow, percent } from "../../show/drawing.js";

const MILLISECONDS_A_STEP = 700;

// The text of a run after `step` parallel steps; before the first every position is empty.
export function after(run, step) {
  if (step > 0) return run.steps[Math.min(step, run.steps.length) - 1];
  const empty = run.steps[0].symbols.map(() => "");
  return { symbols: empty, probability: empty.map(() => 0), fresh: [], doubtful: [] };
}

export function longest(example) {
  return Math.max(...example.runs.map((run) => run.steps.length));
}

// One sentence a lane: how far it is, and what it says.
export function describe(example, step) {
  const lanes = example.runs.map((run) => {
    const text = after(run, step)
      .symbols.map((symbol) => symbol || "·")
      .join("");
    if (step < run.steps.length) return `${run.name}: ${text}`;
    return `${run.name}: ${text}, ${run.right ? "right" : "wrong"} after ${run.steps.length}`;
  });
  return `Step ${step} of ${longest(example)}. ${lanes.join("; ")}.`;
}

function visible(symbol) {
  return symbol === " " ? "␣" : symbol;
}

// The reader's clock: where it stands, how far it can go, and what moves it.
function clockOf(model) {
  const example = () => model.get("examples")[model.get("example")];
  const last = () => longest(example());
  const goTo = (step) => store(model, "step", clamp(step, 0, last()));
  const move = (by) => {
    store(model, "playing", false);
    goTo(model.get("step") + by);
  };
  const turn = () => store(model, "playing", !model.get("playing"));
  return { example, last, goTo, move, turn };
}

// How many symbols the longest text has: each lane keeps its room.
function mostSymbols(examples) {
  return Math.max(...examples.flatMap(({ runs }) => runs.map((run) => run.steps[0].symbols.length)));
}

function inSteps({ steps }) {
  return steps.length === 1 ? "1 step" : `${steps.length} steps`;
}

function laneNode(run, count, most) {
  const cells = run.steps[0].symbols.map(() =>
    element("span", { class: "decoding-cell" }, element("b", {}), element("i", {})),
  );
  const longest = `✗ wrong, ${inSteps(run)}`;
  const room = Array.from({ length: most - cells.length }, () => element("span", { class: "decoding-room" }));
  const ticks = Array.from({ length: count }, (_, at) =>
    element("i", { class: at < run.steps.length ? "decoding-tick" : "decoding-idle" }),
  );
  return element(
    "section",
    { class: "decoding-lane", "aria-label": run.name },
    element(
      "p",
      { class: "decoding-name" },
      element("span", {}, run.name),
      element("span", { class: "decoding-verdict", "data-longest": longest }),
    ),
    element("div", { class: "decoding-text" }, ...cells, ...room),
    element("div", { class: "decoding-time", "aria-hidden": "true" }, ...ticks),
  );
}

function drawCell(cell, at, { symbols, probability, fresh, doubtful }, over) {
  const [letter, bar] = cell.children;
  letter.textContent = visible(symbols[at]);
  bar.style.height = `${Math.round(100 * probability[at])}%`;
  cell.dataset.probability = probability[at];
  cell.classList.toggle("decoding-fresh", fresh.includes(at) && !over);
  cell.classList.toggle("decoding-doubtful", doubtful.includes(at));
  cell.classList.toggle("decoding-space", symbols[at] === " ");
  cell.title = symbols[at] ? `“${symbols[at]}”: ${percent(probability[at], 0)}` : "";
}

function drawLane(lane, run, step) {
  const shown = after(run, step);
  const count = run.steps.length;
  const done = step >= count;
  const cells = lane.querySelectorAll(".decoding-cell");
  cells.forEach((cell, at) => drawCell(cell, at, shown, step > count));
  lane
    .querySelectorAll(".decoding-time i")
    .forEach((tick, at) => tick.classList.toggle("decoding-past", at < Math.min(step, count)));
  const verdict = lane.querySelector(".decoding-verdict");
  verdict.textContent = done ? `${run.right ? "✓ right" : "✗ wrong"}, ${inSteps(run)}` : inSteps(run);
  verdict.classList.toggle("decoding-right", done && run.right);
  verdict.classList.toggle("decoding-wrong", done && !run.right);
}

function lanesView({ move, turn }, most) {
  const node = element("div", {
    class: "decoding-lanes",
    role: "group",
    tabindex: 0,
    "aria-label": "Texts being written. Space plays, arrow keys step, Home and End go to the ends.",
  });
  const moves = {
    " ": turn,
    ArrowRight: () => move(1),
    ArrowLeft: () => move(-1),
    Home: () => move(-Infinity),
    End: () => move(Infinity),
  };
  onKeys(node, moves, (act) => act());
  const build = ({ runs }, count) => node.replaceChildren(...runs.map((run) => laneNode(run, count, most)));
  const draw = ({ runs }, step) =>
    [...node.children].forEach((lane, at) => runs[at] && drawLane(lane, runs[at], step));
  return { node, build, draw };
}

function legend() {
  const item = (name, words) =>
    element("span", {}, element("i", { class: `decoding-${name}` }), words);
  return element(
    "p",
    { class: "decoding-legend", "aria-hidden": "true" },
    item("fresh", "written in this step"),
    item("doubtful", "masked again next"),
    item("sure", "the higher, the surer"),
  );
}

// Plays while the state says so; gives what to do when that changes, and how to stop for good.
function player(model, clock, pause) {
  let timer = null;
  const tick = () => {
    clock.goTo(model.get("step") + 1);
    if (model.get("step") === clock.last()) store(model, "playing", false);
  };
  const update = () => {
    clearInterval(timer);
    if (!model.get("playing")) {
      pause();
      return;
    }
    if (model.get("step") === clock.last()) clock.goTo(0);
    timer = setInterval(tick, MILLISECONDS_A_STEP);
  };
  return { update, stop: () => clearInterval(timer) };
}

function render({ model, el }) {
  const clock = clockOf(model);
  const lanes = lanesView(clock, mostSymbols(model.get("examples")));
  const said = readout();
  said.classList.add("frugal-spoken");
  const play = button("Play", clock.turn);
  play.classList.add("decoding-play");
  const back = button("◀ Step", () => clock.move(-1));
  const forth = button("Step ▶", () => clock.move(1));
  const time = element("div", { class: "decoding-clock" });
  const titles = model.get("examples").map(({ source }, index) => [index, source]);
  const choice = titles.length > 1 ? [select(model, "example", { label: "Write", options: titles })] : [];
  const tools = toolbar(...choice, play, back, forth, time);
  el.append(element("div", { class: "decoding" }, ...guide(model), tools, lanes.node, legend(), said));

  const draw = () => {
    const step = model.get("step");
    lanes.draw(clock.example(), step);
    back.disabled = step === 0;
    forth.disabled = step === clock.last();
    if (!model.get("playing")) said.textContent = describe(clock.example(), step);
  };
  const build = () => {
    const max = clock.last();
    if (model.get("step") > max) clock.goTo(max);
    time.replaceChildren(slider(model, "step", { label: "Parallel step", min: 0, max }));
    lanes.build(clock.example(), max);
    draw();
  };
  const playing = player(model, clock, draw);
  const stops = [
    follow(model, "example", build),
    follow(model, "step", draw),
    follow(model, "playing", () => {
      play.textContent = model.get("playing") ? "Pause" : "Play";
      playing.update();
    }),
    playing.stop,
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
