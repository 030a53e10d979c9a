// A sentence climbs the layers of a trained model and loses tokens on the way. The reader sets how
// many each layer keeps; the model runs again in the page.
import { button, element, quantity, readout, segmented, select, slider, steps, toolbar } from "../../show/controls.js";
import { follow, percent } from "../../show/drawing.js";
import { unpack } from "../../show/models.js";
import { flops, forward } from "./elimination_formulas.js";

const ORDERS = [
  ["significance", "most attended"],
  ["chance", "by chance"],
  ["first", "first ones"],
];

// The style sheet writes the word: a faded one is a picture of a word, and need not be legible.
function wordNodes(words) {
  return words.map((word) => element("span", { class: "pruning-token", "data-word": word }));
}

function wordsNode(kind, nodes) {
  const text = element("p", { class: kind });
  nodes.forEach((node) => text.append(node, " "));
  return text;
}

// A layer: its slider and its words, in elements that stay, so that a word that goes can fade. Every
// story lies unseen behind the one that is shown, so that the height is that of the longest.
function row(model, name, layer, examples) {
  const longest = Math.max(...examples.map(({ ids }) => ids.length));
  const keeps = slider(model, name, { label: `Layer ${layer + 1}`, min: 1, max: longest });
  const count = element("span", { class: "pruning-count" });
  const place = element("div", { class: "pruning-story" });
  const unseen = examples.map(({ words }) => wordsNode("pruning-words pruning-unseen", wordNodes(words)));
  unseen.forEach((one) => one.setAttribute("aria-hidden", "true"));
  const heading = element("div", { class: "pruning-heading" }, keeps, count);
  const node = element("div", { class: "pruning-row" }, heading, place);
  const drawn = { node, count, nodes: [] };
  drawn.build = (words) => {
    drawn.nodes = wordNodes(words);
    place.replaceChildren(...unseen, wordsNode("pruning-words", drawn.nodes));
  };
  return drawn;
}

// kept: darker with more attention; dropped by this layer; or gone before it, and not read aloud.
function mark(node, fate, heat, hint) {
  node.className = `pruning-token pruning-${fate}`;
  node.style.setProperty("--pruning-heat", `${Math.round(100 * heat)}%`);
  node.title = hint;
  if (fate === "gone") node.setAttribute("aria-hidden", "true");
  else node.removeAttribute("aria-hidden");
}

// A row for each layer, the first at the bottom.
function rowsView(model, names) {
  const examples = model.get("examples");
  const drawn = names.map((name, layer) => row(model, name, layer, examples));
  const node = element("div", { class: "pruning-rows" }, ...drawn.map((one) => one.node).reverse());
  const build = ({ words }) => drawn.forEach((one) => one.build(words));
  const show = (run, heads) =>
    run.layers.forEach(({ places, received, left }, layer) => {
      const stay = new Set(left);
      const top = Math.max(...received);
      const { nodes, count } = drawn[layer];
      count.textContent = `keeps ${left.length} of ${places.length}`;
      nodes.forEach((word) => mark(word, "gone", 0, "dropped before"));
      places.forEach((place, index) => {
        const share = percent(received[index] / (places.length * heads), 1);
        const fate = stay.has(place) ? "kept" : "dropped";
        mark(nodes[place], fate, received[index] / top, `receives ${share} of the attention`);
      });
    });
  return { node, build, show };
}

// A bar for each class, and a line at what the model gives it with all tokens.
function barNodes(classes, answer, now, before) {
  return classes.map((name, index) => {
    const fill = element("span", { class: "pruning-fill", style: `width: ${100 * now[index]}%` });
    const style = `left: ${100 * before[index]}%`;
    const line = element("span", { class: "pruning-before", style });
    const label = index === answer ? `${name} ✓` : name;
    const value = { class: "pruning-percent", "data-value": now[index] };
    return element(
      "div",
      { class: "pruning-line" },
      element("span", { class: "pruning-class" }, label),
      element("span", { class: "pruning-bar", "aria-hidden": "true" }, fill, line),
      element("span", value, percent(now[index], 0)),
    );
  });
}

// The model on the chosen story, with the tokens that the state keeps and with all of them.
function computer(model, names) {
  const shape = model.get("shape");
  const models = Object.fromEntries(
    Object.entries(model.get("weights")).map(([name, text]) => [name, unpack(text, shape.parameters)]),
  );
  const complete = new Map(); // with all tokens: once for each story and model
  const withAll = (example, name, everything) => {
    const key = `${name} ${model.get("example")}`;
    if (!complete.has(key)) complete.set(key, forward(models[name], shape, example.ids, everything));
    return complete.get(key);
  };
  return () => {
    const example = model.get("examples")[model.get("example")];
    const weights = models[model.get("model")];
    const length = example.ids.length;
    const keep = names.map((name) => model.get(name));
    const everything = keep.map(() => length);
    const cost = flops(keep, length, shape.width, shape.inner);
    return {
      example,
      run: forward(weights, shape, example.ids, keep, model.get("order")),
      all: withAll(example, model.get("model"), everything),
      cost,
      share: cost / flops(everything, length, shape.width, shape.inner),
    };
  };
}

