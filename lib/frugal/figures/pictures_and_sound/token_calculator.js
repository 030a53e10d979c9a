// Pixels, samples or voxels, cut into tokens: the cut, the count, and what attention costs for it.
import { flops, memory } from "../where_the_cost_is/cost_formulas.js";
import { element, inTurns, quantity, readout, segmented, select, shape, slider, steps, toolbar } from "../../show/controls.js";
import { clamp, follow, percent, read, svg, text } from "../../show/drawing.js";
import { CUTS } from "./token_cuts.js";
import { tokensOf } from "./token_formulas.js";

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
const BILL = [
  ["tokens", "tokens"],
  ["attention", "FLOPs of attention"],
  ["other", "FLOPs of all the rest"],
  ["scores", "weights of one layer, stored"],
  ["fused", "in their place, fused"],
];

const whole = (value) => value.toLocaleString("en");

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

// From how many tokens on attention costs more than all the rest: its share grows with the tokens.
export function evenTokens(sizes) {
  const one = tokenBill(1, sizes);
  return one.other_flops / one.attention_flops;
}

function scale([low, high], [start, end]) {
  return (value) => start + ((end - start) * Math.log(value / low)) / Math.log(high / low);
}

// FLOPs of attention and of the rest over the number of tokens, with the landmarks and the bill.
function drawChart(picture, width, bill, sizes, landmarks) {
  const [top, bottom, left, right] = [34, 210, 50, width - 12];
  const x = scale(DOMAIN, [left, right]);
  const [low, high] = DOMAIN.map((tokens) => tokenBill(tokens, sizes));
  const least = Math.min(low.attention_flops, low.other_flops);
  const y = scale([least, high.attention_flops], [bottom, top]);
  const ends = (name) =>
    `M${x(DOMAIN[0])} ${y(low[name])}L${x(DOMAIN[1])} ${y(high[name])}`;
  const number = (value) => quantity(value).replace(/\.0+ /, " ");
  const powers = [];
  for (let power = 1e3; power < high.attention_flops; power *= 1e3) {
    if (power > least) powers.push(power);
  }
  const even = clamp(evenTokens(sizes), ...DOMAIN);
  const aside = { anchor: "end", class: "tokens-aside" };
  picture.setAttribute("viewBox", `0 0 ${width} 260`);
  picture.replaceChildren(
    shape("rect", {
      class: "tokens-dear",
      x: x(even),
      y: top - 6,
      width: right - x(even),
      height: bottom - top + 6,
    }),
    ...powers.flatMap((power) => [
      shape("path", { class: "tokens-grid", d: `M${left} ${y(power)}H${right}` }),
      text(left - 6, y(power) + 4, number(power), { anchor: "end" }),
    ]),
    ...[1e2, 1e3, 1e4, 1e5, 1e6].flatMap((mark) => [
      shape("path", { class: "tokens-axis", d: `M${x(mark)} ${bottom}v5` }),
      text(x(mark), bottom + 19, number(mark), { anchor: "middle" }),
    ]),
    shape("path", { class: "tokens-axis", d: `M${left} ${bottom}H${right}` }),
    text((left + right) / 2, bottom + 38, "tokens", { anchor: "middle" }),
    text(left, 12, "FLOPs of one pass"),
    ...landmarks.flatMap(({ tokens }, index) => [
      shape("path", { class: "tokens-landmark", d: `M${x(tokens)} ${top - 6}V${bottom}` }),
      text(x(tokens), top - 9, index + 1, { anchor: "middle" }),
    ]),
    shape("path", { class: "tokens-other", d: ends("other_flops") }),
    shape("path", { class: "tokens-attention", d: ends("attention_flops") }),
    text(right - 4, bottom - 22, "attention costs more", aside),
    text(right - 4, bottom - 7, `from ${whole(Math.ceil(even))} tokens on`, aside),
    ...(bill && bill.tokens >= DOMAIN[0] && bill.tokens <= DOMAIN[1] ? here(bill, x, y) : []),
  );
}

function here(bill, x, y) {
  return ["other", "attention"].map((name) => {
    const place = { cx: x(bill.tokens), cy: y(bill[`${name}_flops`]), r: 5.5 };
    return shape("circle", { class: `tokens-here tokens-here-${name}`, ...place });
  });
}

