// Which keys a query may see: the rules of frugal.attention.patterns, once more. No page, no
// drawing; a test feeds both the same numbers.

// 32 mixed bits of (query, draw, seed): the same draws as in Python.
function hash(query, draw, seed) {
  const start = Math.imul(0x85ebca77, draw) + Math.imul(0xc2b2ae3d, seed);
  let x = (Math.imul(query, 0x9e3779b1) + start) >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}

const RULES = {
  full: () => () => true,
  window: ({ window }) => (i, j) => Math.abs(i - j) <= window,
  dilated:
    ({ window, dilation }) =>
    (i, j) =>
      Math.abs(i - j) <= window * dilation && (i - j) % dilation === 0,
  strided:
    ({ stride }) =>
    (i, j) =>
      j <= i && (i - j <= stride || (i - j) % stride === 0),
  fixed:
    ({ stride, summary }) =>
    (i, j) =>
      j <= i &&
      (Math.floor(i / stride) === Math.floor(j / stride) || j % stride >= stride - summary),
  global:
    ({ global_tokens }) =>
    (i, j) =>
      global_tokens.includes(i) || global_tokens.includes(j),
  random:
    ({ n_random, seed = 0, length, causal }) =>
    (i, j) => {
      for (let draw = 0; draw < n_random; draw += 1) {
        if (hash(i, draw, seed) % (causal ? i + 1 : length) === j) return true;
      }
      return false;
    },
};

// mask("window+global", 48, { window: 4, global_tokens: [0], causal: false })[query][key]
export function mask(name, length, options) {
  const rules = name
    .split("+")
    .filter(Boolean)
    .map((part) => RULES[part]({ ...options, length }));
  return Array.from({ length }, (_, i) =>
    Array.from(
      { length },
      (_, j) => !(options.causal && j > i) && rules.some((rule) => rule(i, j)),
    ),
  );
}

// For each query and position the least number of layers after which the position can have reached
// the query: 0 for itself, Infinity for never.
export function layersNeeded(seen) {
  return seen.map((_, query) => {
    const needed = seen.map(() => Infinity);
    needed[query] = 0;
    let edge = [query];
    for (let layer = 1; edge.length; layer += 1) {
      const next = [];
      for (const place of edge) {
        seen[place].forEach((open, key) => {
          if (open && needed[key] === Infinity) {
            needed[key] = layer;
            next.push(key);
          }
        });
      }
      edge = next;
    }
    return needed;
  });
}

// After how many layers every position has heard of every other, or of all before it where attention is
// causal; Infinity where some never meet. `needed` is that of `layersNeeded`.
export function layersToMeet(needed, causal) {
  return Math.max(...needed.map((row, query) => Math.max(...row.slice(0, causal ? query + 1 : row.length))));
}

// Pairs that are computed, their share of all N², and the FLOPs of a head: 4 for each and number.
export function bill(seen, headDim) {
  const pairs = seen.reduce((sum, row) => sum + row.filter(Boolean).length, 0);
  return { pairs, density: pairs / seen.length ** 2, flops: 4 * pairs * headDim };
}
