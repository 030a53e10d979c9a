// Controls, elements and colors that figures share. Figures import what they need by name; see
// interactive.py. Each control is bound to one name of the model's state, in both directions.

const SVG = "http://www.w3.org/2000/svg";
const copy = Math.random().toString(36).slice(2, 8); // other figures of the page have their own
let serial = 0;

// An id that no other element of the page has.
export function uniqueId(name) {
  return `frugal-${name}-${copy}-${++serial}`;
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

// An HTML element: element("p", { class: "note", onclick: tell }, "text", other).
export function element(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

// An SVG element, the same way.
export function shape(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

// Writes to the state and, live, to the kernel.
export function store(model, name, value) {
  model.set(name, value);
  model.save_changes();
}

// The longest words that a slider can show, of 200 of its values at most. The style sheet keeps their
// room, so that no value makes a row of controls wrap, or come together again.
function longest({ min, max, step, format }) {
  const count = Math.round((max - min) / step);
  const stride = Math.ceil(count / 200) || 1;
  const places = [...Array.from({ length: Math.floor(count / stride) + 1 }, (_, at) => at * stride), count];
  const words = places.map((at) => String(format(Number((min + at * step).toPrecision(12)))));
  return words.reduce((most, one) => (one.length > most.length ? one : most));
}

// A range with its value shown. `format` turns the value into words for eyes and screen readers.
export function slider(model, name, { label, min, max, step = 1, format = String }) {
  const id = uniqueId(name);
  const input = element("input", { type: "range", id, min, max, step });
  const shown = element("output", { for: id, "data-longest": longest({ min, max, step, format }) });
  const show = () => {
    const value = model.get(name);
    if (Number(input.value) !== value) input.value = value;
    shown.textContent = format(value);
    input.setAttribute("aria-valuetext", format(value));
  };
  input.addEventListener("input", () => store(model, name, Number(input.value)));
  model.on(`change:${name}`, show);
  show();
  const text = element("label", { for: id }, label);
  return element("div", { class: "frugal-control frugal-slider" }, text, input, shown);
}

// Options are values, or [value, label] pairs.
function pairs(options) {
  return options.map((option) => (Array.isArray(option) ? option : [option, String(option)]));
}

export function select(model, name, { label, options }) {
  const id = uniqueId(name);
  const choices = pairs(options);
  const items = choices.map(([, text], index) => element("option", { value: index }, text));
  const input = element("select", { id }, ...items);
  const show = () => {
    input.value = choices.findIndex(([value]) => value === model.get(name));
  };
  input.addEventListener("change", () => store(model, name, choices[input.value][0]));
  model.on(`change:${name}`, show);
  show();
  return element("div", { class: "frugal-control" }, element("label", { for: id }, label), input);
}

// A few options side by side: radio buttons in a group, so arrow keys move between them.
export function segmented(model, name, { label, options }) {
  const group = uniqueId(name);
  const inputs = pairs(options).map(([value, text]) => {
    const input = element("input", {
      type: "radio",
      name: group,
      onchange: () => store(model, name, value),
    });
    const show = () => {
      input.checked = model.get(name) === value;
    };
    model.on(`change:${name}`, show);
    show();
    return element("label", {}, input, element("span", {}, text));
  });
  const legend = element("legend", {}, label);
  return element("fieldset", { class: "frugal-control frugal-segmented" }, legend, ...inputs);
}

export function checkbox(model, name, { label }) {
  const input = element("input", { type: "checkbox" });
  const show = () => {
    input.checked = Boolean(model.get(name));
  };
  input.addEventListener("change", () => store(model, name, input.checked));
  model.on(`change:${name}`, show);
  show();
  return element("label", { class: "frugal-control frugal-checkbox" }, input, label);
}

export function button(label, onclick) {
  return element("button", { type: "button", class: "frugal-button", onclick }, label);
}

// Controls in a row that wraps.
export function toolbar(...controls) {
  return element("div", { class: "frugal-toolbar" }, ...controls);
}

// Nodes that take turns in one place, as high as the highest: `show` says which is seen.
export function inTurns(...nodes) {
  const show = (shown) => nodes.forEach((one) => (one.inert = one !== shown));
  return { node: element("div", { class: "frugal-turns" }, ...nodes), show };
}

// Guided steps: a question to try, and a numbered button for each state worth seeing, marked while it
// is shown. A step is [words, state]; `go` brings the figure there.
export function steps(model, question, list, go = (state) => arrive(model, state)) {
  const buttons = list.map(([words, state], index) =>
    element(
      "button",
      { type: "button", class: "frugal-button", onclick: () => go(state) },
      element("b", {}, String(index + 1)),
      ` ${words}`,
    ),
  );
  const same = ([name, value]) => JSON.stringify(model.get(name)) === JSON.stringify(value);
  const mark = () =>
    list.forEach(([, state], index) => {
      const here = Object.entries(state).every(same);
      if (here) buttons[index].setAttribute("aria-current", "step");
      else buttons[index].removeAttribute("aria-current");
    });
  const names = new Set(list.flatMap(([, state]) => Object.keys(state)));
  names.forEach((name) => model.on(`change:${name}`, mark));
  mark();
  return element(
    "div",
    { class: "frugal-steps" },
    element("p", {}, question),
    element("ol", { role: "list" }, ...buttons.map((one) => element("li", {}, one))),
  );
}

// The question and the steps that `guided` of interactive.py was given, as a list to append: empty
// where there are none.
export function guide(model) {
  const given = model.get("guide");
  return given ? [steps(model, given.question, given.tries.map(({ words, state }) => [words, state]))] : [];
}

function arrive(model, state) {
  Object.entries(state).forEach(([name, value]) => model.set(name, value));
  model.save_changes();
}

// What keys do to `node` while it has the focus: `moves` holds what each key stands for, and
// `act` is called with that. With Ctrl, Alt or Meta a key stays the browser's.
export function onKeys(node, moves, act) {
  node.addEventListener("keydown", (event) => {
    if (!Object.hasOwn(moves, event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    act(moves[event.key]);
  });
}

// A node that can be dragged: it takes the focus, and `act` gets every move until it is let go.
export function onDrag(node, act) {
  node.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    node.focus();
    node.setPointerCapture(event.pointerId);
  });
  node.addEventListener("pointermove", (event) => {
    if (node.hasPointerCapture(event.pointerId)) act(event);
  });
}

// A line of text that screen readers say when it changes: the figure's finding in words.
export function readout(text = "") {
  return element("p", { class: "frugal-readout", role: "status" }, text);
}

// The value of a custom property where `el` stands, for a canvas.
export function color(el, property) {
  return getComputedStyle(el).getPropertyValue(property).trim();
}

// The heat ramp where `el` stands, as a function of 0 … 1 that gives a CSS color.
export function heat(el) {
  const stops = Array.from({ length: 9 }, (_, index) => {
    const hex = color(el, `--frugal-heat-${index}`);
    return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
  });
  return (amount) => {
    const place = Math.min(1, Math.max(0, amount)) * (stops.length - 1);
    const index = Math.min(stops.length - 2, Math.floor(place));
    const mixed = stops[index].map((low, channel) =>
      Math.round(low + (stops[index + 1][channel] - low) * (place - index)),
    );
    return `rgb(${mixed.join(" ")})`;
  };
}

// Calls `draw` when the site or JupyterLab changes between light and dark. Gives a function that
// stops it; call that in the figure's cleanup.
export function onThemeChange(el, draw) {
  let before = color(el, "--frugal-ink");
  const observer = new MutationObserver(() => {
    const now = color(el, "--frugal-ink");
    if (now === before) return;
    before = now;
    draw();
  });
  const attributes = { attributes: true, attributeFilter: ["data-theme", "data-jp-theme-light"] };
  observer.observe(document.documentElement, attributes);
  observer.observe(document.body, attributes);
  return () => observer.disconnect();
}

// 1234567 → "1.23 M": three significant digits and the unit's prefix.
export function quantity(value, unit = "") {
  const prefixes = ["", "k", "M", "G", "T", "P", "E"];
  let power = 0;
  while (Math.abs(value) / 1000 ** power >= 999.5 && power < prefixes.length - 1) power += 1;
  const scaled = value / 1000 ** power;
  const digits = Number.isInteger(scaled) && power === 0 ? String(scaled) : scaled.toPrecision(3);
  return `${digits} ${prefixes[power]}${unit}`.trim();
}
