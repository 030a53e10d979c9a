// A Universal Transformer that reads nested lists, on plain arrays: what frugal.data.nested_lists and
// frugal.depth.universal do, for one expression and one layer without signals.
import { added, attended, linear, norm, passed, softmax } from "../../show/models.js";

const WORDS = [..."0123456789", "[MIN", "[MAX"];
const END = "]";
const MOST = 16; // lists that an expression may have
const OPERATIONS = {
  "[MIN": (values) => Math.min(...values),
  "[MAX": (values) => Math.max(...values),
};

// "[MAX 2 [MIN 4 7 ] ]" -> { words, error }. A word is { text, own, inside, value, depth, closes }:
// closes counts the brackets that stand behind it. With an error, a sentence, there are no words.
export function parse(text) {
  const words = [];
  const open = []; // { at, given }
  const failed = (error) => ({ words: [], error });
  let lists = 0;
  for (const part of text.replaceAll("]", " ] ").replaceAll("[", " [").split(/\s+/).filter(Boolean)) {
    const outer = open.at(-1);
    const inside = outer ? words[outer.at].own : 0;
    if (part === END && outer) {
      const { at, given } = open.pop();
      if (given.length !== 2) return failed(`A list has ${given.length} arguments; each must have two.`);
      words[at].value = OPERATIONS[words[at].text](given.map(({ value }) => value));
      words[at].depth = 1 + Math.max(...given.map(({ depth }) => depth));
      words.at(-1).closes += 1;
      open.at(-1)?.given.push(words[at]);
    } else if (part in OPERATIONS && (outer || !words.length)) {
      lists += 1;
      open.push({ at: words.length, given: [] });
      words.push({ text: part, own: lists, inside, value: 0, depth: 0, closes: 0 });
    } else if (/^[0-9]$/.test(part) && outer) {
      words.push({ text: part, own: 0, inside, value: Number(part), depth: 0, closes: 0 });
      outer.given.push(words.at(-1));
    } else {
      return failed(`“${part}” cannot stand here.`);
    }
  }
  if (open.length || !words.length) return failed("Every list must be closed.");
  if (lists > MOST) return failed(`There are ${lists} lists; the model knows ${MOST}.`);
  return { words, error: null };
}

const LAYER = "encoder.stack.layers.0";

// The next state of one token, by the keys and values of all.
function stepped(weights, x, keys, values, heads) {
  const q = linear(weights, `${LAYER}.mix.sublayer.to_q`, norm(weights, `${LAYER}.mix.norm`, [x]));
  return passed(weights, LAYER, [x], attended(q, keys, values, heads))[0];
}

// words -> for each { shares, steps, remainder, probabilities }: shares has a p for every step run.
export function ponder(weights, { heads, width }, words, { threshold, nSteps }) {
  const row = (name, index) => weights[name].slice(index * width, (index + 1) * width);
  const tables = {
    "word.weight": ({ text }) => WORDS.indexOf(text),
    "own.weight": ({ own }) => own,
    "inside.weight": ({ inside }) => inside,
  };
  const states = Object.entries(tables)
    .map(([name, index]) => words.map((word) => row(name, index(word))))
    .reduce((all, more) => added(all, more));
  const [keys, values] = [[], []];
  const tokens = words.map(() => ({ shares: [], total: 0, output: new Float64Array(width), halted: Infinity }));
  for (let step = 0; step < nSteps; step++) {
    tokens.forEach(({ halted }, i) => {
      if (halted < step - 1) return; // its last key and value stay
      const read = norm(weights, `${LAYER}.mix.norm`, [states[i]]);
      [keys[i]] = linear(weights, `${LAYER}.mix.sublayer.to_k`, read);
      [values[i]] = linear(weights, `${LAYER}.mix.sublayer.to_v`, read);
    });
    tokens.forEach((token, i) => {
      if (token.halted < step) return;
      states[i] = stepped(weights, states[i], keys, values, heads);
      const h = 1 / (1 + Math.exp(-linear(weights, "encoder.stack.halting", [states[i]])[0][0]));
      const halts = token.total + h >= threshold || step === nSteps - 1;
      const p = halts ? 1 - token.total : h;
      token.output = token.output.map((value, c) => value + p * states[i][c]);
      token.shares.push(p);
      token.total += h;
      if (halts) token.halted = step;
    });
  }
  const read = linear(weights, "value", norm(weights, "encoder.norm", tokens.map(({ output }) => output)));
  return tokens.map(({ shares }, i) => ({
    shares,
    steps: shares.length,
    remainder: shares.at(-1),
    probabilities: Array.from(softmax(read[i])),
  }));
}
