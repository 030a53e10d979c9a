// The formulas of frugal.arithmetic.token_counts for the browser; a test feeds both the same numbers.
// Each gives a number of tokens, or throws an Error with the library's sentence.

function checkSides(sides, patch) {
  if (patch < 1) throw new Error(`patch is ${patch}; it must be at least 1.`);
  for (const [name, side] of Object.entries(sides)) {
    if (side < 1 || side % patch) {
      throw new Error(`${name} is ${side}; it must be a positive multiple of patch=${patch}.`);
    }
  }
}

export function pictureTokens(height, width, patch) {
  checkSides({ height, width }, patch);
  return (height / patch) * (width / patch);
}

export function voxelTokens(side, patch) {
  checkSides({ side }, patch);
  return (side / patch) ** 3;
}

export function soundFrames(samples, window, hop) {
  if (samples < 0 || window < 1 || hop < 1) {
    throw new Error(
      `samples is ${samples}, window ${window} and hop ${hop}; ` +
        "they must be at least 0, 1 and 1.",
    );
  }
  return samples < window ? 0 : 1 + Math.floor((samples - window) / hop);
}

// The window that goes with a hop, as in HuBERT: a quarter longer.
export function windowOf(hop) {
  return hop + Math.floor(hop / 4);
}

// Tokens of what the state describes: a square picture, a sound, or a cube of voxels.
export function tokensOf(state) {
  if (state.modality === "picture") {
    return pictureTokens(state.side, state.side, state.patch);
  }
  if (state.modality === "sound") {
    const samples = Math.round(state.seconds * state.sample_rate);
    return soundFrames(samples, windowOf(state.hop), state.hop);
  }
  return voxelTokens(state.voxel_side, state.voxel_patch);
}
