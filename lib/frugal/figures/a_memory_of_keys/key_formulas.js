// The formulas of frugal.feedforward.product_keys, on numbers.
import { softmax } from "../../show/models.js";

// The score of every half-key for half of a query: products of two numbers each.
export function scores([x, y], keys) {
  return keys.map(([a, b]) => x * a + y * b);
}

// Places in falling order of their values; of equal ones the first comes first.
export function ranked(values) {
  return values.map((_, place) => place).sort((a, b) => values[b] - values[a] || a - b);
}

// The pairs of ranks, counted from 0, that can be among the k best: (i + 1)(j + 1) <= k.
export function candidates(k) {
  const found = [];
  for (let i = 0; i < k; i += 1) {
    for (let j = 0; (i + 1) * (j + 1) <= k; j += 1) found.push([i, j]);
  }
  return found;
}

// The k pairs of half-keys with the largest sums, falling, each with its weight; they sum to 1.
export function bestPairs(first, second, k) {
  const [one, other] = [ranked(first), ranked(second)];
  const sums = candidates(k).map(([i, j]) => ({
    pair: [one[i], other[j]],
    sum: first[one[i]] + second[other[j]],
  }));
  const best = ranked(sums.map(({ sum }) => sum)).slice(0, k).map((place) => sums[place]);
  const weights = softmax(best.map(({ sum }) => sum));
  return best.map((found, place) => ({ ...found, weight: weights[place] }));
}
