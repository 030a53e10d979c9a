// Pixels, samples or voxels, cut into tokens: the cut, the count, and what attention costs for it.
import { flops, memory } from "../where_the_cost_is/cost_formulas.js";
import { button, element, quantity, readout, segmented, select, shape, slider, toolbar } from "../../show/controls.js";
import { tokensOf, windowOf } from "./token_formulas.js";

const NAMES = [
  "modality",
  "side",
  "patch",
  "seconds",
  "sample_rate",
  "hop",
  "voxel_side",
  "voxel_patch",
];
const DOMAIN = [16, 2 ** 20];
const MOST_LINES = 40;

function stateOf(model) {
  return Object.fromEntries(NAMES.map((name) => [name, model.get(name)]));
}

// The bill of so many tokens, as `token_bill` in Python gives it.
export function tokenBill(tokens, sizes) {
  const sized = { ...sizes, length: tokens };
  const work = flops(sized, "forward");
  const held = memory(sized, "forward");
  return {
    tokens,
    attention_flops: work.attention,
    other_flops: work.total - work.attention,
    scores_bytes: held.naive_scores,
    fused_bytes: held.fused_scores,
  };
}

function text(x, y, words, attributes = {}) {
  return shape("text", { x, y, class: "tokens-label", ...attributes }, words);
}

// Borders of `count` equal parts; with very many only every second, fourth, … is drawn.
function borders(count) {
  let every = 1;
  while (count / every > MOST_LINES) every *= 2;
  const lines = [];
  for (let index = 0; index <= count; index += every) lines.push(index / count);
  return { lines, every };
}

function drawPicture({ side, patch }) {
  const { lines, every } = borders(side / patch);
  const at = (share) => 30 + 200 * share;
  return {
    every,
    nodes: [
      shape("rect", { class: "tokens-sky", x: 30, y: 30, width: 200, height: 200 }),
      shape("circle", { class: "tokens-sun", cx: 178, cy: 78, r: 22 }),
      shape("path", { class: "tokens-far", d: "M30 160L90 90L150 165L185 130L230 175V230H30Z" }),
      shape("path", { class: "tokens-near", d: "M30 190Q110 160 230 205V230H30Z" }),
      ...lines.flatMap((share) => [
        shape("path", { class: "tokens-cut", d: `M${at(share)} 30V230` }),
        shape("path", { class: "tokens-cut", d: `M30 ${at(share)}H230` }),
      ]),
      text(130, 250, `${side} pixels`, { "text-anchor": "middle" }),
    ],
  };
}

// A tenth of a second; frames overlap, so they take turns on two rows below the wave.
function drawSound({ sample_rate: rate, hop }) {
  const shown = Math.round(rate / 10);
  const x = (sample) => 14 + (232 * sample) / shown;
  const wave = Array.from({ length: 233 }, (_, index) => {
    const time = (index / 232) * 0.1;
    const loud = 0.35 + 0.65 * Math.sin(Math.PI * time * 10) ** 2;
    const pitch = Math.sin(2 * Math.PI * (120 * time + 600 * time * time));
    return `${14 + index},${95 - 52 * loud * pitch}`;
  });
  const count = Math.ceil(shown / hop);
  let every = 1;
  while (count / every > MOST_LINES) every *= 2;
  const frames = [];
  for (let index = 0; index * hop < shown; index += every) {
    const start = index * hop;
    const end = Math.min(shown, start + windowOf(hop));
    frames.push(
      shape("rect", {
        class: "tokens-frame",
        x: x(start),
        y: (index / every) % 2 ? 186 : 168,
        width: Math.max(1, x(end) - x(start)),
        height: 14,
      }),
      shape("path", { class: "tokens-cut", d: `M${x(start)} 36V206` }),
    );
  }
  return {
    every,
    nodes: [
      shape("polyline", { class: "tokens-wave", points: wave.join(" ") }),
      ...frames,
      text(130, 228, "0.1 seconds", { "text-anchor": "middle" }),
    ],
  };
}

