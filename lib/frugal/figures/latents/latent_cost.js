// A surface of costs: inputs across, latents up, how much a Perceiver saves against N² as color.
// Choose a cell with the mouse or the arrow keys; bars below split its FLOPs.
import {
  button,
  element,
  guide,
  onKeys,
  quantity,
  readout,
  segmented,
  shape,
  slider,
  store,
  toolbar,
} from "../../show/controls.js";
import { clamp, follow, percent, sum, svg, text, widthOf } from "../../show/drawing.js";
import { layerFlops, perceiverFlops } from "../pooling_tokens/token_cost_formulas.js";

const INPUTS = [5, 17]; // powers of two
const LATENTS = [2, 13];
const LEFT = 48;
const BOTTOM = 44;
const TOP = 22;
const ROW = 20;
const MOVES = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const STEPS = ["encode", "process", "decode"];

const powers = ([low, high]) => Array.from({ length: high - low + 1 }, (_, at) => low + at);
const thousands = (value) => value.toLocaleString("en-US");
const short = (power) => (power < 10 ? String(2 ** power) : `${2 ** (power - 10)}k`);
const nearest = (value, range) => clamp(Math.round(Math.log2(value)), ...range);

// 0 … 8 for a saving of 1 … 1000 times; null where the Perceiver costs more.
export function level(saving) {
  return saving < 1 ? null : Math.min(8, Math.round((8 * Math.log10(saving)) / 3));
}

// The FLOPs of each step of the Perceiver, of all, and of full attention in as many layers.
function costs(model, inputs, latents) {
  const layers = model.get("layers");
  const widths = { dModel: model.get("d_model"), dFf: model.get("d_ff") };
  const outputs = model.get("outputs") === "one" ? 1 : inputs;
  const steps = perceiverFlops(inputs, latents, outputs, layers, widths);
  const total = sum(STEPS.map((name) => steps[name]));
  return { steps, total, full: layers * layerFlops(inputs, inputs, widths) };
}

function sentence(inputs, latents, { steps, total, full }) {
  const saving = full / total;
  return (
    `${thousands(inputs)} inputs through ${thousands(latents)} latents cost ` +
    (saving >= 1
      ? `1/${saving < 9.95 ? saving.toFixed(1) : saving.toFixed(0)} of full attention: `
      : `${(1 / saving).toFixed(1)} times as much as full attention: `) +
    `${STEPS.map((name) => `${percent(steps[name] / total, 0)} ${name}`).join(", ")}.`
  );
}

// The surface: `show` colors its cells and frames the chosen one, `choose` is told of a new one.
function surfaceView(model, width, choose) {
  const height = TOP + ROW * powers(LATENTS).length + BOTTOM;
  const cell = (width - LEFT - 6) / powers(INPUTS).length;
  const x = (power) => LEFT + (power - INPUTS[0]) * cell;
  const y = (power) => TOP + (LATENTS[1] - power) * ROW;
  const every = width < 400 ? 3 : 2;
  const picture = svg(width, height, {
    class: "latent-surface",
    tabindex: 0,
    role: "application",
    "aria-label": "Inputs across, latents up; arrow keys choose",
  });
  const words = [
    text(4, 13, "latents"),
    ...powers(INPUTS)
      .filter((m) => (m - INPUTS[0]) % every === 0)
      .map((m) => text(x(m) + cell / 2, height - BOTTOM + 16, short(m), { anchor: "middle" })),
    ...powers(LATENTS)
      .filter((n) => n % 2 === 0)
      .map((n) => text(LEFT - 6, y(n) + 14, short(n), { anchor: "end" })),
    text((LEFT + width) / 2, height - 6, "inputs N; ×: the Perceiver costs more", {
      anchor: "middle",
    }),
  ];
  const cells = () =>
    powers(INPUTS).flatMap((m) =>
      powers(LATENTS).flatMap((n) => cellNodes(costs(model, 2 ** m, 2 ** n), m, n, x(m), y(n), cell)),
    );
  const show = () => {
    const [left, top] = [nearest(model.get("inputs"), INPUTS), nearest(model.get("latents"), LATENTS)];
    const frame = { x: x(left), y: y(top), width: cell, height: ROW };
    picture.replaceChildren(...cells(), ...words, shape("rect", { class: "latent-chosen", ...frame }));
  };
  onKeys(picture, MOVES, ([across, up]) =>
    choose(
      nearest(model.get("inputs"), INPUTS) + across,
      nearest(model.get("latents"), LATENTS) + up,
    ),
  );
  picture.addEventListener("click", (event) => {
    const found = event.target.closest(".latent-cell");
    if (found) choose(Math.log2(found.dataset.inputs), Math.log2(found.dataset.latents));
  });
  return { picture, show };
}

