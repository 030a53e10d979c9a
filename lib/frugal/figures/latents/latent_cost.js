// A surface of costs: M inputs across, N latents up, how much a Perceiver saves against M² as color.
// Choose a cell with the mouse or the arrow keys; bars below split its FLOPs.
import {
  button,
  element,
  quantity,
  readout,
  segmented,
  shape,
  slider,
  store,
  toolbar,
} from "../../show/controls.js";
import { layerFlops, perceiverFlops } from "../pooling_tokens/token_cost_formulas.js";

const INPUTS = [5, 17]; // powers of two
const LATENTS = [2, 13];
const LEFT = 48;
const BOTTOM = 44;
const TOP = 22;
const ROW = 20;
const MOVES = { ArrowUp: [0, 1], ArrowDown: [0, -1], ArrowLeft: [-1, 0], ArrowRight: [1, 0] };
const STEPS = ["encode", "process", "decode"];

const thousands = (value) => value.toLocaleString("en-US");
const short = (power) => (power < 10 ? String(2 ** power) : `${2 ** (power - 10)}k`);
const clamp = (value, [low, high]) => Math.min(high, Math.max(low, value));
const nearest = (value, range) => clamp(Math.round(Math.log2(value)), range);

function text(x, y, words, attributes = {}) {
  return shape("text", { x, y, class: "latent-label", ...attributes }, words);
}

// 0 … 8 for a saving of 1 … 1000 times; null where the Perceiver costs more.
function level(saving) {
  return saving < 1 ? null : Math.min(8, Math.round((8 * Math.log10(saving)) / 3));
}

