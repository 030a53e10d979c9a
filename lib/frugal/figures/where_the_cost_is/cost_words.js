// What the cost explorer says: durations, the lines of a chart, and its sentences, from numbers.
import { quantity } from "../../show/controls.js";
import { percent } from "../../show/drawing.js";
import {
  crossoverLength,
  flops,
  layerSeconds,
  memory,
  operations,
  ridge,
  rooflineSeconds,
} from "./cost_formulas.js";

export function duration(seconds) {
  if (seconds < 1e-6) return `${(seconds * 1e9).toPrecision(3)} ns`;
  if (seconds < 1e-3) return `${(seconds * 1e6).toPrecision(3)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
  if (seconds < 120) return `${seconds.toPrecision(3)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800
    ? `${Math.round(seconds / 3600)} h`
    : `${Math.round(seconds / 86400).toLocaleString("en")} days`;
}

export function linesOfMemory(sizes, mode) {
  const bytes = memory(sizes, mode);
  const lines = [
    ["scores, naive", bytes.naive_scores, "var(--frugal-accent-2)"],
    ["scores, fused", bytes.fused_scores, "var(--frugal-accent-4)"],
    [
      mode === "training" ? "parameters + Adam" : "parameters",
      bytes.parameters,
      "var(--frugal-accent-6)",
    ],
  ];
  if (mode === "decoding") lines.push(["KV cache", bytes.cache, "var(--frugal-accent-5)"]);
  return lines;
}

// Steps for the roofline. Scores and weighted sum have the same counts in every shape: one point.
export function hangers(steps, machine, bytes) {
  return steps
    .filter(({ name }) => name !== "weighted sum")
    .map((step) => {
      const least = duration(rooflineSeconds(step, machine, bytes));
      const both = step.name === "scores";
      return {
        ...step,
        label: both ? "scores, weighted sum" : step.name,
        words: both ? `${least} each` : least,
      };
    });
}

export function boundBy(step, machine, bytes) {
  return step.intensity < ridge(machine, bytes) ? "memory" : "arithmetic";
}

function memoryWords(sizes, mode) {
  const { naive_scores, parameters } = memory(sizes, mode);
  const weights = mode === "training" ? "parameters with Adam" : "parameters";
  return `Stored scores hold ${quantity(naive_scores, "B")}, ${weights} ${quantity(parameters, "B")}.`;
}

export function sentences(sizes, mode, machine) {
  const { attention_share: share, feed_forward, total } = flops(sizes, mode);
  const half = crossoverLength(sizes.d_model, sizes.d_ff);
  const bytes = sizes.bytes_per_number;
  const waiting = operations(sizes, mode).filter(
    (step) => boundBy(step, machine, bytes) === "memory",
  );
  const names = waiting.map(({ name }) => name);
  const listed =
    names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0];
  const who = names.length === 6 ? "every step" : (listed ?? "no step");
  const waits = `${who} ${names.length > 1 && names.length < 6 ? "wait" : "waits"}`;
  const [separate, fused] = [false, true].map((whole) => layerSeconds(sizes, machine, mode, whole));
  return (
    `At N = ${sizes.length.toLocaleString("en")} scores and weighted sum take ` +
    `${percent(share)} of the FLOPs, the feed-forward network ${percent(feed_forward / total)}. ` +
    `Attention takes half at N = ${half.toLocaleString("en")} (2d + d_ff). ${memoryWords(sizes, mode)} ` +
    `On ${machine.name}: ${waits} for memory; a layer takes at least ${duration(separate)}, ` +
    `with attention fused ${duration(fused)}.`
  );
}