function cellNodes({ total, full }, m, n, x, y, size) {
  const found = level(full / total);
  const square = shape("rect", {
    class: "latent-cell",
    "data-level": found ?? "loses",
    "data-inputs": 2 ** m,
    "data-latents": 2 ** n,
    "data-saving": full / total,
    x: x + 0.5,
    y: y + 0.5,
    width: size - 1,
    height: ROW - 1,
  });
  if (found !== null) return [square];
  return [square, text(x + size / 2, y + 14, "×", { class: "latent-cross", anchor: "middle" })];
}

// Two bars of FLOPs on one scale: full attention, and the Perceiver in its three steps.
function barsView(width) {
  const picture = svg(width, 96, {
    class: "latent-bars",
    "aria-label": "FLOPs of full attention, and of each step of the Perceiver",
  });
  const show = ({ steps, total, full }) => {
    const scale = (width - 8) / Math.max(full, total);
    let left = 4;
    const parts = STEPS.map((name) => {
      const size = steps[name] * scale;
      const place = { x: left, y: 66, width: Math.max(size, 1), height: 18 };
      left += size;
      const data = { "data-step": name, "data-flops": steps[name] };
      return shape("rect", { class: "latent-step", ...data, ...place });
    });
    picture.replaceChildren(
      text(4, 14, `full attention: ${quantity(full, "FLOP")}`),
      shape("rect", { class: "latent-full", x: 4, y: 20, width: full * scale, height: 18 }),
      text(4, 60, `Perceiver: ${quantity(total, "FLOP")}`),
      ...parts,
    );
  };
  return { picture, show };
}

function controls(model) {
  const presets = model.get("presets").map(({ label, ...state }) =>
    button(label, () => Object.entries(state).forEach(([name, value]) => store(model, name, value))),
  );
  const outputs = [
    ["one", "one"],
    ["all", "one an input"],
  ];
  return [
    toolbar(...presets),
    toolbar(
      slider(model, "layers", { label: "Layers L", min: 1, max: 48 }),
      segmented(model, "outputs", { label: "Outputs", options: outputs }),
    ),
  ];
}

function render({ model, el }) {
  const width = widthOf(el, 350);
  const surface = surfaceView(model, width, (m, n) => {
    store(model, "inputs", 2 ** clamp(m, ...INPUTS));
    store(model, "latents", 2 ** clamp(n, ...LATENTS));
  });
  const bars = barsView(width);
  const said = readout();
  const key = element(
    "p",
    { class: "latent-key" },
    ...STEPS.flatMap((name) => [element("i", { "data-step": name }), `${name} `]),
  );
  const parts = [...guide(model), ...controls(model), surface.picture, bars.picture, key, said];
  el.append(element("div", { class: "latent-figure" }, ...parts));
  return follow(model, "inputs latents layers outputs", () => {
    const [inputs, latents] = [model.get("inputs"), model.get("latents")];
    const cost = costs(model, inputs, latents);
    surface.show();
    bars.show(cost);
    said.textContent = sentence(inputs, latents, cost);
  });
}

export default { render };
