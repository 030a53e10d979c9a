// The formulas of frugal.attention.sinkhorn, on numbers.
import { sum } from "../../show/drawing.js";

function logSum(values) {
  const highest = Math.max(...values);
  return highest + Math.log(sum(values.map((value) => Math.exp(value - highest))));
}

const transposed = (matrix) => matrix[0].map((_, j) => matrix.map((row) => row[j]));
const normalised = (matrix) =>
  matrix.map((row) => {
    const total = logSum(row);
    return row.map((value) => value - total);
  });

// exp((scores + noise) / temperature), then rows and columns divided by their sums in turn.
// A step is half an iteration: 1 the rows, 2 the columns, 3 the rows again, ...
export function sinkhorn(scores, noise, temperature, steps) {
  let logs = scores.map((row, i) => row.map((value, j) => (value + noise[i][j]) / temperature));
  const highest = Math.max(...logs.flat());
  if (steps === 0) return logs.map((row) => row.map((value) => Math.exp(value - highest)));
  for (let step = 0; step < steps; step += 1) {
    logs = step % 2 === 0 ? normalised(logs) : transposed(normalised(transposed(logs)));
  }
  return logs.map((row) => row.map(Math.exp));
}

export function rowSums(matrix) {
  return matrix.map((row) => sum(row));
}

export function columnSums(matrix) {
  return rowSums(transposed(matrix));
}
