// The formulas of lib/frugal/cost.py, under the same names, for the browser. A test feeds both the
// same shapes; where the two files differ one of them is wrong. A `shape` has length, d_model,
// n_heads, n_layers, d_ff, batch and bytes_per_number; a `mode` is forward, training or decoding.

const SOFTMAX_FLOPS = 5; // per score: maximum, subtraction, exponential, sum, division
const SOFTMAX_BACKWARD_FLOPS = 4;
const BYTES_OF_STATISTIC = 4;
const TRAINING_BYTES_PER_PARAMETER = 16; // weight, gradient and Adam's two moments

export function flops(shape, mode) {
  const queries = mode === "decoding" ? 1 : shape.length;
  const passes = mode === "training" ? 3 : 1;
  const times = passes * shape.n_layers * shape.batch * queries;
  const projections = times * 8 * shape.d_model ** 2;
  const scores = times * 2 * shape.length * shape.d_model;
  const feed_forward = times * 4 * shape.d_model * shape.d_ff;
  const attention = 2 * scores;
  const total = projections + attention + feed_forward;
  return {
    projections,
    scores,
    weighted_sum: scores,
    feed_forward,
    attention,
    total,
    attention_share: attention / total,
  };
}

// The N at which attention costs as much as all the rest.
export function crossoverLength(d_model, d_ff) {
  return 2 * d_model + d_ff;
}

export function parameters({ n_layers, d_model, d_ff }) {
  const attention = n_layers * 4 * (d_model * d_model + d_model);
  const feed_forward = n_layers * (2 * d_model * d_ff + d_ff + d_model);
  const norms = n_layers * 4 * d_model;
  return { attention, feed_forward, norms, total: attention + feed_forward + norms };
}

export function memory(shape, mode) {
  const training = mode === "training";
  const queries = mode === "decoding" ? 1 : shape.length;
  const rows = (training ? shape.n_layers : 1) * shape.batch * shape.n_heads * queries;
  const perParameter = training ? TRAINING_BYTES_PER_PARAMETER : shape.bytes_per_number;
  const cached = 2 * shape.n_layers * shape.batch * shape.length * shape.d_model;
  return {
    parameters: parameters(shape).total * perParameter,
    naive_scores: rows * shape.length * shape.bytes_per_number,
    fused_scores: rows * BYTES_OF_STATISTIC,
    cache: mode === "decoding" ? cached * shape.bytes_per_number : 0,
  };
}

// The steps of one layer; "fused attention" takes the place of the three before it.
export function operations(shape, mode) {
  const { d_model: d, d_ff, batch, length, n_heads, bytes_per_number } = shape;
  const training = mode === "training";
  const passes = training ? 3 : 1;
  const queries = batch * (mode === "decoding" ? 1 : length);
  const keys = batch * length;
  const pairs = queries * length;
  const scores = pairs * n_heads;
  const softmax = SOFTMAX_FLOPS + (training ? SOFTMAX_BACKWARD_FLOPS : 0);
  const operation = (name, count, numbers) => {
    const bytes = numbers * bytes_per_number;
    return { name, flops: count, bytes, intensity: count / bytes };
  };
  const product = [passes * 2 * pairs * d, passes * ((queries + keys) * d + scores)];
  return [
    operation("projections", passes * 8 * queries * d * d, passes * (6 * queries * d + 4 * d * d)),
    operation("scores", ...product),
    operation("softmax", softmax * scores, (training ? 5 : 2) * scores),
    operation("weighted sum", ...product),
    operation(
      "fused attention",
      (training ? 14 : 4) * pairs * d + softmax * scores,
      (training ? 6 : 2) * (queries + keys) * d,
    ),
    operation(
      "feed-forward",
      passes * 4 * queries * d * d_ff,
      passes * (2 * queries * (d + d_ff) + 2 * d * d_ff),
    ),
  ];
}

export function peak(machine, bytes_per_number) {
  return bytes_per_number === 2 ? machine.flops_bf16 : machine.flops_fp32;
}

// The intensity above which arithmetic, not memory, is the limit.
export function ridge(machine, bytes_per_number) {
  return peak(machine, bytes_per_number) / machine.bandwidth;
}

export function rooflineSeconds(operation, machine, bytes_per_number) {
  const computing = operation.flops / peak(machine, bytes_per_number);
  return Math.max(computing, operation.bytes / machine.bandwidth);
}

export function layerSeconds(shape, machine, mode, fused) {
  const skipped = fused ? ["scores", "softmax", "weighted sum"] : ["fused attention"];
  return operations(shape, mode)
    .filter(({ name }) => !skipped.includes(name))
    .reduce((sum, step) => sum + rooflineSeconds(step, machine, shape.bytes_per_number), 0);
}
