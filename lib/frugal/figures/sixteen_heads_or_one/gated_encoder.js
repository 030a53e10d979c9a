// The forward pass of an encoder whose heads can be switched off, and of the layer that reads the
// class: what frugal.model.Encoder does inside frugal.attention.heads.masked_heads, on plain arrays,
// for one text without padding.
import { unpack } from "../dropping_tokens/elimination_formulas.js";

export { unpack };

const EPSILON = 1e-5; // of torch's LayerNorm

// x W^T + b for each row of x. Rows are arrays of one length.
export function linear(weights, name, x) {
  const [weight, bias] = [weights[`${name}.weight`], weights[`${name}.bias`]];
  const size = x[0].length;
  return x.map((row) => {
    const out = Float64Array.from(bias);
    for (let i = 0; i < out.length; i++) {
      let total = 0;
      for (let j = 0, at = i * size; j < size; j++, at++) total += row[j] * weight[at];
      out[i] += total;
    }
    return out;
  });
}

export function norm(weights, name, x) {
  const [gain, bias] = [weights[`${name}.weight`], weights[`${name}.bias`]];
  return x.map((row) => {
    const mean = row.reduce((total, value) => total + value, 0) / row.length;
    const variance = row.reduce((total, value) => total + (value - mean) ** 2, 0) / row.length;
    const scale = 1 / Math.sqrt(variance + EPSILON);
    return row.map((value, i) => (value - mean) * scale * gain[i] + bias[i]);
  });
}

export function softmax(scores) {
  const highest = scores.reduce((a, b) => Math.max(a, b));
  const parts = scores.map((score) => Math.exp(score - highest));
  const total = parts.reduce((a, b) => a + b, 0);
  return parts.map((part) => part / total);
}

// Turn channels 2i and 2i + 1 of every head by the place of the token.
function rotated(x, headDim) {
  return x.map((row, place) => {
    const turned = new Float64Array(row.length);
    for (let i = 0; i < row.length; i += 2) {
      const angle = place * 10000 ** (-(i % headDim) / headDim);
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      turned[i] = row[i] * cosine - row[i + 1] * sine;
      turned[i + 1] = row[i] * sine + row[i + 1] * cosine;
    }
    return turned;
  });
}

// Adds to `out` what the head at these channels finds for the queries.
export function attend(out, q, k, v, from, headDim) {
  const scale = 1 / Math.sqrt(headDim);
  q.forEach((query, i) => {
    const scores = new Float64Array(k.length);
    for (let j = 0; j < k.length; j++) {
      let total = 0;
      for (let c = from; c < from + headDim; c++) total += query[c] * k[j][c];
      scores[j] = total * scale;
    }
    softmax(scores).forEach((weight, j) => {
      for (let c = from; c < from + headDim; c++) out[i][c] += weight * v[j][c];
    });
  });
}

export const added = (x, found) => x.map((row, i) => row.map((value, c) => value + found[i][c]));

// One layer for the first `rows` tokens. off: which heads find nothing.
function runLayer(weights, layer, x, rows, off, heads) {
  const name = `stack.layers.${layer}`;
  const headDim = x[0].length / heads;
  const seen = norm(weights, `${name}.mix.norm`, x);
  const project = (part) => linear(weights, `${name}.mix.sublayer.${part}`, seen);
  const [q, k] = [rotated(project("to_q"), headDim), rotated(project("to_k"), headDim)];
  const v = project("to_v");
  const out = x.slice(0, rows).map((row) => new Float64Array(row.length));
  for (let head = 0; head < heads; head++) {
    if (!off[head]) attend(out, q.slice(0, rows), k, v, head * headDim, headDim);
  }
  const mixed = added(x.slice(0, rows), linear(weights, `${name}.mix.sublayer.to_out`, out));
  const ready = norm(weights, `${name}.feed_forward.norm`, mixed);
  const inner = linear(weights, `${name}.feed_forward.sublayer.inner`, ready);
  const positive = inner.map((row) => row.map((value) => Math.max(0, value)));
  return added(mixed, linear(weights, `${name}.feed_forward.sublayer.outer`, positive));
}

// ids -> the probabilities of the classes, read from the first token. off[layer][head]: true where
// a head is switched off. memory: an array for this text, where the outputs of layers are kept; what
// lies below the lowest head that changed is not computed again. The last layer need not work for
// any token but the first.
export function forward(weights, { heads, width, layers }, ids, off, memory = []) {
  let x = ids.map((id) =>
    weights["embedding.table"].slice(id * width, (id + 1) * width).map((value) => value * Math.sqrt(width)),
  );
  let key = "";
  for (let layer = 0; layer < layers; layer++) {
    key += `${off[layer].map(Number).join("")}/`;
    if (memory[layer]?.key !== key) {
      const rows = layer === layers - 1 ? 1 : x.length;
      memory[layer] = { key, x: runLayer(weights, layer, x, rows, off[layer], heads) };
    }
    ({ x } = memory[layer]);
  }
  const [read] = linear(weights, "classify", norm(weights, "norm", x.slice(0, 1)));
  return Array.from(softmax(Array.from(read)));
}
