// Kernels at the places of a text, and how far each moves from its mean over the text. Weights are
// [place][head][characters back].
import { mean, sum } from "../../show/drawing.js";

const distance = (one, other) => sum(one.map((weight, back) => Math.abs(weight - other[back]))) / 2;

// The mean over the places: the one kernel of each head that would serve the whole text.
export function meanKernels(places) {
  return places[0].map((kernel, head) => kernel.map((_, back) => mean(places.map((of) => of[head][back]))));
}

// For each place and head, the share of a kernel's weight that lies elsewhere than in the mean.
export function moves(places) {
  const still = meanKernels(places);
  return places.map((heads) => heads.map((kernel, head) => distance(kernel, still[head])));
}
