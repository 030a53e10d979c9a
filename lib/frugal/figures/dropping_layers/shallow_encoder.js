// The forward pass of an encoder some of whose layers are left out, and of the layer that reads the
// answers at every token: what frugal.model.Encoder does inside frugal.depth.layerdrop.only_layers,
// on plain arrays, for one example without positions.
import { embedded, linear, looked, norm, passed, softmax } from "../../show/models.js";

function ran(weights, layer, x, heads) {
  const name = `stack.layers.${layer}`;
  return passed(weights, name, x, looked(weights, name, x, heads));
}

// ids -> for each token and each question the probabilities of the answers. off: the layers that are
// left out. memory: a map for this model and example, where the vectors after each set of layers are
// kept, so that what two choices have in common below is computed once.
export function forward(weights, { heads, width, layers, questions, answers }, ids, off, memory = new Map()) {
  let key = "";
  let x = embedded(weights, ids, width);
  for (let layer = 0; layer < layers; layer++) {
    if (off.includes(layer)) continue;
    key += `${layer} `;
    if (!memory.has(key)) memory.set(key, ran(weights, layer, x, heads));
    x = memory.get(key);
  }
  return linear(weights, "classify", norm(weights, "norm", x)).map((row) =>
    Array.from({ length: questions }, (_, question) =>
      Array.from(softmax(row.slice(question * answers, (question + 1) * answers))),
    ),
  );
}