function render({ model, el }) {
  const width = el.clientWidth && el.clientWidth < 520 ? 350 : 640;
  const widths = { dModel: model.get("d_model"), dFf: model.get("d_ff") };
  const columns = INPUTS[1] - INPUTS[0] + 1;
  const rows = LATENTS[1] - LATENTS[0] + 1;
  const cell = (width - LEFT - 6) / columns;
  const height = TOP + ROW * rows + BOTTOM;
  const surface = shape("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "latent-surface",
    tabindex: 0,
    role: "application",
    "aria-label": "Inputs across, latents up; arrow keys choose",
  });
  const bars = shape("svg", {
    viewBox: `0 0 ${width} 96`,
    class: "latent-bars",
    role: "img",
    "aria-label": "FLOPs of full attention, and of each step of the Perceiver",
  });
  const said = readout();

  function costs(inputs, latents) {
    const layers = model.get("layers");
    const outputs = model.get("outputs") === "one" ? 1 : inputs;
    const steps = perceiverFlops(inputs, latents, outputs, layers, widths);
    const total = steps.encode + steps.process + steps.decode;
    return { steps, total, full: layers * layerFlops(inputs, inputs, widths) };
  }

  const x = (power) => LEFT + (power - INPUTS[0]) * cell;
  const y = (power) => TOP + (LATENTS[1] - power) * ROW;

  function drawSurface() {
    const marks = [];
    for (let m = INPUTS[0]; m <= INPUTS[1]; m += 1) {
      for (let n = LATENTS[0]; n <= LATENTS[1]; n += 1) {
        const { total, full } = costs(2 ** m, 2 ** n);
        const found = level(full / total);
        marks.push(
          shape("rect", {
            class: "latent-cell",
            "data-level": found ?? "loses",
            "data-inputs": 2 ** m,
            "data-latents": 2 ** n,
            "data-saving": full / total,
            x: x(m) + 0.5,
            y: y(n) + 0.5,
            width: cell - 1,
            height: ROW - 1,
          }),
        );
        if (found === null) {
          const at = { class: "latent-cross", "text-anchor": "middle" };
          marks.push(shape("text", { x: x(m) + cell / 2, y: y(n) + 14, ...at }, "×"));
        }
      }
    }
    const every = width < 400 ? 3 : 2;
    for (let m = INPUTS[0]; m <= INPUTS[1]; m += 1) {
      if ((m - INPUTS[0]) % every === 0) {
        const label = { "text-anchor": "middle" };
        marks.push(text(x(m) + cell / 2, TOP + ROW * rows + 16, short(m), label));
      }
    }
    for (let n = LATENTS[0]; n <= LATENTS[1]; n += 1) {
      if (n % 2 === 0) marks.push(text(LEFT - 6, y(n) + 14, short(n), { "text-anchor": "end" }));
    }
    const m = nearest(model.get("inputs"), INPUTS);
    const n = nearest(model.get("latents"), LATENTS);
    surface.replaceChildren(
      text(4, 13, "latents N"),
      ...marks,
      shape("rect", {
        class: "latent-chosen",
        x: x(m),
        y: y(n),
        width: cell,
        height: ROW,
      }),
      text((LEFT + width) / 2, height - 6, "inputs M; ×: the Perceiver costs more", {
        "text-anchor": "middle",
      }),
    );
  }

  function drawBars() {
    const inputs = model.get("inputs");
    const latents = model.get("latents");
    const { steps, total, full } = costs(inputs, latents);
    const room = width - 8;
    const scale = room / Math.max(full, total);
    let left = 4;
    const parts = STEPS.map((name) => {
      const size = steps[name] * scale;
      const bar = shape("rect", {
        class: "latent-step",
        "data-step": name,
        "data-flops": steps[name],
        x: left,
        y: 66,
        width: Math.max(size, 1),
        height: 18,
      });
      left += size;
      return bar;
    });
    bars.replaceChildren(
      text(4, 14, `full attention: ${quantity(full, "FLOP")}`),
      shape("rect", { class: "latent-full", x: 4, y: 20, width: full * scale, height: 18 }),
      text(4, 60, `Perceiver: ${quantity(total, "FLOP")}`),
      ...parts,
    );
    const share = (name) => `${((100 * steps[name]) / total).toFixed(0)} % ${name}`;
    const saving = full / total;
    said.textContent =
      `${thousands(inputs)} inputs through ${thousands(latents)} latents cost ` +
      (saving >= 1
        ? `1/${saving < 9.95 ? saving.toFixed(1) : saving.toFixed(0)} of full attention: `
        : `${(1 / saving).toFixed(1)} times as much as full attention: `) +
      `${STEPS.map(share).join(", ")}.`;
  }

  function draw() {
    drawSurface();
    drawBars();
  }

  function choose(m, n) {
    store(model, "inputs", 2 ** clamp(m, INPUTS));
    store(model, "latents", 2 ** clamp(n, LATENTS));
  }
  surface.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (!move) return;
    event.preventDefault();
    choose(
      nearest(model.get("inputs"), INPUTS) + move[0],
      nearest(model.get("latents"), LATENTS) + move[1],
    );
  });
  surface.addEventListener("click", (event) => {
    const found = event.target.closest(".latent-cell");
    if (!found) return;
    choose(Math.log2(Number(found.dataset.inputs)), Math.log2(Number(found.dataset.latents)));
  });

  const presets = model.get("presets").map(({ label, inputs, latents, layers, outputs }) =>
    button(label, () => {
      store(model, "inputs", inputs);
      store(model, "latents", latents);
      store(model, "layers", layers);
      store(model, "outputs", outputs);
    }),
  );
  const key = element(
    "p",
    { class: "latent-key" },
    ...STEPS.flatMap((name) => [element("i", { "data-step": name }), `${name} `]),
  );
  el.append(
    element(
      "div",
      { class: "latent-figure" },
      toolbar(...presets),
      toolbar(
        slider(model, "layers", { label: "Layers L", min: 1, max: 48 }),
        segmented(model, "outputs", {
          label: "Outputs",
          options: [
            ["one", "one"],
            ["all", "one an input"],
          ],
        }),
      ),
      surface,
      bars,
      key,
      said,
    ),
  );
  model.on("change:inputs change:latents change:layers change:outputs", draw);
  draw();
  return () => model.off("change:inputs change:latents change:layers change:outputs", draw);
}

export default { render };
