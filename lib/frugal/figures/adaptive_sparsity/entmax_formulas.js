// The formulas of frugal.attention.entmax on the scores of one query, and softmax at α = 1.
import { sum } from "../../show/drawing.js";
import { softmax } from "../../show/models.js";

const HALVINGS = 60;

// The weights, and the score below which they are 0: θ / (α - 1), or null where there is none.
export function entmax(scores, alpha) {
  if (alpha === 1) return { weights: softmax(scores), threshold: null };
  const grown = scores.map((score) => (alpha - 1) * score);
  const power = 1 / (alpha - 1);
  const above = (theta) => grown.map((value) => Math.max(0, value - theta) ** power);
  let [low, high] = [Math.max(...grown) - 1, Math.max(...grown)];
  for (let step = 0; step < HALVINGS; step += 1) {
    const middle = (low + high) / 2;
    if (sum(above(middle)) >= 1) low = middle;
    else high = middle;
  }
  const raised = above(low);
  const total = sum(raised);
  return { weights: raised.map((value) => value / total), threshold: low / (alpha - 1) };
}

// How each weight answers to the score of key `chosen`: a column of diag(u) - u uᵀ / Σu, u = a^(2-α).
export function gradient(weights, alpha, chosen) {
  const slopes = weights.map((weight) => (weight > 0 ? weight ** (2 - alpha) : 0));
  const total = sum(slopes);
  return slopes.map((slope, key) => slope * ((key === chosen) - slopes[chosen] / total));
}
