// A sentence climbs the layers of a trained model and loses tokens on the way. The reader sets how
// many each layer keeps; the model runs again in the page.
import { element, quantity, readout, segmented, select, slider, store, button, toolbar } from "../../show/controls.js";
import { flops, forward, unpack } from "./elimination_formulas.js";

const percent = (value) => `${(100 * value).toFixed(0)} %`;

// The words of one row, in elements that stay, so that a word that goes can fade. The style sheet
// writes the word: a faded one is a picture of a word, and need not be legible.
function row(title, words) {
  const count = element("span", { class: "pruning-count" });
  const heading = element("p", { class: "pruning-heading" }, element("span", {}, title), count);
  const nodes = words.map((word) =>
    element("span", { class: "pruning-token", "data-word": word }),
  );
  const text = element("p", { class: "pruning-words" });
  nodes.forEach((node) => text.append(node, " "));
  return { node: element("div", { class: "pruning-row" }, heading, text), nodes, count };
}

// kept: darker with more attention; dropped by this layer; or gone before it, and not read aloud.
function mark(node, fate, heat, hint) {
  node.className = `pruning-token pruning-${fate}`;
  node.style.setProperty("--pruning-heat", `${Math.round(100 * heat)}%`);
  node.title = hint;
  if (fate === "gone") node.setAttribute("aria-hidden", "true");
  else node.removeAttribute("aria-hidden");
}

function render({ model, el }) {
  const shape = model.get("shape");
  const classes = model.get("classes");
  const examples = model.get("examples");
  const presets = model.get("presets");
  const layers = model.get("layers");
  const names = Array.from({ length: layers }, (_, layer) => `keep_${layer + 1}`);
  const models = Object.fromEntries(
    Object.entries(model.get("weights")).map(([name, text]) => [name, unpack(text, shape.parameters)]),
  );
  const longest = Math.max(...examples.map((example) => example.ids.length));

  const rows = element("div", { class: "pruning-rows" });
  const bars = element("div", { class: "pruning-bars" });
  const said = readout();
  const settled = new Map(); // what `set` wrote, so that its own changes are not moves
  let drawn = [];

  // A schedule never grows: the layers above follow down, those below follow up.
  function set(keep) {
    names.forEach((name, layer) => settled.set(name, keep[layer]));
    names.forEach((name, layer) => {
      if (model.get(name) !== keep[layer]) model.set(name, keep[layer]);
    });
    model.save_changes();
    draw();
  }

  function moved(layer) {
    const value = model.get(names[layer]);
    if (settled.get(names[layer]) === value) return;
    set(names.map((name, other) => {
      const keep = model.get(name);
      return other < layer ? Math.max(keep, value) : Math.min(keep, value);
    }));
  }

  function newRows() {
    const example = examples[model.get("example")];
    const titles = ["Input", ...names.map((_, layer) => `Layer ${layer + 1}`)];
    drawn = titles.map((title) => row(title, example.words));
    drawn[0].count.textContent = `${example.words.length} tokens`;
    rows.replaceChildren(...drawn.map((one) => one.node).reverse());
  }

  function draw() {
    const example = examples[model.get("example")];
    const weights = models[model.get("model")];
    const length = example.ids.length;
    const keep = names.map((name) => model.get(name));
    const everything = keep.map(() => length);
    const run = forward(weights, shape, example.ids, keep, model.get("order"));
    const all = forward(weights, shape, example.ids, everything);
    run.layers.forEach(({ places, received, left }, layer) => {
      const stay = new Set(left);
      const top = Math.max(...received);
      const { nodes, count } = drawn[layer + 1];
      count.textContent = `keeps ${left.length} of ${places.length}`;
      nodes.forEach((node) => mark(node, "gone", 0, "dropped before"));
      places.forEach((place, index) => {
        const hint = `receives ${((100 * received[index]) / (places.length * shape.heads)).toFixed(1)} % of the attention`;
        mark(nodes[place], stay.has(place) ? "kept" : "dropped", received[index] / top, hint);
      });
    });

    const best = run.probabilities.indexOf(Math.max(...run.probabilities));
    bars.replaceChildren(
      ...classes.map((name, index) => {
        const value = run.probabilities[index];
        const fill = element("span", { class: "pruning-fill" });
        fill.style.width = `${100 * value}%`;
        const before = element("span", { class: "pruning-before" });
        before.style.left = `${100 * all.probabilities[index]}%`;
        const label = element("span", { class: "pruning-class" }, name + (index === example.answer ? " ✓" : ""));
        const bar = element("span", { class: "pruning-bar", "aria-hidden": "true" }, fill, before);
        const shown = element("span", { class: "pruning-percent", "data-value": value }, percent(value));
        return element("div", { class: "pruning-line" }, label, bar, shown);
      }),
    );
    const right = run.probabilities[example.answer];
    const cost = flops(keep, length, shape.width, shape.inner);
    const share = cost / flops(everything, length, shape.width, shape.inner);
    const lastLeft = run.layers[layers - 1].left.length;
    said.textContent =
      `${lastLeft} of ${length} tokens reach the end. The model says ${classes[best]}, which is ` +
      `${best === example.answer ? "right" : `wrong: it is ${classes[example.answer]}`}. The right answer has ` +
      `${percent(right)}, and ${percent(all.probabilities[example.answer])} with all tokens. ` +
      `The layers take ${percent(share)} of the FLOPs (${quantity(cost)}).`;
  }

  const listeners = names.map((name, layer) => [`change:${name}`, () => moved(layer)]);
  listeners.push(["change:example", newRows], ["change:example change:model change:order", draw]);
  listeners.forEach(([event, listener]) => model.on(event, listener));
  names.forEach((name) => settled.set(name, model.get(name)));

  const chosen = toolbar(
    select(model, "example", {
      label: "Story",
      options: examples.map((example, index) => [index, example.label]),
    }),
    segmented(model, "order", {
      label: "Keep",
      options: [
        ["significance", "most attended"],
        ["chance", "by chance"],
        ["first", "first ones"],
      ],
    }),
  );
  if (Object.keys(models).length > 1) {
    chosen.append(segmented(model, "model", { label: "Trained", options: Object.keys(models) }));
  }
  const schedule = element("fieldset", { class: "pruning-schedule" }, element("legend", {}, "Tokens that leave each layer"));
  names.forEach((name, layer) =>
    schedule.append(slider(model, name, { label: `Layer ${layer + 1}`, min: 1, max: longest })),
  );
  const ready = toolbar(
    ...Object.entries(presets).map(([label, keep]) => button(label, () => set(keep))),
  );
  el.append(
    element(
      "div",
      { class: "pruning" },
      chosen,
      schedule,
      ready,
      said,
      element("p", { class: "pruning-title" }, `${model.get("question")} (a line marks what all tokens give)`),
      bars,
      element("p", { class: "pruning-title" }, "Read from below: darker words receive more attention"),
      rows,
    ),
  );
  newRows();
  draw();
  return () => listeners.forEach(([event, listener]) => model.off(event, listener));
}

export default { render };
