// Who leaves where, and the threshold that keeps a promise: frugal.depth.early_exit in plain arrays.
import { mean } from "../../show/drawing.js";

// confidence: by example a list by exit -> the exit of each, from 1. The last exit takes all.
export function byConfidence(confidence, threshold) {
  return confidence.map((row) => {
    const first = row.findIndex((sure) => sure >= threshold);
    return first < 0 ? row.length : first + 1;
  });
}

// How often in a row the answers before each exit were repeated: the counter of patience.
export function streaks(answers) {
  let counter = 0;
  return answers.map((answer, exit) => {
    counter = exit > 0 && answer === answers[exit - 1] ? counter + 1 : 0;
    return counter;
  });
}

export function byPatience(answers, patience) {
  return answers.map((row) => {
    const first = streaks(row).findIndex((counter) => counter === patience);
    return first < 0 ? row.length : first + 1;
  });
}

// Accuracy, mean exit, and the share that leaves at each exit.
export function outcome(exits, answers, labels) {
  const n = answers[0].length;
  const right = exits.map((exit, row) => Number(answers[row][exit - 1] === labels[row]));
  const shares = Array.from({ length: n }, (_, k) => mean(exits.map((exit) => Number(exit === k + 1))));
  return { right: mean(right), layers: mean(exits), shares };
}

// The largest score of an exit that disagrees, by example; -Infinity where all agree.
export function largest(scores, agrees) {
  return scores.map((row, i) => Math.max(-Infinity, ...row.filter((_, k) => !agrees[i][k])));
}

// How many examples a tolerance needs.
export const needed = (tolerance) => Math.ceil(1 / tolerance - 1e-9) - 1;

// τ from the m of n examples: the ⌈(n + 1)(1 - tolerance)⌉-th smallest. Infinity where n is too small,
// so that nobody leaves early. dropped: without the examples on which all exits agree.
export function threshold(m, tolerance, dropped = false) {
  const kept = (dropped ? m.filter((one) => one > -Infinity) : [...m]).sort((a, b) => a - b);
  const above = Math.min(Math.floor((kept.length + 1) * tolerance + 1e-9), kept.length);
  return above < 1 ? Infinity : kept[kept.length - above];
}

// The exit that a threshold gives each example, from 1; there is one more than there are scores.
export function byScore(scores, tau) {
  return scores.map((row) => {
    const first = row.findIndex((score) => score > tau);
    return first < 0 ? row.length + 1 : first + 1;
  });
}

// The share of examples that leave at an exit which disagrees, and the mean exit.
export function inconsistency(scores, agrees, tau) {
  const exits = byScore(scores, tau);
  const wrong = exits.filter((exit, row) => agrees[row][exit - 1] === false).length;
  return { inconsistent: wrong / exits.length, layers: mean(exits) };
}

// Random numbers from 0 to 1 by a seed (mulberry32).
export function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// The first n places of a random order of `size`, and the rest.
export function split(size, n, random) {
  const order = Array.from({ length: size }, (_, place) => place);
  for (let i = 0; i < n; i++) {
    const j = i + Math.floor(random() * (size - i));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return [order.slice(0, n), order.slice(n)];
}

// By draw, in both forms: what a threshold from n random examples does to the rest.
export function draws({ scores, agrees }, tolerance, n, count, seed) {
  const m = largest(scores, agrees);
  const random = chance(seed);
  return Array.from({ length: count }, () => {
    const [first, rest] = split(scores.length, n, random);
    const test = [rest.map((row) => scores[row]), rest.map((row) => agrees[row])];
    const tau = (dropped) => threshold(first.map((row) => m[row]), tolerance, dropped);
    return {
      counted: { tau: tau(false), ...inconsistency(...test, tau(false)) },
      dropped: { tau: tau(true), ...inconsistency(...test, tau(true)) },
    };
  });
}
