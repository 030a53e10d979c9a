// The forward pass of an encoder that drops tokens, and of the layer that reads the class: what
// frugal.tokens.elimination does, on plain arrays, for one sequence without padding.
import { classified, embedded, looked, passed } from "../../show/models.js";

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

// One layer. places: where the tokens stood at first; keep: how many may leave.
function runLayer(weights, layer, x, places, keep, order, heads) {
  const name = `stack.layers.${layer}`;
  const received = places.map(() => 0);
  const see = (shares) => shares.forEach((share, j) => (received[j] += share));
  const found = looked(weights, name, x, heads, { places, see });
  const scores = ORDERS[order](received, layer, places);
  const stay = keep < x.length ? kept(scores, keep) : places.map((_, index) => index);
  const of = (rows) => stay.map((index) => rows[index]);
  return { next: passed(weights, name, of(x), of(found)), places, received, left: of(places) };
}

// ids -> for each layer who came in (places), what attention each received, and who left; and the
// probabilities of the classes, read from the first token.
export function forward(weights, { heads, width }, ids, keep, order = "significance") {
  let x = embedded(weights, ids, width);
  let places = ids.map((_, place) => place);
  const layers = keep.map((tokens, layer) => {
    const ran = runLayer(weights, layer, x, places, tokens, order, heads);
    [x, places] = [ran.next, ran.left];
    return { places: ran.places, received: ran.received, left: ran.left };
  });
  return { layers, probabilities: classified(weights, x.slice(0, 1))[0] };
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
