// What models.py packed, in the page: the weights of a trained encoder, and the parts of its forward
// pass that figures put together. A text is an array of rows, a vector for each of its tokens.
import { mean, sum } from "./drawing.js";

const EPSILON = 1e-5; // of torch's LayerNorm

// The number whose half-precision bits these are.
function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

// base64 of half-precision numbers, little endian, cut by [name, size] pairs: { name: array }.
export function unpack(text, sizes) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  return Object.fromEntries(
    sizes.map(([name, size]) => {
      const values = Float64Array.from({ length: size }, (_, i) => half(view.getUint16(2 * (at + i), true)));
      at += size;
      return [name, values];
    }),
  );
}

// The vectors of these ids, as large as the encoder makes them.
export function embedded(weights, ids, width) {
  const scale = Math.sqrt(width);
  return ids.map((id) => weights["embedding.table"].slice(id * width, (id + 1) * width).map((value) => value * scale));
}

// x W^T + b for each row of x.
export function linear(weights, name, x) {
  const [weight, bias] = [weights[`${name}.weight`], weights[`${name}.bias`]];
  return x.map((row) => {
    const out = Float64Array.from(bias);
    for (let i = 0, at = 0; i < out.length; i++) {
      let total = 0;
      for (let j = 0; j < row.length; j++, at++) total += row[j] * weight[at];
      out[i] += total;
    }
    return out;
  });
}

export function norm(weights, name, x) {
  const [gain, bias] = [weights[`${name}.weight`], weights[`${name}.bias`]];
  return x.map((row) => {
    const middle = mean(row);
    const scale = 1 / Math.sqrt(mean(row.map((value) => (value - middle) ** 2)) + EPSILON);
    return row.map((value, i) => (value - middle) * scale * gain[i] + bias[i]);
  });
}

export function softmax(scores) {
  const highest = scores.reduce((a, b) => Math.max(a, b));
  const parts = scores.map((score) => Math.exp(score - highest));
  const total = sum(parts);
  return parts.map((part) => part / total);
}

export const added = (x, found) => x.map((row, i) => row.map((value, c) => value + found[i][c]));

// Turns channels 2i and 2i + 1 of every head by the place of the token.
function rotated(x, places, headDim) {
  return x.map((row, token) => {
    const turned = new Float64Array(row.length);
    for (let i = 0; i < row.length; i += 2) {
      const angle = places[token] * 10000 ** (-(i % headDim) / headDim);
      const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
      turned[i] = row[i] * cosine - row[i + 1] * sine;
      turned[i + 1] = row[i] * sine + row[i + 1] * cosine;
    }
    return turned;
  });
}

// What each query finds, head beside head. off: the heads that find nothing; see: told the weights of
// every query of every other head.
export function attended(q, k, v, heads, { off = [], see = () => {} } = {}) {
  const headDim = q[0].length / heads;
  const scale = 1 / Math.sqrt(headDim);
  return q.map((query) => {
    const out = new Float64Array(query.length);
    for (let from = 0; from < query.length; from += headDim) {
      if (off[from / headDim]) continue;
      const scores = k.map((key) => {
        let total = 0;
        for (let c = from; c < from + headDim; c++) total += query[c] * key[c];
        return total * scale;
      });
      const shares = softmax(scores);
      see(shares);
      shares.forEach((share, j) => {
        for (let c = from; c < from + headDim; c++) out[c] += share * v[j][c];
      });
    }
    return out;
  });
}

// What the attention of layer `name` finds in x for the first `rows` tokens. places: of the tokens,
// where queries and keys are rotated by them.
export function looked(weights, name, x, heads, { places = null, rows = x.length, ...options } = {}) {
  const ready = norm(weights, `${name}.mix.norm`, x);
  const project = (part, of) => linear(weights, `${name}.mix.sublayer.${part}`, of);
  const turn = (of) => (places ? rotated(of, places, of[0].length / heads) : of);
  const q = turn(project("to_q", ready.slice(0, rows)));
  return attended(q, turn(project("to_k", ready)), project("to_v", ready), heads, options);
}

// The rest of the layer, token by token: x and what its attention has found for it.
export function passed(weights, name, x, found) {
  const mixed = added(x, linear(weights, `${name}.mix.sublayer.to_out`, found));
  const ready = norm(weights, `${name}.feed_forward.norm`, mixed);
  const inner = linear(weights, `${name}.feed_forward.sublayer.inner`, ready);
  const positive = inner.map((row) => row.map((value) => Math.max(0, value)));
  return added(mixed, linear(weights, `${name}.feed_forward.sublayer.outer`, positive));
}

// The probabilities of the classes for each row, which is normalised first.
export function classified(weights, x) {
  return linear(weights, "classify", norm(weights, "norm", x)).map((row) => Array.from(softmax(row)));
}
