// The forward pass of an encoder some of whose layers are left out, and of the layer that reads the
// answers at every token: what frugal.model.Encoder does inside frugal.depth.layerdrop.only_layers,
// on plain arrays, for one example without positions.
import { added, attend, linear, norm, softmax, unpack } from "../sixteen_heads_or_one/gated_encoder.js";

export { unpack };

function runLayer(weights, layer, x, heads) {
  const name = `stack.layers.${layer}`;
  const headDim = x[0].length / heads;
  const seen = norm(weights, `${name}.mix.norm`, x);
  const [q, k, v] = ["to_q", "to_k", "to_v"].map((part) => linear(weights, `${name}.mix.sublayer.${part}`, seen));
  const out = x.map((row) => new Float64Array(row.length));
  for (let head = 0; head < heads; head++) attend(out, q, k, v, head * headDim, headDim);
  const mixed = added(x, linear(weights, `${name}.mix.sublayer.to_out`, out));
  const ready = norm(weights, `${name}.feed_forward.norm`, mixed);
  const inner = linear(weights, `${name}.feed_forward.sublayer.inner`, ready);
  const positive = inner.map((row) => row.map((value) => Math.max(0, value)));
  return added(mixed, linear(weights, `${name}.feed_forward.sublayer.outer`, positive));
}

// ids -> for each token and each question the probabilities of the answers. off: the layers that are
// left out. memory: a map for this model and example, where the vectors after each set of layers are
// kept, so that what two choices have in common below is computed once.
export function forward(weights, { heads, width, layers, questions, answers }, ids, off, memory = new Map()) {
  let key = "";
  let x = ids.map((id) =>
    weights["embedding.table"].slice(id * width, (id + 1) * width).map((value) => value * Math.sqrt(width)),
  );
  for (let layer = 0; layer < layers; layer++) {
    if (off.includes(layer)) continue;
    key += `${layer} `;
    if (!memory.has(key)) memory.set(key, runLayer(weights, layer, x, heads));
    x = memory.get(key);
  }
  return linear(weights, "classify", norm(weights, "norm", x)).map((row) =>
    Array.from({ length: questions }, (_, question) =>
      Array.from(softmax(Array.from(row.slice(question * answers, (question + 1) * answers)))),
    ),
  );
}
