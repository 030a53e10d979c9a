// The formulas of frugal.attention.span, on numbers.

// The mask at a distance: 1 up to the span, then a ramp down to 0.
export function softMask(span, ramp, distance) {
  return Math.min(1, Math.max(0, (ramp + span - distance) / ramp));
}

// mask·exp(s) / Σ mask·exp(s) over the distances 0, 1, ...; scores: one for each distance.
export function attention(scores, span, ramp) {
  const highest = Math.max(...scores);
  const parts = scores.map(
    (score, distance) => softMask(span, ramp, distance) * Math.exp(score - highest),
  );
  const total = parts.reduce((sum, part) => sum + part, 0);
  return parts.map((part) => part / total);
}

// How many keys have a mask above 0.
export function reach(span, ramp, keys) {
  return Math.min(keys, Math.ceil(span + ramp));
}
