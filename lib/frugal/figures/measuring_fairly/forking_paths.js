// A garden of forking paths: a change, its tries and tasks, and what a thousand such studies tell.
import { button, checkbox, element, guide, readout, segmented, select, shape, slider, store, toolbar } from "../../show/controls.js";
import { follow, mean, percent, read, svg, text, widthOf } from "../../show/drawing.js";
import { binned, nominal, play } from "./garden_formulas.js";

const STUDIES = 1000;
const [BATCH, WAIT, BINS] = [25, 100, 40];
const [TREE, CHART, GAUGE, TOP] = [210, 120, 44, 34];
const OPTIONS = "source seeds tries tasks effect equal rule told chosen seed";

// Everything that is drawn, from the state.
export function garden(model) {
  const { equal, source, seed, ...study } = read(model, OPTIONS);
  const noise = model.get("noise")[source];
  const baseline = equal ? study.tries : 1;
  const limit = model.get("limits")[study.seeds];
  const studies = play({ ...study, baseline }, noise, limit, STUDIES, seed);
  const widest = Math.max(...noise.map(([, test]) => Math.abs(test)));
  const reach = Math.ceil(1.6 * widest + study.effect);
  return { studies, study: { ...study, equal }, reach, nominal: nominal(study.rule) };
}

export function winsOf(studies) {
  return studies.filter(({ win }) => win).length;
}

// +1.9, −0.4, 0.0
function signed(value) {
  const rounded = value.toFixed(1).replace("-", "−");
  return Number(value.toFixed(1)) > 0 ? `+${rounded}` : rounded.replace("−0.0", "0.0");
}

function sentence({ studies, study, nominal: rate }) {
  if (study.rule === "t test" && study.seeds < 2) return "A t test needs two seeds or more: no study has a result.";
  const wins = winsOf(studies);
  const told = `${wins} of ${STUDIES} studies say that the change helps: ${percent(wins / STUDIES, 1)}. A study tells ${signed(mean(studies.map(({ difference }) => difference)))} points on average.`;
  if (study.effect > 0) return `${told} It really adds ${study.effect.toFixed(1)} points.`;
  return `${told} The change does nothing; by this rule it should win in ${percent(rate)}.`;
}

const acrossOf = (reach, from, to) => (value) => from + ((Math.min(reach, Math.max(-reach, value)) + reach) / (2 * reach)) * (to - from);

// The paths of one study, and where each ends.
function tree({ leaves, taken, task, difference }, { reach, study }, width) {
  const [root, fork, leaf] = [12, width * 0.16, width * 0.32];
  const x = acrossOf(reach, width * 0.38, width - 12);
  const rows = study.tries * study.tasks;
  const step = Math.min(18, (TREE - TOP - 12) / rows);
  const middle = TOP + (TREE - TOP - 12) / 2;
  const y = (row) => middle + (row - (rows - 1) / 2) * step;
  const center = (at) => y(at * study.tasks + (study.tasks - 1) / 2);
  const isTold = (at, one) => taken[one] === at && (task === null || task === one);
  const order = leaves.flatMap((tasks, at) => tasks.map((apart, one) => ({ at, one, apart, told: isTold(at, one) })));
  order.sort((a, b) => a.told - b.told);
  const ends = order.flatMap(({ at, one, apart, told }) => {
    const row = y(at * study.tasks + one);
    const bend = `M${root} ${middle}C${fork * 0.6} ${middle} ${fork * 0.5} ${center(at)} ${fork} ${center(at)}`;
    const path = `${bend}C${(fork + leaf) / 2} ${center(at)} ${(fork + leaf) / 2} ${row} ${leaf} ${row}`;
    const name = told ? "fork-told" : "fork-other";
    return [
      shape("path", { class: `fork-path ${name}`, d: `${path}H${x(apart)}` }),
      shape("circle", { class: `fork-end ${name}`, "data-value": apart, cx: x(apart), cy: row, r: told && task !== null ? 5 : Math.min(3, step / 2 + 0.6) }),
    ];
  });
  if (task !== null) return ends;
  const mark = { class: "fork-mean", "data-value": difference, d: `M${x(difference)} ${TOP - 12}V${TREE - 4}` };
  return [...ends, shape("path", mark)];
}

function headings({ reach, study }, width) {
  const x = acrossOf(reach, width * 0.38, width - 12);
  const counted = (n, one, more) => `${n} ${n === 1 ? one : more}`;
  return [
    text(4, 14, `${counted(study.tries, "try", "tries")}, ${counted(study.tasks, "task", "tasks")}`),
    text(width - 12, 14, "points above the baseline", { anchor: "end" }),
    shape("path", { class: "fork-zero", d: `M${x(0)} ${TOP - 12}V${TREE - 4}` }),
  ];
}

// What the studies so far tell: the told differences, those that win on top.
function histogram(seen, { reach, study }, width, most) {
  const x = acrossOf(reach, 12, width - 12);
  const base = CHART - 20;
  const bins = [false, true].map((win) => binned(seen.filter((one) => one.win === win).map((one) => one.difference), -reach, reach, BINS));
  const step = (width - 24) / BINS;
  const tall = (count) => (count / most) * (base - 6);
  const bar = (win, bin, count, from) =>
    shape("rect", { class: win ? "fork-win" : "fork-loss", x: 12 + bin * step, width: Math.max(1, step - 1), y: base - tall(from + count), height: tall(count) });
  const marks = [-reach, 0, reach].map((value, at) => text(x(value), CHART - 4, value > 0 ? `+${value}` : String(value), { anchor: ["start", "middle", "end"][at] }));
  const effect = study.effect > 0 ? [shape("path", { class: "fork-effect", d: `M${x(study.effect)} 4V${base}` })] : [];
  return [
    ...bins[0].map((count, bin) => bar(false, bin, count, 0)),
    ...bins[1].map((count, bin) => bar(true, bin, count, bins[0][bin])),
    shape("path", { class: "fork-zero", d: `M${x(0)} 4V${base}` }),
    ...effect,
    ...marks,
  ];
}

