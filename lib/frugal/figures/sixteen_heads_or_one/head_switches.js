// A trained model whose heads the reader switches off: a grid of switches, the texts that it still
// reads rightly, and one of them in words. The model runs in the page.
import { button, element, guide, onKeys, readout, store, toolbar } from "../../show/controls.js";
import { follow, percent, sum } from "../../show/drawing.js";
import { unpack } from "../../show/models.js";
import { forward } from "./gated_encoder.js";

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

// off as the state has it, numbers counted through the layers -> a row of booleans for each layer.
export function switches(off, layers, heads) {
  const gone = new Set(off);
  return Array.from({ length: layers }, (_, layer) =>
    Array.from({ length: heads }, (_, head) => gone.has(layer * heads + head)),
  );
}

// The order's first head that is still on, switched off as well.
export function oneLess(off, order) {
  const next = order.find((number) => !off.includes(number));
  return next === undefined ? off : [...off, next].sort((a, b) => a - b);
}

const best = (probabilities) => probabilities.indexOf(Math.max(...probabilities));

function sentence({ off, found, examples, example, classes, layers, heads }) {
  const { answer } = examples[example];
  const right = found.filter((one, index) => best(one) === examples[index].answer).length;
  const said = best(found[example]);
  const verdict = said === answer ? "right" : `wrong: it is ${classes[answer]}`;
  return (
    `${layers * heads - off.length} of ${layers * heads} heads are on, and ${right} of ` +
    `${found.length} stories are read rightly. Of story ${example + 1} the model says ` +
    `${classes[said]}, which is ${verdict}. The right answer has ${percent(found[example][answer], 0)}.`
  );
}

// A switch for each head; arrow keys move among them.
function grid(model, { layers, heads }) {
  const importance = model.get("importance");
  const [total, most] = [sum(importance.flat()) || 1, Math.max(...importance.flat()) || 1];
  const flip = (number) => {
    const off = model.get("off");
    const others = off.filter((one) => one !== number);
    store(model, "off", others.length < off.length ? others : [...off, number].sort((a, b) => a - b));
  };
  const nodes = importance.map((row, layer) =>
    row.map((value, head) => {
      const style = `width: ${(100 * value) / most}%`;
      const bar = element("span", { class: "heads-bar", "aria-hidden": "true" }, element("span", { style }));
      const share = percent(value / total, 1);
      const words = element("span", { class: "heads-share" }, share);
      const label = `layer ${layer + 1}, head ${head + 1}, ${share} of all importance`;
      const onclick = () => flip(layer * heads + head);
      return element("button", { type: "button", class: "heads-switch", "aria-label": label, onclick }, words, bar);
    }),
  );
  nodes.forEach((row, layer) => row.forEach((node, head) =>
    onKeys(node, MOVES, ([down, right]) => nodes[layer + down]?.[head + right]?.focus()),
  ));
  const rows = nodes.map((row, layer) =>
    element("div", { class: "heads-row" }, element("span", { class: "heads-layer" }, `Layer ${layer + 1}`), ...row),
  );
  const show = (off) => off.forEach((row, layer) => row.forEach((gone, head) => {
    nodes[layer][head].setAttribute("aria-pressed", String(!gone));
  }));
  const label = { class: "heads-grid", role: "group", "aria-label": "Heads, switched on or off" };
  return { node: element("div", label, ...rows), show };
}

// A small button for each text: its number, and whether it is read rightly now.
function texts(model, examples) {
  const nodes = examples.map((_, index) =>
    element("button", { type: "button", class: "heads-text", onclick: () => store(model, "example", index) }),
  );
  const show = (found, chosen) => nodes.forEach((node, index) => {
    const right = best(found[index]) === examples[index].answer;
    node.className = `heads-text heads-${right ? "right" : "wrong"}`;
    node.textContent = `${right ? "✓" : "✗"} ${index + 1}`;
    node.setAttribute("aria-label", `story ${index + 1}, read ${right ? "rightly" : "wrongly"}`);
    node.setAttribute("aria-pressed", String(index === chosen));
  });
  globalThis.frugalStops?.(nodes, nodes[model.get("example")]); // on the site: one stop, and arrow keys
  const label = { class: "heads-texts", role: "group", "aria-label": "Stories" };
  return { node: element("div", label, ...nodes), show };
}

// A bar for each class.
function bars(classes, answer, probabilities) {
  return classes.map((name, index) =>
    element(
      "div",
      { class: "heads-line" },
      element("span", {}, index === answer ? `${name} ✓` : name),
      element("span", { class: "heads-bar", "aria-hidden": "true" }, element("span", { style: `width: ${100 * probabilities[index]}%` })),
      element("span", { class: "heads-percent", "data-value": probabilities[index] }, percent(probabilities[index], 0)),
    ),
  );
}

function controls(model, numbers) {
  const press = (order) => () => store(model, "off", oneLess(model.get("off"), order));
  const orders = Object.entries(model.get("orders"));
  return toolbar(
    ...orders.map(([label, order]) => button(`− ${label}`, press(order))),
    button("All on", () => store(model, "off", [])),
    button("All off", () => store(model, "off", numbers)),
  );
}

function render({ model, el }) {
  const shape = model.get("shape");
  const [examples, classes] = [model.get("examples"), model.get("classes")];
  const weights = unpack(model.get("weights"), shape.parameters);
  const [heads, stories, said] = [grid(model, shape), texts(model, examples), readout()];
  const [story, chances] = [element("p", { class: "heads-story" }), element("div", { class: "heads-bars" })];
  const numbers = Array.from({ length: shape.layers * shape.heads }, (_, number) => number);
  const memories = examples.map(() => []);
  let found = [];
  const tell = () => {
    const [example, off] = [model.get("example"), model.get("off")];
    stories.show(found, example);
    story.textContent = examples[example].text;
    chances.replaceChildren(...bars(classes, examples[example].answer, found[example]));
    said.textContent = sentence({ ...shape, off, found, examples, example, classes });
  };
  const draw = () => {
    const off = switches(model.get("off"), shape.layers, shape.heads);
    heads.show(off);
    found = examples.map(({ ids }, index) => forward(weights, shape, ids, off, memories[index]));
    tell();
  };
  const title = (words) => element("p", { class: "heads-title" }, words);
  el.append(
    element(
      "div",
      { class: "heads" },
      ...guide(model),
      title("Heads: press one to switch it off or on. Bars and numbers: share of all importance"),
      heads.node,
      controls(model, numbers),
      said,
      title("Stories: ✓ read rightly now, ✗ wrongly. Choose one"),
      stories.node,
      story,
      title(model.get("question")),
      chances,
    ),
  );
  const stops = [follow(model, "off", draw), follow(model, "example", tell)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
