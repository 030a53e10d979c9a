// The scenes of the map: `scenes.py` says what each method leaves of a small stack, as numbers that
// differ from the whole stack. Here they become arrays, and the counts of what is left.
import { mean, sum } from "../../show/drawing.js";

export const TOKENS = 8;
export const LAYERS = 4;
export const ROWS = LAYERS + 1; // row 0 is the input
export const HUBS = 3; // summaries that stand between the tokens of two rows
export const HEADS = 4;
export const PARTS = 4; // of a feed-forward block
export const BYTES = 16;

export const node = (row, token) => row * TOKENS + token;
export const pair = (layer, query, key) => (layer * TOKENS + query) * TOKENS + key;
export const spoke = (layer, token, hub) => (layer * TOKENS + token) * HUBS + hub;

const ones = (size) => new Float32Array(size).fill(1);
const zeros = (size) => new Float32Array(size);

// Everything reads everything: the baseline.
export function whole() {
  return {
    place: Float32Array.from({ length: ROWS * TOKENS }, (_, index) => index % TOKENS),
    nodes: ones(ROWS * TOKENS),
    pairs: ones(LAYERS * TOKENS * TOKENS),
    hubs: zeros(LAYERS * HUBS),
    gather: zeros(LAYERS * TOKENS * HUBS), // tokens below → summary
    spread: zeros(LAYERS * TOKENS * HUBS), // summary → tokens above
    heads: ones(LAYERS * HEADS),
    parts: ones(LAYERS * PARTS),
    bytes: zeros(BYTES),
    letters: zeros(TOKENS), // two words, spelled
    answers: zeros(TOKENS), // nothing is known below, and all words come out above
    marks: zeros(2 * LAYERS), // what is exchanged: a layer's heads, its feed-forward
    groups: null, // token → bucket, where tokens are sorted into buckets
    fixed: false, // interactions that no input and no training changes
  };
}

// The whole stack with what a scene changes of it.
export function scene(changes) {
  const now = whole();
  for (const [name, value] of Object.entries(changes)) {
    now[name] = now[name] instanceof Float32Array ? Float32Array.from(value) : value;
  }
  return now;
}

// What is left, in three numbers, each beside what the baseline has. Two thirds of a layer's
// parameters are in its feed-forward block, as they are when d_ff = 4d.
export function counts(scene) {
  return {
    interactions: Math.round(sum(scene.pairs) + sum(scene.gather) + sum(scene.spread)),
    representations: Math.round(sum(scene.nodes.subarray(TOKENS))),
    parameters: (mean(scene.heads) + 2 * mean(scene.parts)) / 3,
  };
}