function sentence({ example, run, all, cost, share }, classes) {
  const { answer, ids } = example;
  const best = run.probabilities.indexOf(Math.max(...run.probabilities));
  const whole = (value) => percent(value, 0);
  const { length } = run.layers.at(-1).left;
  return (
    `${length} of ${ids.length} tokens ${length === 1 ? "reaches" : "reach"} the end. The model says ` +
    `${classes[best]}, which is ${best === answer ? "right" : `wrong: it is ${classes[answer]}`}. ` +
    `The right answer has ${whole(run.probabilities[answer])}, and ` +
    `${whole(all.probabilities[answer])} with all tokens. ` +
    `The layers take ${whole(share)} of the FLOPs (${quantity(cost)}).`
  );
}

// A schedule never grows: the layers above the one that is moved follow down, those below follow up.
// `set` writes a whole schedule and draws once.
function scheduleOf(model, names, draw) {
  const settled = new Map(); // what `set` wrote, so that its own changes are not moves
  const set = (keep) => {
    names.forEach((name, layer) => settled.set(name, keep[layer]));
    names.forEach((name, layer) => {
      if (model.get(name) !== keep[layer]) model.set(name, keep[layer]);
    });
    model.save_changes();
    draw();
  };
  const moved = (layer) => {
    const value = model.get(names[layer]);
    if (settled.get(names[layer]) === value) return;
    set(
      names.map((name, other) =>
        other < layer ? Math.max(model.get(name), value) : Math.min(model.get(name), value),
      ),
    );
  };
  names.forEach((name) => settled.set(name, model.get(name)));
  const stops = names.map((name, layer) => follow(model, name, () => moved(layer)));
  return { set, stop: () => stops.forEach((stop) => stop()) };
}

// The steps that Python gave, each a whole state: a schedule is set at once, and last.
function guide(model, names, set) {
  const go = (state) => {
    const rest = Object.entries(state).filter(([name]) => !names.includes(name));
    rest.forEach(([name, value]) => model.set(name, value));
    set(names.map((name) => state[name]));
  };
  const list = model.get("steps");
  return list.length ? [steps(model, model.get("ask"), list, go)] : [];
}

function controls(model, set) {
  const trained = Object.keys(model.get("weights"));
  const options = model.get("examples").map((example, index) => [index, example.label]);
  const presets = Object.entries(model.get("presets"));
  return toolbar(
    select(model, "example", { label: "Story", options }),
    segmented(model, "order", { label: "Keep", options: ORDERS }),
    ...(trained.length > 1 ? [segmented(model, "model", { label: "Trained", options: trained })] : []),
    element(
      "div",
      { class: "frugal-control", role: "group", "aria-label": "Layers keep" },
      element("span", { class: "pruning-presets" }, "Layers keep"),
      ...presets.map(([label, keep]) => button(label, () => set(keep))),
    ),
  );
}

function render({ model, el }) {
  const layers = model.get("layers");
  const names = Array.from({ length: layers }, (_, layer) => `keep_${layer + 1}`);
  const classes = model.get("classes");
  const { heads } = model.get("shape");
  const rows = rowsView(model, names);
  const bars = element("div", { class: "pruning-bars" });
  const said = readout();
  const compute = computer(model, names);
  const draw = () => {
    const found = compute();
    const { run, all, example } = found;
    rows.show(run, heads);
    bars.replaceChildren(...barNodes(classes, example.answer, run.probabilities, all.probabilities));
    said.textContent = sentence(found, classes);
  };
  const schedule = scheduleOf(model, names, draw);
  const stops = [
    schedule.stop,
    follow(model, "example", () => rows.build(model.get("examples")[model.get("example")])),
    follow(model, "example model order", draw),
  ];
  const title = (words) => element("p", { class: "pruning-title" }, words);
  el.append(
    element(
      "div",
      { class: "pruning" },
      ...guide(model, names, schedule.set),
      said,
      title(`${model.get("question")} (a line marks what all tokens give)`),
      bars,
      title("Read from below: dark words are attended most, orange ones dropped"),
      rows.node,
      controls(model, schedule.set),
    ),
  );
  return () => stops.forEach((stop) => stop());
}

export default { render };
