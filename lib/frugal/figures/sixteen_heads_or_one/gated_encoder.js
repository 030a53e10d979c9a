// The forward pass of an encoder whose heads can be switched off, and of the layer that reads the
// class: what frugal.model.Encoder does inside frugal.attention.heads.masked_heads, on plain arrays,
// for one text without padding.
import { classified, embedded, looked, passed } from "../../show/models.js";

// ids -> the probabilities of the classes, read from the first token. off[layer][head]: true where
// a head is switched off. memory: an array for this text, where the outputs of layers are kept; what
// lies below the lowest head that changed is not computed again. The last layer need not work for
// any token but the first.
export function forward(weights, { heads, width, layers }, ids, off, memory = []) {
  const places = ids.map((_, place) => place);
  let x = embedded(weights, ids, width);
  let key = "";
  for (let layer = 0; layer < layers; layer++) {
    key += `${off[layer].map(Number).join("")}/`;
    if (memory[layer]?.key !== key) {
      const name = `stack.layers.${layer}`;
      const rows = layer === layers - 1 ? 1 : x.length;
      const found = looked(weights, name, x, heads, { places, rows, off: off[layer] });
      memory[layer] = { key, x: passed(weights, name, x.slice(0, rows), found) };
    }
    ({ x } = memory[layer]);
  }
  return classified(weights, x.slice(0, 1))[0];
}