// The controls of each kind of input, of which those of the chosen one are shown.
function controlsOf(model) {
  const unit = (name) => (value) => `${value} ${name}`;
  const rates = [8000, 16000, 24000, 48000].map((rate) => [rate, whole(rate)]);
  const sizes = { min: 32, max: 1024, step: 32, format: unit("pixels") };
  const hops = { min: 20, max: 1280, step: 20, format: unit("samples") };
  const cubes = { min: 20, max: 120, step: 4, format: unit("voxels") };
  return {
    picture: toolbar(
      slider(model, "side", { label: "Side", ...sizes }),
      select(model, "patch", { label: "Patch", options: [1, 2, 4, 8, 14, 16, 32] }),
    ),
    sound: toolbar(
      slider(model, "seconds", { label: "Length", min: 1, max: 120, format: unit("s") }),
      select(model, "sample_rate", { label: "Samples a second", options: rates }),
      slider(model, "hop", { label: "Hop", ...hops }),
    ),
    voxels: toolbar(
      slider(model, "voxel_side", { label: "Side", ...cubes }),
      select(model, "voxel_patch", { label: "Patch", options: [1, 2, 4, 5, 10] }),
    ),
  };
}

function billView() {
  const cells = Object.fromEntries(BILL.map(([name]) => [name, element("td", {})]));
  const rows = BILL.map(([name, label]) =>
    element("tr", {}, element("th", { scope: "row" }, label), cells[name]),
  );
  const show = (bill) => {
    const shown = bill && {
      tokens: whole(bill.tokens),
      attention: quantity(bill.attention_flops, "FLOP"),
      other: quantity(bill.other_flops, "FLOP"),
      scores: quantity(bill.scores_bytes, "B"),
      fused: quantity(bill.fused_bytes, "B"),
    };
    for (const [name, cell] of Object.entries(cells)) cell.textContent = shown?.[name] ?? "–";
  };
  return { node: element("table", { class: "tokens-bill" }, ...rows), show };
}

function sentence(bill, { modality, seconds }, every) {
  const count = whole(bill.tokens);
  const unit = {
    picture: `A picture makes ${count} tokens`,
    sound: `${(bill.tokens / seconds).toFixed(1)} tokens a second, ${count} in all`,
    voxels: `A cube makes ${count} tokens`,
  }[modality];
  const share = bill.attention_flops / (bill.attention_flops + bill.other_flops);
  return (
    `${unit}; attention takes ${percent(share)} of the FLOPs, ${share > 0.5 ? "more" : "less"} than ` +
    `all the rest.` +
    (every > 1 ? ` Only one line in ${every} is drawn.` : "")
  );
}

// What the state makes: the bill, what is drawn of the cut, and a sentence. A cut that does not fit
// has no bill, and the sentence says why.
function cutOf(state, sizes) {
  let tokens;
  try {
    tokens = tokensOf(state);
  } catch (error) {
    const nodes = [text(130, 130, "does not fit", { anchor: "middle" })];
    return { bill: null, nodes, words: error.message };
  }
  const bill = tokenBill(tokens, sizes);
  const { nodes, every } = CUTS[state.modality](state);
  return { bill, nodes, words: sentence(bill, state, every) };
}

function render({ model, el }) {
  const sizes = model.get("shape");
  const landmarks = model.get("landmarks").map((one) => ({
    ...one,
    tokens: tokensOf({ ...read(model, NAMES), ...one.state }),
  }));
  const controls = controlsOf(model);
  const cut = svg(260, 262, {
    class: "tokens-drawing",
    "aria-label": "How the input is cut into tokens",
  });
  const graph = svg(460, 260, {
    class: "tokens-chart",
    "aria-label": "FLOPs of attention and of the rest over the number of tokens",
  });
  const legend = element(
    "p",
    { class: "tokens-legend" },
    element("span", { class: "tokens-key tokens-key-attention" }, "attention"),
    element("span", { class: "tokens-key tokens-key-other" }, "all the rest"),
  );
  const guide = steps(
    model,
    "Which of these pay more for attention than for all the rest?",
    landmarks.map(({ label, state }) => [label, state]),
  );
  const table = billView();
  const said = readout();
  const kinds = Object.keys(controls);
  const chosen = inTurns(...Object.values(controls));
  const panels = [element("div", {}, cut, table.node), element("div", {}, graph, legend)];
  el.append(
    element(
      "div",
      { class: "tokens" },
      guide,
      toolbar(segmented(model, "modality", { label: "Input", options: kinds })),
      chosen.node,
      element("div", { class: "tokens-panels" }, ...panels),
      said,
    ),
  );
  return follow(model, NAMES, () => {
    const state = read(model, NAMES);
    const { bill, nodes, words } = cutOf(state, sizes);
    chosen.show(controls[state.modality]);
    drawChart(graph, graph.clientWidth && graph.clientWidth < 400 ? 320 : 460, bill, sizes, landmarks);
    cut.replaceChildren(...nodes);
    table.show(bill);
    said.textContent = words;
  });
}

export default { render };
