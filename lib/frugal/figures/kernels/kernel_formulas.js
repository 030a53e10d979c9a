// The formulas of frugal.attention.kernels, on arrays of numbers.

// A loop, since it runs millions of times.
function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += a[i] * b[i];
  return sum;
}

// exp(q̂·k̂), where both carry the temperature and head_dim already.
export const softmaxKernel = (x, y) => Math.exp(dot(x, y));

// x over head_dim^¼ and over the root of the temperature.
export function scaled(x, temperature) {
  const size = x.length ** -0.25 / Math.sqrt(temperature);
  return x.map((value) => value * size);
}

// Features without randomness: elu(x) + 1, which is e^x below zero. They take x as it is.
export const elu = (x) => x.map((value) => (value > 0 ? value + 1 : Math.exp(value)));
export const eluKernel = (x, y) => dot(elu(x), elu(y));

// The two features of one ω that products are taken of; the mean over ω estimates the kernel.
export function positive(x, omega) {
  return [Math.exp(dot(omega, x) - dot(x, x) / 2)];
}

export function trigonometric(x, omega) {
  const size = Math.exp(dot(x, x) / 2);
  const angle = dot(omega, x);
  return [size * Math.sin(angle), size * Math.cos(angle)];
}

export const MAPS = { positive, trigonometric };

// Normal numbers that a seed decides: mulberry32, then Box and Muller.
export function normals(seed, count) {
  let state = (seed * 2654435761) >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (((mixed ^ (mixed >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  const found = [];
  while (found.length < count) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    const angle = 2 * Math.PI * uniform();
    found.push(radius * Math.cos(angle), radius * Math.sin(angle));
  }
  return found.slice(0, count);
}

// Rows made orthogonal to those before them in their block of `width`, each with the length of
// another normal vector.
export function orthogonalised(rows, lengths, width) {
  const done = [];
  rows.forEach((row, index) => {
    let left = [...row];
    for (const before of done.slice(index - (index % width), index)) {
      const along = dot(left, before);
      left = left.map((value, i) => value - along * before[i]);
    }
    const size = Math.sqrt(dot(left, left));
    done.push(left.map((value) => value / size));
  });
  return done.map((row, index) => row.map((value) => value * lengths[index]));
}

// `rows` vectors ω of `width` numbers.
export function projection(seed, rows, width, orthogonal) {
  const cut = (numbers) =>
    Array.from({ length: rows }, (_, r) => numbers.slice(r * width, (r + 1) * width));
  const drawn = cut(normals(seed, rows * width));
  if (!orthogonal) return drawn;
  const lengths = drawn.map((row) => Math.sqrt(dot(row, row)));
  return orthogonalised(cut(normals(seed + 7919, rows * width)), lengths, width);
}

// Estimates of exp(x·y) for every y, by the first m of the vectors ω, for each m of `counts` in
// ascending order: [index of m][y].
export function estimates(x, ys, omegas, map, counts) {
  const sums = ys.map(() => 0);
  const found = [];
  for (let r = 0; found.length < counts.length; r += 1) {
    const query = map(x, omegas[r]);
    for (let j = 0; j < ys.length; j += 1) sums[j] += dot(query, map(ys[j], omegas[r]));
    if (r + 1 === counts[found.length]) found.push(sums.map((sum) => sum / (r + 1)));
  }
  return found;
}
