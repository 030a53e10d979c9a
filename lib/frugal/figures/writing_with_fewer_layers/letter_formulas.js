// What letters cost that leave early, and what drafts are worth: frugal.decoding in plain arrays.
import { mean, sum } from "../../show/drawing.js";

// How many values are true before the first that is not.
export function lead(same) {
  const first = same.indexOf(false);
  return first < 0 ? same.length : first;
}

// Mean layers, letters that all layers write too, and how many stand in front of the first other one.
export function outcome(letters, layers, whole) {
  const same = letters.map((letter, place) => letter === whole[place]);
  return { layers: mean(layers), same: sum(same.map(Number)), first: lead(same) };
}

// The checks of a text. Drafts hold up to the first that differs, and there the check writes a letter.
export function rounds(whole, lower, drafted) {
  const found = [];
  for (let start = 0; start < whole.length; ) {
    const n = Math.min(drafted, whole.length - start - 1);
    const same = Array.from({ length: n }, (_, j) => whole[start + j] === lower[start + j]);
    const accepted = lead(same);
    found.push({ start, drafted: n, accepted });
    start += accepted + 1;
  }
  return found;
}

// How many rows the checks of a text take, a cell for each letter: a check stays in one row.
export function rowsOf(checks, { cell, gap, apart }, room) {
  let [rows, filled] = [1, 0];
  for (const { accepted } of checks) {
    const width = (accepted + 1) * cell + accepted * gap + apart;
    if (filled && filled + width > room) [rows, filled] = [rows + 1, 0];
    filled += width + gap;
  }
  return rows;
}

// Letters that one check of n drafts gives on average, if each draft holds with probability p.
export function expected(p, n) {
  return p === 1 ? n + 1 : (1 - p ** (n + 1)) / (1 - p);
}