function drawVoxels({ voxel_side: side, voxel_patch: patch }) {
  const { lines, every } = borders(side / patch);
  const place = (a, b, c) => [130 + 92 * (a - b), 128 + 53 * (a + b) - 106 * c];
  const line = (from, to) => {
    const [start, end] = [place(...from), place(...to)];
    return shape("path", { class: "tokens-cut", d: `M${start}L${end}` });
  };
  const face = (name, ...corners) =>
    shape("path", {
      class: `tokens-face tokens-${name}`,
      d: `M${corners.map((corner) => place(...corner)).join("L")}Z`,
    });
  return {
    every,
    nodes: [
      face("upper", [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]),
      face("left", [0, 1, 0], [1, 1, 0], [1, 1, 1], [0, 1, 1]),
      face("right", [1, 0, 0], [1, 1, 0], [1, 1, 1], [1, 0, 1]),
      ...lines.flatMap((s) => [
        line([s, 0, 1], [s, 1, 1]),
        line([0, s, 1], [1, s, 1]),
        line([s, 1, 0], [s, 1, 1]),
        line([0, 1, s], [1, 1, s]),
        line([1, s, 0], [1, s, 1]),
        line([1, 0, s], [1, 1, s]),
      ]),
      text(130, 254, `${side} voxels a side`, { "text-anchor": "middle" }),
    ],
  };
}

const CUTS = { picture: drawPicture, sound: drawSound, voxels: drawVoxels };

function scale([low, high], [start, end]) {
  return (value) => start + ((end - start) * Math.log(value / low)) / Math.log(high / low);
}

function chart(svg, width, bill, sizes, landmarks) {
  const height = 260;
  const [top, bottom, left, right] = [34, 210, 50, width - 12];
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const x = scale(DOMAIN, [left, right]);
  const [low, high] = DOMAIN.map((tokens) => tokenBill(tokens, sizes));
  const least = Math.min(low.attention_flops, low.other_flops);
  const y = scale([least, high.attention_flops], [bottom, top]);
  const ends = (name) =>
    `M${x(DOMAIN[0])} ${y(low[name])}L${x(DOMAIN[1])} ${y(high[name])}`;
  const powers = [];
  for (let power = 3; 10 ** power < high.attention_flops; power += 3) {
    if (10 ** power > least) powers.push(10 ** power);
  }
  const marks = [100, 1000, 10_000, 100_000, 1_000_000];
  svg.replaceChildren(
    ...powers.flatMap((power) => [
      shape("path", { class: "tokens-grid", d: `M${left} ${y(power)}H${right}` }),
      text(left - 6, y(power) + 4, quantity(power).replace(/\.0+ /, " "), { "text-anchor": "end" }),
    ]),
    ...marks.flatMap((mark) => [
      shape("path", { class: "tokens-axis", d: `M${x(mark)} ${bottom}v5` }),
      text(x(mark), bottom + 19, quantity(mark).replace(/\.0+ /, " "), { "text-anchor": "middle" }),
    ]),
    shape("path", { class: "tokens-axis", d: `M${left} ${bottom}H${right}` }),
    text((left + right) / 2, bottom + 38, "tokens", { "text-anchor": "middle" }),
    text(left, 12, "FLOPs of one pass"),
    ...landmarks.flatMap(({ tokens }, index) => [
      shape("path", { class: "tokens-landmark", d: `M${x(tokens)} ${top - 6}V${bottom}` }),
      text(x(tokens), top - 9, String(index + 1), { "text-anchor": "middle" }),
    ]),
    shape("path", { class: "tokens-other", d: ends("other_flops") }),
    shape("path", { class: "tokens-attention", d: ends("attention_flops") }),
  );
  if (bill && bill.tokens >= DOMAIN[0] && bill.tokens <= DOMAIN[1]) {
    for (const name of ["other", "attention"]) {
      svg.append(
        shape("circle", {
          class: `tokens-here tokens-here-${name}`,
          cx: x(bill.tokens),
          cy: y(bill[`${name}_flops`]),
          r: 5.5,
        }),
      );
    }
  }
}

