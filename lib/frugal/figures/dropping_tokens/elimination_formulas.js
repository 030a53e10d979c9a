// The forward pass of an encoder that drops tokens, and of the layer that reads the class: what
// frugal.tokens.elimination does, on plain arrays, for one sequence without padding.

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

function dot(a, b, from = 0, offset = 0, size = a.length) {
  let sum = 0;
  for (let i = 0; i < size; i++) sum += a[from + i] * b[offset + i];
  return sum;
}

function linear(weights, name, x) {
  const bias = weights[`${name}.bias`];
  return bias.map((b, i) => b + dot(x, weights[`${name}.weight`], 0, i * x.length));
}

function norm(weights, name, x) {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const [gain, bias] = [weights[`${name}.weight`], weights[`${name}.bias`]];
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + EPSILON)) * gain[i] + bias[i]);
}

const add = (a, b) => a.map((value, i) => value + b[i]);

function softmax(scores) {
  const highest = Math.max(...scores);
  const parts = scores.map((score) => Math.exp(score - highest));
  const total = parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part) => part / total);
}

// Turn channels 2i and 2i + 1 of every head by the place of the token.
function rotate(x, place, headDim) {
  const turned = new Float64Array(x.length);
  for (let i = 0; i < x.length; i += 2) {
    const angle = place * 10000 ** (-(i % headDim) / headDim);
    turned[i] = x[i] * Math.cos(angle) - x[i + 1] * Math.sin(angle);
    turned[i + 1] = x[i] * Math.sin(angle) + x[i + 1] * Math.cos(angle);
  }
  return turned;
}

// A number in 0 … 1 that depends on layer and place only: the same tokens go every time.
function chance(layer, place) {
  let mixed = Math.imul(1 + place + 997 * layer, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x85ebca6b);
  return ((mixed ^ (mixed >>> 13)) >>> 0) / 2 ** 32;
}

const ORDERS = {
  significance: (received) => received,
  chance: (_, layer, places) => places.map((place) => chance(layer, place)),
  first: (_, layer, places) => places.map((place) => -place),
};

// The indices of the `keep` largest scores in rising order; the first index is always among them.
export function kept(scores, keep) {
  const rest = scores.map((score, index) => [score, index]).slice(1);
  rest.sort((a, b) => b[0] - a[0] || a[1] - b[1]);
  return [0, ...rest.slice(0, keep - 1).map(([, index]) => index)].sort((a, b) => a - b);
}

// One layer. x: a vector a token; places: where they stood at first; keep: how many may leave.
function runLayer(weights, layer, x, places, keep, order, heads) {
  const name = `stack.layers.${layer}`;
  const headDim = x[0].length / heads;
  const project = (part) =>
    x.map((row) => linear(weights, `${name}.mix.sublayer.${part}`, norm(weights, `${name}.mix.norm`, row)));
  const turn = (rows) => rows.map((row, i) => rotate(row, places[i], headDim));
  const [q, k, v] = [turn(project("to_q")), turn(project("to_k")), project("to_v")];
  const received = places.map(() => 0);
  const out = x.map((row) => new Float64Array(row.length));
  for (let head = 0; head < heads; head++) {
    const from = head * headDim;
    q.forEach((query, i) => {
      const scores = k.map((key) => dot(query, key, from, from, headDim) / Math.sqrt(headDim));
      softmax(scores).forEach((weight, j) => {
        received[j] += weight;
        for (let c = from; c < from + headDim; c++) out[i][c] += weight * v[j][c];
      });
    });
  }
  const scores = ORDERS[order](received, layer, places);
  const stay = keep < x.length ? kept(scores, keep) : places.map((_, index) => index);
  const next = stay.map((index) => {
    const mixed = add(x[index], linear(weights, `${name}.mix.sublayer.to_out`, out[index]));
    const inner = linear(
      weights,
      `${name}.feed_forward.sublayer.inner`,
      norm(weights, `${name}.feed_forward.norm`, mixed),
    );
    const positive = inner.map((value) => Math.max(0, value));
    return add(mixed, linear(weights, `${name}.feed_forward.sublayer.outer`, positive));
  });
  return { next, places, received, left: stay.map((index) => places[index]) };
}

// ids -> for each layer who came in (places), what attention each received, and who left; and the
// probabilities of the classes, read from the first token.
export function forward(weights, { heads, width }, ids, keep, order = "significance") {
  let x = ids.map((id) =>
    weights["embedding.table"].slice(id * width, (id + 1) * width).map((value) => value * Math.sqrt(width)),
  );
  let places = ids.map((_, place) => place);
  const layers = keep.map((tokens, layer) => {
    const ran = runLayer(weights, layer, x, places, tokens, order, heads);
    [x, places] = [ran.next, ran.left];
    return { places: ran.places, received: ran.received, left: ran.left };
  });
  const read = linear(weights, "classify", norm(weights, "norm", x[0]));
  return { layers, probabilities: Array.from(softmax(Array.from(read))) };
}

// FLOPs of the layers' matrix products: elimination_flops of the library.
export function flops(keep, length, width, inner) {
  let entering = length;
  return keep.reduce((total, tokens) => {
    const leaving = Math.min(tokens, entering);
    const layer =
      6 * entering * width ** 2 +
      2 * entering ** 2 * width +
      2 * leaving * entering * width +
      2 * leaving * width ** 2 +
      4 * leaving * width * inner;
    entering = leaving;
    return total + layer;
  }, 0);
}
