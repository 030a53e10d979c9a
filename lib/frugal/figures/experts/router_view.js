// Tokens, the experts that a router sends them to, and those for whom there is no room.
import {
  button,
  element,
  guide,
  readout,
  segmented,
  select,
  shape,
  slider,
  store,
  toolbar,
} from "../../show/controls.js";
import { follow, percent, svg, text, widthOf } from "../../show/drawing.js";
import { softmax } from "../../show/models.js";
import { balance, capacityOf, chosen, loads, nudged, room } from "./router_formulas.js";

const TOP = 30;
const ROW = 17;
const TOKEN = 92; // where the column of tokens ends
const RATE = 0.05;
const UNLIMITED = 0; // the capacity factor that stands for room for all

const two = (value) => value.toFixed(2);

// Where every token goes, from the state.
export function routed(model) {
  const run = model.get("runs")[model.get("run")];
  const scores = run.logits[model.get("moment")].map(softmax);
  const bias = model.get("bias");
  const experts = chosen(scores, bias);
  const factor = model.get("capacity_factor");
  const [tokens, count] = [scores.length, bias.length];
  const capacity = factor === UNLIMITED ? tokens : capacityOf(tokens, count, factor);
  const found = {
    scores,
    experts,
    capacity,
    limited: factor !== UNLIMITED,
    keep: room(experts, capacity),
    load: loads(experts, count),
    balance: balance(scores, experts),
    token: model.get("token"),
  };
  return { ...found, sentence: sentence(found, model.get("tokens")) };
}

function sentence({ scores, experts, capacity, limited, keep, load, balance: loss, token }, tokens) {
  const passing = keep.filter((kept) => !kept).length;
  const space = limited
    ? `Each expert has room for ${capacity}: ${passing} of ${keep.length} tokens pass by.`
    : "Every expert has room for all.";
  const expert = experts[token];
  const fate = keep[token] ? "is let in" : "finds it full and passes by on the residual";
  return (
    `${space} The fullest expert is the choice of ${Math.max(...load)}, the emptiest of ` +
    `${Math.min(...load)}; the loss of balance is ${two(loss)}. Token ${token + 1}, “${tokens[token]}”, chose ` +
    `expert ${expert + 1} with p = ${two(scores[token][expert])} and ${fate}.`
  );
}

function places(width, tokens, experts) {
  const height = TOP + tokens * ROW;
  const gate = Math.round(TOKEN + (width - TOKEN) * 0.36); // where the experts begin
  const step = (height - TOP) / experts;
  return {
    width,
    height: height + 22,
    gate,
    step,
    y: (token) => TOP + (token + 0.5) * ROW,
    entry: (expert) => TOP + (expert + 0.5) * step,
    unit: (width - gate - 66) / tokens, // a token in an expert's bar
  };
}

// One token: its letters and the line to its expert.
function path(model, at, token, found) {
  const expert = found.experts[token];
  const kept = found.keep[token];
  const [from, to] = [at.y(token), at.entry(expert)];
  const middle = (TOKEN + at.gate) / 2;
  const names = ["router-token", kept ? "" : "router-lost", token === found.token ? "router-on" : ""];
  return shape(
    "g",
    {
      class: names.filter(Boolean).join(" "),
      "data-expert": expert,
      "data-kept": String(kept),
      onclick: () => store(model, "token", token),
    },
    shape("rect", { class: "router-reach", x: 0, y: from - ROW / 2, width: TOKEN, height: ROW }),
    text(TOKEN - 8, from + 4, model.get("tokens")[token], { anchor: "end" }),
    shape("path", {
      class: "router-path",
      d: `M${TOKEN} ${from}C${middle} ${from} ${middle} ${to} ${at.gate} ${to}`,
    }),
  );
}

// One expert: the tokens that it takes, those beyond its room, and where its room ends.
function bar(at, expert, { load, capacity, limited }, bias) {
  const y = at.entry(expert);
  const high = Math.min(26, at.step - 6);
  const inside = Math.min(load[expert], capacity);
  const beyond = load[expert] - inside;
  const box = (name, first, count) =>
    shape("rect", {
      class: name,
      "data-count": count,
      x: at.gate + first * at.unit,
      y: y - high / 2,
      width: count * at.unit,
      height: high,
    });
  const end = at.gate + capacity * at.unit;
  const words = beyond ? `${inside} + ${beyond}` : `${inside}`;
  const aside = Math.max(at.gate + load[expert] * at.unit, limited ? end : 0) + 6;
  const mark = `M${end} ${y - high / 2 - 2}v${high + 4}`;
  return [
    box("router-inside", 0, inside),
    box("router-beyond", inside, beyond),
    ...(limited ? [shape("path", { class: "router-room", d: mark })] : []),
    shape("path", { class: "router-gate", d: `M${at.gate} ${y - high / 2}v${high}` }),
    text(at.gate - 6, y + 4, expert + 1, { anchor: "end", class: "router-number" }),
    text(aside, y + 4, words),
    ...(bias[expert]
      ? [text(at.width - 2, y + high / 2 + 11, `bias ${two(bias[expert])}`, { anchor: "end" })]
      : []),
  ];
}

function drawing(model, at, found) {
  const order = found.experts.map((_, token) => token);
  order.push(...order.splice(found.token, 1)); // the token looked at is drawn last
  return [
    text(TOKEN - 8, 14, "tokens", { anchor: "end" }),
    text(at.gate, 14, "experts and who chose them"),
    ...order.map((token) => path(model, at, token, found)),
    ...found.load.flatMap((_, expert) => bar(at, expert, found, model.get("bias"))),
    text(at.gate, at.height - 5, found.limited ? "line: where the room ends" : "room for all"),
  ];
}

function controls(model, move) {
  const runs = Object.entries(model.get("runs")).map(([name, { label }]) => [name, label]);
  const moments = model.get("moments");
  return [
    toolbar(
      segmented(model, "run", { label: "Router trained", options: runs }),
      slider(model, "moment", {
        label: "Updates",
        min: 0,
        max: moments.length - 1,
        format: (index) => String(moments[index]),
      }),
      select(model, "capacity_factor", {
        label: "Capacity factor",
        options: [...model.get("factors").map((factor) => [factor, two(factor)]), [UNLIMITED, "room for all"]],
      }),
    ),
    toolbar(
      slider(model, "token", {
        label: "Token",
        min: 0,
        max: model.get("tokens").length - 1,
        format: (token) => `${token + 1}: ${model.get("tokens")[token]}`,
      }),
      button("Move the biases", move),
      button("Biases to 0", () => store(model, "bias", model.get("bias").map(() => 0))),
    ),
  ];
}

function render({ model, el }) {
  const at = places(widthOf(el), model.get("tokens").length, model.get("bias").length);
  const picture = svg(at.width, at.height, {
    class: "router-chart",
    "aria-label": "Tokens on the left, a line from each to an expert on the right",
  });
  const said = readout();
  const move = () => store(model, "bias", nudged(model.get("bias"), routed(model).load, RATE));
  el.append(element("div", { class: "router-figure" }, ...guide(model), ...controls(model, move), picture, said));
  return follow(model, "run moment capacity_factor token bias", () => {
    const found = routed(model);
    picture.replaceChildren(...drawing(model, at, found));
    said.textContent = found.sentence;
  });
}

export default { render };