function render({ model, el }) {
  const sizes = model.get("shape");
  const landmarks = model.get("landmarks").map(({ label, state }) => ({
    label,
    state,
    tokens: tokensOf({ ...stateOf(model), ...state }),
  }));
  const root = element("div", { class: "tokens" });
  const controls = {
    picture: toolbar(
      slider(model, "side", {
        label: "Side",
        min: 32,
        max: 1024,
        step: 32,
        format: (value) => `${value} pixels`,
      }),
      select(model, "patch", { label: "Patch", options: [1, 2, 4, 8, 14, 16, 32] }),
    ),
    sound: toolbar(
      slider(model, "seconds", { label: "Length", min: 1, max: 120, format: (s) => `${s} s` }),
      select(model, "sample_rate", {
        label: "Samples a second",
        options: [8000, 16000, 24000, 48000].map((rate) => [rate, rate.toLocaleString("en")]),
      }),
      slider(model, "hop", {
        label: "Hop",
        min: 20,
        max: 1280,
        step: 20,
        format: (hop) => `${hop} samples`,
      }),
    ),
    voxels: toolbar(
      slider(model, "voxel_side", {
        label: "Side",
        min: 20,
        max: 120,
        step: 4,
        format: (value) => `${value} voxels`,
      }),
      select(model, "voxel_patch", { label: "Patch", options: [1, 2, 4, 5, 10] }),
    ),
  };
  const cut = shape("svg", {
    class: "tokens-drawing",
    viewBox: "0 0 260 262",
    role: "img",
    "aria-label": "How the input is cut into tokens",
  });
  const graph = shape("svg", {
    class: "tokens-chart",
    role: "img",
    "aria-label": "FLOPs of attention and of the rest over the number of tokens",
  });
  const legend = element(
    "p",
    { class: "tokens-legend" },
    element("span", { class: "tokens-key tokens-key-attention" }, "attention"),
    element("span", { class: "tokens-key tokens-key-other" }, "all the rest"),
  );
  const presets = landmarks.map(({ label, state }, index) =>
    button(`${index + 1} ${label}`, () => {
      for (const [name, value] of Object.entries(state)) model.set(name, value);
      model.save_changes();
    }),
  );
  const cells = {};
  const rows = [
    ["tokens", "tokens"],
    ["attention", "FLOPs of attention"],
    ["other", "FLOPs of all the rest"],
    ["scores", "weights of one layer, stored"],
    ["fused", "in their place, fused"],
  ].map(([name, label]) => {
    cells[name] = element("td", {});
    return element("tr", {}, element("th", { scope: "row" }, label), cells[name]);
  });
  const said = readout();
  root.append(
    toolbar(
      segmented(model, "modality", { label: "Input", options: ["picture", "sound", "voxels"] }),
    ),
    ...Object.values(controls),
    element(
      "div",
      { class: "tokens-panels" },
      element("div", {}, cut, element("table", { class: "tokens-bill" }, ...rows)),
      element("div", {}, graph, legend, element("div", { class: "tokens-presets" }, ...presets)),
    ),
    said,
  );
  el.append(root);

  function draw() {
    const state = stateOf(model);
    for (const [name, bar] of Object.entries(controls)) bar.hidden = name !== state.modality;
    const width = graph.clientWidth && graph.clientWidth < 400 ? 320 : 460;
    let bill = null;
    try {
      bill = tokenBill(tokensOf(state), sizes);
    } catch (error) {
      said.textContent = error.message;
    }
    chart(graph, width, bill, sizes, landmarks);
    if (!bill) {
      cut.replaceChildren(text(130, 130, "does not fit", { "text-anchor": "middle" }));
      for (const cell of Object.values(cells)) cell.textContent = "–";
      return;
    }
    const { nodes, every } = CUTS[state.modality](state);
    cut.replaceChildren(...nodes);
    cells.tokens.textContent = bill.tokens.toLocaleString("en");
    cells.attention.textContent = quantity(bill.attention_flops, "FLOP");
    cells.other.textContent = quantity(bill.other_flops, "FLOP");
    cells.scores.textContent = quantity(bill.scores_bytes, "B");
    cells.fused.textContent = quantity(bill.fused_bytes, "B");
    const share = bill.attention_flops / (bill.attention_flops + bill.other_flops);
    const count = bill.tokens.toLocaleString("en");
    const unit = {
      picture: `A picture makes ${count} tokens`,
      sound: `${(bill.tokens / state.seconds).toFixed(1)} tokens a second, ${count} in all`,
      voxels: `A cube makes ${count} tokens`,
    }[state.modality];
    said.textContent =
      `${unit}; attention takes ${(100 * share).toFixed(share < 0.1 ? 1 : 0)} % of the FLOPs.` +
      (every > 1 ? ` Only one line in ${every} is drawn.` : "");
  }

  const event = NAMES.map((name) => `change:${name}`).join(" ");
  model.on(event, draw);
  draw();
  return () => model.off(event, draw);
}

export default { render };
