// The singular values of a matrix, its best approximation of rank r, and the error of that.
// Matrices are lists of rows. Python has torch.linalg.svd for the same.

const MOST_SWEEPS = 40;
const SMALL = 1e-13; // of the sum of squares: columns that overlap by less count as orthogonal

function dot(a, b) {
  let total = 0;
  for (let i = 0; i < a.length; i += 1) total += a[i] * b[i];
  return total;
}

function rotate(a, b, cos, sin) {
  for (let i = 0; i < a.length; i += 1) {
    const [x, y] = [a[i], b[i]];
    a[i] = cos * x - sin * y;
    b[i] = sin * x + cos * y;
  }
}

// Makes two columns orthogonal, and turns the two of `turned` alike. Were they orthogonal before?
function settle(columns, turned, p, q, small) {
  const gamma = dot(columns[p], columns[q]);
  if (Math.abs(gamma) <= small) return true;
  const [alpha, beta] = [dot(columns[p], columns[p]), dot(columns[q], columns[q])];
  const zeta = (beta - alpha) / (2 * gamma);
  const tan = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
  const cos = 1 / Math.hypot(1, tan);
  rotate(columns[p], columns[q], cos, cos * tan);
  rotate(turned[p], turned[q], cos, cos * tan);
  return false;
}

// Jacobi's method from one side: turn the columns until all are orthogonal. Then they are the left
// singular vectors times their values, and the turns are the right ones.
export function decompose(matrix) {
  const size = matrix.length;
  const columns = matrix.map((_, j) => Float64Array.from(matrix, (row) => row[j]));
  const turned = matrix.map((_, j) => Float64Array.from({ length: size }, (_, i) => Number(i === j)));
  const small = SMALL * columns.reduce((total, column) => total + dot(column, column), 0);
  let settled = false;
  for (let sweep = 0; !settled && sweep < MOST_SWEEPS; sweep += 1) {
    settled = true;
    for (let p = 0; p < size - 1; p += 1) {
      for (let q = p + 1; q < size; q += 1) settled = settle(columns, turned, p, q, small) && settled;
    }
  }
  const parts = columns.map((left, j) => ({ left, right: turned[j], value: Math.sqrt(dot(left, left)) }));
  return parts.sort((a, b) => b.value - a.value);
}

// The sum of the first `rank` parts: the best approximation of that rank.
export function rebuilt(parts, rank) {
  const size = parts.length;
  const rows = Array.from({ length: size }, () => new Float64Array(size));
  for (const { left, right } of parts.slice(0, rank)) {
    for (let i = 0; i < size; i += 1) {
      for (let j = 0; j < size; j += 1) rows[i][j] += left[i] * right[j];
    }
  }
  return rows;
}

// For r = 0 … N: how much of the matrix the best approximation of rank r leaves out, as a share.
export function errors(parts) {
  const left = [0];
  for (const { value } of [...parts].reverse()) left.unshift(left[0] + value ** 2);
  return left.map((squares) => Math.sqrt(squares / left[0]));
}
