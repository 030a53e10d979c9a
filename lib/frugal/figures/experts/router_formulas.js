// The formulas of frugal.feedforward.routing and .experts, on the logits of a router, (tokens, experts).
import { mean, sum } from "../../show/drawing.js";

// The one expert of each token: where score + bias is largest. The bias is in the choice alone.
export function chosen(scores, bias) {
  return scores.map((row) => {
    const seen = row.map((score, expert) => score + bias[expert]);
    return seen.indexOf(Math.max(...seen));
  });
}

export function capacityOf(tokens, experts, factor) {
  return Math.max(1, Math.floor((tokens / experts) * factor));
}

// Whether each token finds room: the first `capacity` tokens of an expert do.
export function room(experts, capacity) {
  const taken = {};
  return experts.map((expert) => {
    taken[expert] = (taken[expert] ?? 0) + 1;
    return taken[expert] <= capacity;
  });
}

export function loads(experts, count) {
  return Array.from({ length: count }, (_, expert) => experts.filter((one) => one === expert).length);
}

// E · Σ f P: f the share of the tokens that chose an expert, P its mean score.
export function balance(scores, experts) {
  const count = scores[0].length;
  const shares = loads(experts, count).map((load) => load / experts.length);
  return count * sum(shares.map((share, expert) => share * mean(scores.map((row) => row[expert]))));
}

// Each bias falls by `rate` where the expert had more tokens than the mean, and rises where fewer.
export function nudged(bias, load, rate) {
  const middle = mean(load);
  return bias.map((value, expert) => value + rate * Math.sign(middle - load[expert]));
}
