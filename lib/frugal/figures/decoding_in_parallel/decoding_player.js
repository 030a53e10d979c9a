// Several ways to write one text, on one clock. Each lane shows the text after as many parallel
// steps as the clock says; a lane that needs fewer steps stands still when it has finished.
import { button, element, readout, select, slider, store, toolbar } from "../../show/controls.js";

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

function render({ model, el }) {
  const example = () => model.get("examples")[model.get("example")];
  const lanes = element("div", {
    class: "decoding-lanes",
    role: "group",
    tabindex: 0,
    "aria-label": "Texts being written. Space plays, arrow keys step, Home and End go to the ends.",
  });
  const said = readout();
  const play = button("Play", () => store(model, "playing", !model.get("playing")));
  play.classList.add("decoding-play");
  const back = button("◀ Step", () => move(-1));
  const forth = button("Step ▶", () => move(1));
  const clock = element("div", { class: "decoding-clock" });
  const titles = model.get("examples").map(({ source }, index) => [index, source]);
  const legend = element(
    "p",
    { class: "decoding-legend", "aria-hidden": "true" },
    element("span", {}, element("i", { class: "decoding-fresh" }), "written in this step"),
    element("span", {}, element("i", { class: "decoding-doubtful" }), "masked again next"),
    element("span", {}, element("i", { class: "decoding-sure" }), "the higher, the surer"),
  );
  el.append(
    element(
      "div",
      { class: "decoding" },
      toolbar(
        ...(titles.length > 1
          ? [select(model, "example", { label: "Write", options: titles })]
          : []),
        play,
        back,
        forth,
        clock,
      ),
      lanes,
      legend,
      said,
    ),
  );

  function move(by) {
    store(model, "playing", false);
    goTo(model.get("step") + by);
  }

  function goTo(step) {
    store(model, "step", Math.min(longest(example()), Math.max(0, step)));
  }

  function build() {
    const count = longest(example());
    if (model.get("step") > count) goTo(count);
    clock.replaceChildren(
      slider(model, "step", { label: "Parallel step", min: 0, max: count }),
    );
    lanes.replaceChildren(
      ...example().runs.map((run) => {
        const cells = run.steps[0].symbols.map(() =>
          element("span", { class: "decoding-cell" }, element("b", {}), element("i", {})),
        );
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
            element("span", { class: "decoding-verdict" }),
          ),
          element("div", { class: "decoding-text" }, ...cells),
          element("div", { class: "decoding-time", "aria-hidden": "true" }, ...ticks),
        );
      }),
    );
    draw();
  }

  function drawLane(lane, run, step) {
    const shown = after(run, step);
    const over = step >= run.steps.length;
    [...lane.querySelectorAll(".decoding-cell")].forEach((cell, at) => {
      const symbol = shown.symbols[at];
      const [letter, bar] = cell.children;
      letter.textContent = visible(symbol);
      bar.style.height = `${Math.round(100 * shown.probability[at])}%`;
      cell.dataset.probability = shown.probability[at];
      const fresh = shown.fresh.includes(at) && step <= run.steps.length;
      cell.classList.toggle("decoding-fresh", fresh);
      cell.classList.toggle("decoding-doubtful", shown.doubtful.includes(at));
      cell.classList.toggle("decoding-space", symbol === " ");
      cell.title = symbol ? `“${symbol}”: ${Math.round(100 * shown.probability[at])} %` : "";
    });
    [...lane.querySelectorAll(".decoding-time i")].forEach((tick, at) =>
      tick.classList.toggle("decoding-past", at < Math.min(step, run.steps.length)),
    );
    const verdict = lane.querySelector(".decoding-verdict");
    const steps = run.steps.length === 1 ? "1 step" : `${run.steps.length} steps`;
    verdict.textContent = over ? `${run.right ? "✓ right" : "✗ wrong"}, ${steps}` : steps;
    verdict.classList.toggle("decoding-right", over && run.right);
    verdict.classList.toggle("decoding-wrong", over && !run.right);
  }

  function draw() {
    const step = model.get("step");
    [...lanes.children].forEach((lane, at) => {
      const run = example().runs[at];
      if (run) drawLane(lane, run, step);
    });
    back.disabled = step === 0;
    forth.disabled = step === longest(example());
    if (!model.get("playing")) said.textContent = describe(example(), step);
  }

  let timer = null;
  function playOrPause() {
    const playing = model.get("playing");
    play.textContent = playing ? "Pause" : "Play";
    clearInterval(timer);
    if (!playing) {
      draw();
      return;
    }
    if (model.get("step") === longest(example())) goTo(0);
    timer = setInterval(() => {
      goTo(model.get("step") + 1);
      if (model.get("step") === longest(example())) store(model, "playing", false);
    }, MILLISECONDS_A_STEP);
  }

  lanes.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const keys = {
      " ": () => store(model, "playing", !model.get("playing")),
      ArrowRight: () => move(1),
      ArrowLeft: () => move(-1),
      Home: () => move(-Infinity),
      End: () => move(Infinity),
    };
    if (!(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });

  model.on("change:example", build);
  model.on("change:step", draw);
  model.on("change:playing", playOrPause);
  build();
  playOrPause();
  return () => {
    clearInterval(timer);
    model.off("change:example", build);
    model.off("change:step", draw);
    model.off("change:playing", playOrPause);
  };
}

export default { render };
