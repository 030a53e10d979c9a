// Studies made of recorded noise: frugal.evidence.garden in plain arrays.
import { mean, sum } from "../../show/drawing.js";

// Random numbers from 0 to 1 by a seed (xorshift, stirred first so that near seeds are far apart).
export function randomOf(seed) {
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ 0x5bd1e995;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4294967296;
  };
}

const times = (n, make) => Array.from({ length: n }, (_, at) => make(at));

export function largestAt(values) {
  return values.reduce((best, value, at) => (value > values[best] ? at : best), 0);
}

// Squared deviations from the mean, over n - 1.
export function variance(values) {
  const middle = mean(values);
  return sum(values.map((value) => (value - middle) ** 2)) / (values.length - 1);
}

// t of two lists of as many values; Infinity where neither varies and they differ.
export function tOf(ours, theirs) {
  const error = Math.sqrt((variance(ours) + variance(theirs)) / ours.length);
  const apart = mean(ours) - mean(theirs);
  return apart === 0 ? 0 : apart / error;
}

// The runs of one side, by try and task a list of [validation, test], and which try each task takes.
function side(study, tries, noise, random) {
  const draw = () => noise[Math.floor(random() * noise.length)];
  const runs = times(tries, () => times(study.tasks, () => times(study.seeds, draw)));
  const column = study.chosen === "test" ? 1 : 0;
  const scores = runs.map((tasks) => tasks.map((pairs) => mean(pairs.map((pair) => pair[column]))));
  const overall = largestAt(scores.map(mean));
  const taken = times(study.tasks, (task) => (study.told === "mean" ? overall : largestAt(scores.map((row) => row[task]))));
  if (study.chosen === "validation, run again") {
    taken.forEach((chosen, task) => (runs[chosen][task] = times(study.seeds, draw)));
  }
  return { tests: runs.map((tasks) => tasks.map((pairs) => pairs.map((pair) => pair[1]))), taken };
}

const byTask = ({ tests, taken }) => taken.map((chosen, task) => tests[chosen][task]);
const bySeed = (tasks) => tasks[0].map((_, seed) => mean(tasks.map((values) => values[seed])));

// One study. study: seeds, tries, baseline, tasks, rule, told, chosen, effect. limit: what t must exceed.
// leaves: by try and task the difference to the baseline. told: its task, null where all are averaged.
export function oneStudy(study, noise, limit, random) {
  const ours = side(study, study.tries, noise, random);
  ours.tests = ours.tests.map((tasks) => tasks.map((values) => values.map((value) => value + study.effect)));
  const theirs = byTask(side(study, study.baseline, noise, random));
  const leaves = ours.tests.map((tasks) => tasks.map((values, task) => mean(values) - mean(theirs[task])));
  const all = study.told === "mean";
  const left = all ? [bySeed(byTask(ours))] : byTask(ours);
  const right = all ? [bySeed(theirs)] : theirs;
  const apart = left.map((values, task) => mean(values) - mean(right[task]));
  const tested = study.rule === "t test" && study.seeds > 1;
  const clear = tested ? left.map((values, task) => tOf(values, right[task])) : apart;
  const task = largestAt(clear);
  const win = study.rule === "higher" ? clear[task] > 0 : tested && clear[task] > limit;
  return { leaves, taken: ours.taken, task: all ? null : task, difference: apart[task], win };
}

// Many studies; each has its tree.
export function play(study, noise, limit, count, seed) {
  const random = randomOf(seed);
  return times(count, () => oneStudy(study, noise, limit, random));
}

export const nominal = (rule) => (rule === "t test" ? 0.05 : 0.5);

// How many values fall into each of so many bins from low to high; what lies outside counts in the ends.
export function binned(values, low, high, bins) {
  const counts = Array(bins).fill(0);
  for (const value of values) {
    const bin = Math.floor(((value - low) / (high - low)) * bins);
    counts[Math.min(bins - 1, Math.max(0, bin))] += 1;
  }
  return counts;
}

// t intervals of studies with `seeds` runs per side: low, high, and whether 0 lies outside.
export function intervals({ seeds, effect }, noise, limit, count, seed) {
  const random = randomOf(seed);
  const draw = () => noise[Math.floor(random() * noise.length)][1];
  return times(count, () => {
    const [ours, theirs] = [times(seeds, () => draw() + effect), times(seeds, draw)];
    const reach = limit * Math.sqrt((variance(ours) + variance(theirs)) / seeds);
    const apart = mean(ours) - mean(theirs);
    const [low, high] = [apart - reach, apart + reach];
    return { low, high, apart, found: low > 0 || high < 0 };
  });
}
