// What each method leaves of a Transformer, as numbers: no page, no drawing. A scene is a small
// stack (8 tokens, 4 layers, 4 heads) in which everything has a strength between 0 and 1.
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
const block = (token, size) => Math.floor(token / size);

// Everything reads everything: the baseline.
function whole() {
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
    groups: null, // token → bucket, where tokens are sorted into buckets
    fixed: false, // interactions that no input and no training changes
  };
}

// Keeps the pairs for which `kept(query, key, layer)` is true, or gives a strength.
function keep(scene, kept) {
  for (let layer = 0; layer < LAYERS; layer += 1) {
    for (let query = 0; query < TOKENS; query += 1) {
      for (let key = 0; key < TOKENS; key += 1) {
        scene.pairs[pair(layer, query, key)] *= Number(kept(query, key, layer));
      }
    }
  }
  return scene;
}

// Removes representations: `alive(row, token)`. What is gone neither reads nor is read.
function survive(scene, alive) {
  scene.nodes.forEach((_, index) => {
    scene.nodes[index] = Number(alive(Math.floor(index / TOKENS), index % TOKENS));
  });
  return keep(
    scene,
    (query, key, layer) => scene.nodes[node(layer + 1, query)] * scene.nodes[node(layer, key)],
  );
}

// Tokens of a row merge in groups of `size(row)`: the first of each stands for all, in their middle.
function merge(scene, size) {
  scene.place.forEach((_, index) => {
    const width = size(Math.floor(index / TOKENS));
    scene.place[index] = block(index % TOKENS, width) * width + (width - 1) / 2;
  });
  return survive(scene, (row, token) => token % size(row) === 0);
}

function throughSummaries(scene, hubs) {
  keep(scene, () => false);
  for (let layer = 0; layer < LAYERS; layer += 1) {
    for (const hub of hubs) {
      scene.hubs[layer * HUBS + hub] = 1;
      for (let token = 0; token < TOKENS; token += 1) {
        scene.gather[spoke(layer, token, hub)] = 1;
        scene.spread[spoke(layer, token, hub)] = 1;
      }
    }
  }
  return scene;
}

// A skipped layer hands every representation on unchanged.
function skip(scene, skipped) {
  for (const layer of skipped) {
    scene.heads.fill(0, layer * HEADS, (layer + 1) * HEADS);
    scene.parts.fill(0, layer * PARTS, (layer + 1) * PARTS);
  }
  return keep(scene, (query, key, layer) => !skipped.includes(layer) || query === key);
}

const BUCKETS = [0, 1, 0, 2, 1, 2, 0, 1];
const SORTED = [2, 0, 3, 1]; // the block that each block of two also reads
const SURVIVORS = [
  [0, 1, 2, 3, 4, 5, 6, 7],
  [0, 1, 3, 4, 6, 7],
  [0, 3, 4, 6],
  [0, 3, 6],
  [0, 3],
];
const SPANS = [1, 1, 2, 4];
const PRUNED = [1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0];

const SCENES = {
  whole: (scene) => scene,
  pattern: (scene) =>
    keep(scene, (query, key) => Math.abs(query - key) < 2 || query === 0 || key === 0),
  windows: (scene) =>
    keep(scene, (query, key, layer) => {
      const shift = layer % 2 === 0 ? 0 : 2;
      return block(query + shift, 4) === block(key + shift, 4);
    }),
  spans: (scene) => keep(scene, (query, key, layer) => Math.abs(query - key) <= SPANS[layer]),
  hashing: (scene) => {
    scene.groups = BUCKETS;
    return keep(scene, (query, key) => BUCKETS[query] === BUCKETS[key]);
  },
  sorting: (scene) =>
    keep(scene, (query, key) => [block(query, 2), SORTED[block(query, 2)]].includes(block(key, 2))),
  "low-rank": (scene) => throughSummaries(scene, [0, 2]),
  kernels: (scene) => throughSummaries(scene, [1]),
  convolution: (scene) => keep(scene, (query, key) => Math.abs(query - key) < 2),
  fixed: (scene) => ({ ...scene, fixed: true }),

  dropping: (scene) => survive(scene, (row, token) => SURVIVORS[row].includes(token)),
  pooling: (scene) => merge(scene, (row) => [1, 1, 2, 2, 4][row]),
  latents: (scene) => {
    for (let row = 1; row < ROWS; row += 1) {
      [1.5, 3.5, 5.5].forEach((place, token) => {
        scene.place[node(row, token)] = place;
      });
    }
    return survive(scene, (row, token) => row === 0 || token < 3);
  },
  patches: (scene) => {
    scene.bytes.fill(1);
    return merge(scene, () => 2);
  },
  bytes: (scene) => {
    scene.bytes.fill(1);
    return scene;
  },

  heads: (scene) => ({ ...scene, heads: Float32Array.from(PRUNED) }),
  entmax: (scene) =>
    keep(scene, (query, key, layer) => key === query || key === (3 * query + 2 * layer + 1) % 8),
  "fewer-layers": (scene) => skip(scene, [1, 3]),
  exit: (scene) => survive(skip(scene, [2, 3]), (row) => row < 3),
  shared: (scene) => {
    scene.heads.fill(0, HEADS); // the weights of the first layer serve in all
    scene.parts.fill(0, PARTS);
    return scene;
  },
  experts: (scene) => {
    scene.parts = scene.parts.map((_, index) =>
      Number(index % PARTS === [1, 3, 0, 2][block(index, PARTS)]),
    );
    return scene;
  },
  memory: (scene) => {
    scene.parts = scene.parts.map((_, index) => (block(index, PARTS) === 2 ? 0.15 : 1));
    return scene;
  },
  ends: (scene) => keep(scene, (query, key) => (key < 2 || key > 5 ? 1 : 0.12)),
};

export function scene(name) {
  if (!(name in SCENES)) throw new Error(`There is no scene named ${name}.`);
  return SCENES[name](whole());
}

const total = (values) => values.reduce((sum, value) => sum + value, 0);

// What is left, in three numbers, each beside what the baseline has. Two thirds of a layer's
// parameters are in its feed-forward block, as they are when d_ff = 4d.
export function counts(scene) {
  let interactions = 0;
  for (let layer = 0; layer < LAYERS; layer += 1) {
    const size = TOKENS * TOKENS;
    const arms = TOKENS * HUBS;
    interactions +=
      total(scene.pairs.subarray(layer * size, (layer + 1) * size)) +
      total(scene.gather.subarray(layer * arms, (layer + 1) * arms)) +
      total(scene.spread.subarray(layer * arms, (layer + 1) * arms));
  }
  return {
    interactions: Math.round(interactions),
    representations: Math.round(total(scene.nodes.subarray(TOKENS))),
    parameters:
      (total(scene.heads) / scene.heads.length + (2 * total(scene.parts)) / scene.parts.length) / 3,
  };
}
