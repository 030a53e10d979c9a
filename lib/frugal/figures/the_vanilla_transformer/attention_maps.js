// Attention weights as numbers and words: no page, no drawing. Node imports this file in tests.
import { percent } from "../../show/drawing.js";

export const KINDS = {
  encoder: { label: "encoder", asks: "input", asked: "input" },
  decoder: { label: "decoder (causal)", asks: "output", asked: "output" },
  cross: { label: "decoder → encoder", asks: "output", asked: "input" },
};

// A stored map holds round(√w · (2^bits − 1)); the square root spends the steps on small weights.
export function decode({ queries, keys, shape, bits, weights }) {
  const text = atob(weights);
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const codes = bits === 8 ? bytes : new Uint16Array(bytes.buffer);
  const values = Float32Array.from(codes, (code) => (code / (2 ** bits - 1)) ** 2);
  const [layers, heads] = shape;
  return { queries, keys, layers, heads, values };
}

// The weights of one query, (keys), or of one head, (queries × keys), as a view.
export function row(map, layer, head, query) {
  const start = ((layer * map.heads + head) * map.queries.length + query) * map.keys.length;
  return map.values.subarray(start, start + map.keys.length);
}

export function matrix(map, layer, head) {
  const size = map.queries.length * map.keys.length;
  const start = (layer * map.heads + head) * size;
  return map.values.subarray(start, start + size);
}

// 2^entropy: over how many equal weights a row would have the same entropy. A row of zeros gives 0.
export function spread(weights) {
  let sum = 0;
  for (const weight of weights) sum += weight;
  if (sum === 0) return 0;
  let entropy = 0;
  for (const weight of weights) {
    if (weight > 0) entropy -= (weight / sum) * Math.log2(weight / sum);
  }
  return 2 ** entropy;
}

// Mean over the queries of a head.
export function headSpread(map, layer, head) {
  let sum = 0;
  for (let query = 0; query < map.queries.length; query += 1) {
    sum += spread(row(map, layer, head, query));
  }
  return sum / map.queries.length;
}

// Keys from the largest weight down.
export function ranked(weights) {
  return Array.from(weights.keys()).sort((a, b) => weights[b] - weights[a] || a - b);
}

// A weight in whole percent; one that is not zero is not said to be.
export function weightInWords(weight) {
  return weight > 0 && weight < 0.005 ? "<1 %" : percent(weight, 0);
}

// Blanks that a reader could not see.
export function visible(token) {
  return token.replace(/ /g, "␣").replace(/\n/g, "⏎").replace(/\t/g, "⇥") || "∅";
}

// In the causal map of a decoder, key j > query i is the future.
export function masked(kind, query, key) {
  return kind === "decoder" && key > query;
}

export function describe(map, kind, layer, head, query) {
  const weights = row(map, layer, head, query);
  const { asks, asked } = KINDS[kind];
  const token = `‘${visible(map.queries[query])}’ (token ${query + 1} of the ${asks})`;
  const effective = spread(weights);
  if (effective === 0) return `${token} attends to nothing.`;
  const order = ranked(weights);
  const named = order.slice(0, 3).filter((key, place) => place === 0 || weights[key] >= 0.05);
  const parts = named.map((key, place) => {
    const where = place === 0 ? ` (token ${key + 1} of the ${asked})` : ` (${key + 1})`;
    return `${weightInWords(weights[key])} to ‘${visible(map.keys[key])}’${where}`;
  });
  const gives =
    parts.length > 1 ? `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}` : parts[0];
  const count = effective.toFixed(1);
  const bits = Math.log2(effective).toFixed(1);
  return (
    `${token} gives ${gives}. Its attention is as spread out as if shared equally by ` +
    `${count} ${count === "1.0" ? "token" : "tokens"} (entropy ${bits} bits).`
  );
}