// The share of wins as a bar, with a mark where a change of no effect should be.
function gauge(seen, { nominal: rate }, width) {
  const share = seen.length ? winsOf(seen) / seen.length : 0;
  const x = (part) => 12 + part * (width - 24);
  return [
    text(12, 12, `${winsOf(seen)} of ${seen.length} studies say that it helps: ${percent(share, 1)}`),
    shape("rect", { class: "fork-frame", x: 12, y: 18, width: width - 24, height: 14 }),
    shape("rect", { class: "fork-share", "data-value": share, x: 12, y: 18, width: Math.max(0, x(share) - 12), height: 14 }),
    shape("path", { class: "fork-nominal", d: `M${x(rate)} 14V36` }),
    text(x(rate), 44, `by the rule ${percent(rate)}`, { anchor: rate < 0.2 ? "start" : "middle" }),
  ];
}

// Studies appear one batch after the other; `draw` gets how many there are.
function playerOf(draw, done) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  let [shown, timer] = [0, null];
  const stop = () => {
    clearInterval(timer);
    timer = null;
  };
  const advance = () => {
    shown = Math.min(STUDIES, shown + BATCH);
    draw(shown);
    if (shown < STUDIES) return;
    stop();
    done();
  };
  const go = () => {
    if (timer === null && shown < STUDIES) timer = setInterval(advance, WAIT);
  };
  const begin = () => {
    stop();
    shown = calm.matches ? STUDIES - BATCH : 0;
    advance();
    if (!calm.matches) go();
  };
  const turn = () => (timer === null ? go() : stop());
  return { begin, stop, turn, playing: () => timer !== null, over: () => shown === STUDIES };
}

function controls(model) {
  const whole = (name, label, max) => slider(model, name, { label, min: 1, max });
  const chosen = [
    ["test", "test scores"],
    ["validation", "validation scores"],
    ["validation, run again", "validation, then new seeds"],
  ];
  const several = {
    tries: [checkbox(model, "equal", { label: "as many tries for the baseline" }), select(model, "chosen", { label: "The best try by", options: chosen })],
    tasks: [segmented(model, "told", { label: "Told:", options: [["best", "the best task"], ["mean", "the mean of all"]] })],
  };
  const points = { label: "True effect", min: 0, max: 3, step: 0.1, format: (value) => `${value.toFixed(1)} points` };
  const node = element(
    "div",
    {},
    toolbar(whole("seeds", "Seeds", 10), whole("tries", "Tries", 10), ...several.tries, whole("tasks", "Tasks", 8), ...several.tasks),
    toolbar(
      segmented(model, "rule", { label: "A win is", options: [["higher", "a higher mean"], ["t test", "a t test, 5 %"]] }),
      slider(model, "effect", points),
      select(model, "source", { label: "Noise from", options: Object.keys(model.get("noise")) }),
    ),
  );
  // What asks which of several has nothing to ask where there is one.
  const update = () =>
    Object.entries(several).forEach(([name, nodes]) =>
      nodes.flatMap((one) => [...one.querySelectorAll("input, select")]).forEach((input) => (input.disabled = model.get(name) === 1)),
    );
  return { node, update };
}

// The three pictures, and how they are drawn from what there is so far.
function scene(width) {
  const paths = svg(width, TREE, { "aria-label": "The paths of one study, and the one that is told" });
  const chart = svg(width, CHART, { "aria-label": "What the studies tell" });
  const share = svg(width, GAUGE + 6, { "aria-label": "The share of studies that say that the change helps" });
  const drawn = (found, shown) => {
    const seen = found.studies.slice(0, shown);
    const all = binned(found.studies.map(({ difference }) => difference), -found.reach, found.reach, BINS);
    paths.replaceChildren(...headings(found, width), ...tree(seen.at(-1), found, width));
    chart.replaceChildren(...histogram(seen, found, width, Math.max(...all)));
    share.replaceChildren(...gauge(seen, found, width));
  };
  return { nodes: [paths, share, chart], drawn };
}

function render({ model, el }) {
  const { nodes, drawn } = scene(widthOf(el));
  const { node, update } = controls(model);
  const said = readout();
  let found = null;
  let waiting = false;
  const label = () => (turn.textContent = player.playing() ? "Pause" : player.over() ? "Another thousand" : "Play");
  const player = playerOf(
    (shown) => drawn(found, shown),
    () => {
      said.textContent = sentence(found);
      label();
    },
  );
  const turn = button("Play", () => {
    if (player.over()) store(model, "seed", model.get("seed") + 1);
    else player.turn();
    label();
  });
  el.append(element("div", { class: "fork" }, ...guide(model), node, said, ...nodes, toolbar(turn)));
  const restart = () => {
    waiting = false;
    update();
    found = garden(model);
    said.textContent = "A thousand studies are made, one after the other.";
    player.begin();
    label();
  };
  const stop = follow(model, OPTIONS, () => {
    if (found === null) restart();
    else if (!waiting) {
      waiting = true;
      queueMicrotask(restart);
    }
  });
  return () => {
    player.stop();
    stop();
  };
}

export default { render };
