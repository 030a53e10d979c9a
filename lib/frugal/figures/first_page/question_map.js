// The map of the book: a small Transformer, and what each part's methods leave of it. The reader
// chooses a part (or clicks what it is about in the picture) and points at its methods.
import { element, readout, store, uniqueId } from "../../show/controls.js";
import { follow, percent } from "../../show/drawing.js";
import { LAYERS, TOKENS, counts, scene } from "./question_scenes.js";
import { stack } from "./question_stack.js";

const MOVE = 600; // milliseconds
const ABOUT = ["interactions", "representations", "parameters"];
const BASELINE = counts(scene("whole"));

// Every number of a scene on its way from one scene to another.
export function between(from, to, amount) {
  const now = { ...to };
  for (const [name, values] of Object.entries(to)) {
    if (values instanceof Float32Array) {
      now[name] = values.map(
        (value, index) => from[name][index] + (value - from[name][index]) * amount,
      );
    }
  }
  return now;
}

// Moves the drawing from what is on the screen now, so that a reader who moves on in mid-flight sees
// no jump.
function mover(drawing) {
  let current = scene("whole");
  let frame = 0;
  const stop = () => cancelAnimationFrame(frame);
  const moveTo = (target) => {
    stop();
    drawing.mark(target);
    const from = current;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const begin = performance.now();
    const step = (time) => {
      const passed = still ? 1 : Math.min(1, Math.max(0, time - begin) / MOVE);
      const eased = passed * passed * (3 - 2 * passed);
      current = between(from, target, eased);
      drawing.draw(current);
      if (passed < 1) frame = requestAnimationFrame(step);
    };
    step(begin);
  };
  return { moveTo, stop };
}

// What is left, in numbers and bars.
function metersView() {
  const meters = ABOUT.map((name) => {
    const value = element("span", {});
    const bar = element("i");
    const node = element(
      "div",
      { class: `map-about-${name}` },
      element("span", { class: "map-name" }, name),
      value,
      element("span", { class: "map-meter", "aria-hidden": "true" }, bar),
    );
    return { name, value, bar, node };
  });
  const show = (left) => {
    for (const { name, value, bar } of meters) {
      const ofParameters = name === "parameters";
      const share = ofParameters ? left[name] : left[name] / BASELINE[name];
      value.textContent = ofParameters ? percent(share, 0) : `${left[name]} of ${BASELINE[name]}`;
      bar.style.width = `${Math.min(1, share) * 100}%`;
    }
  };
  return { node: element("div", { class: "map-counts" }, ...meters.map(({ node }) => node)), show };
}

// The parts of the book, as radio buttons.
function partsView(parts, choose) {
  const name = uniqueId("part");
  const inputs = parts.map((_, index) =>
    element("input", { type: "radio", name, onchange: () => choose(index) }),
  );
  const tabs = parts.map(({ number, title, about }, index) =>
    element(
      "label",
      { class: about ? `map-tab map-about-${about}` : "map-tab" },
      inputs[index],
      element("span", { class: "map-number" }, String(number)),
      element("span", {}, title),
    ),
  );
  const legend = element("legend", {}, "Part of the book");
  const show = (chosen) =>
    inputs.forEach((input, place) => {
      input.checked = place === chosen;
    });
  return { node: element("fieldset", { class: "map-parts" }, legend, ...tabs), show };
}

// A part's text and its methods, each of which is previewed when it is pointed at.
function panelView(preview) {
  const text = element("p", { class: "map-text" });
  const methods = element("ul", { class: "map-methods" });
  const item = ({ name, href }, place) => {
    const listeners = { onpointerenter: () => preview(place), onfocus: () => preview(place) };
    if (href) return element("a", { href, ...listeners }, name);
    const click = { type: "button", onclick: () => preview(place) };
    return element("button", { ...click, ...listeners }, name);
  };
  const build = (part) => {
    text.textContent = part.text;
    const items = part.methods.map((method, place) => element("li", {}, item(method, place)));
    methods.replaceChildren(...items);
  };
  const show = (chosen) =>
    methods
      .querySelectorAll("a, button")
      .forEach((one, index) => one.classList.toggle("map-shown", index === chosen));
  return { node: element("div", { class: "map-panel" }, text, methods), build, show };
}

function describe(left) {
  return (
    `A Transformer of ${LAYERS} layers over ${TOKENS} tokens with ` +
    `${left.interactions} of ${BASELINE.interactions} interactions, ` +
    `${left.representations} of ${BASELINE.representations} representations and ` +
    `${percent(left.parameters, 0)} of the parameters in use`
  );
}

function render({ model, el }) {
  const parts = model.get("parts");
  const drawing = stack();
  const { moveTo, stop } = mover(drawing);
  const choose = (index) => {
    if (model.get("part") === index && model.get("method") === -1) return;
    model.set("method", -1);
    store(model, "part", index);
  };
  const list = partsView(parts, choose);
  const panel = panelView((index) => store(model, "method", index));
  const meters = metersView();
  const said = readout();
  const picture = element("div", { class: "map-picture" }, drawing.picture, meters.node);
  const below = element("div", { class: "map-below" }, panel.node, said);
  const grid = element("div", { class: "map-grid" }, picture, list.node, below);
  const root = element("div", { class: "map" }, grid);
  el.append(root);
  drawing.regions.addEventListener("click", (event) => {
    const index = parts.findIndex(({ about }) => about === event.target.dataset.about);
    if (index >= 0) choose(index);
  });

  function show() {
    const part = parts[model.get("part")];
    const method = part.methods[model.get("method")];
    const target = scene((method ?? part).scene);
    const left = counts(target);
    meters.show(left);
    said.textContent = method ? `${method.name}: ${method.says}` : "";
    panel.show(model.get("method"));
    drawing.picture.setAttribute("aria-label", describe(left));
    moveTo(target);
  }

  const stopParts = follow(model, "part", () => {
    const index = model.get("part");
    list.show(index);
    root.dataset.about = parts[index].about ?? "all";
    panel.build(parts[index]);
    show();
  });
  const stopMethods = follow(model, "method", show);
  return () => [stop, stopParts, stopMethods].forEach((end) => end());
}

export default { render };
