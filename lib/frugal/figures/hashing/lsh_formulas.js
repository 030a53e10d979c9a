// The formulas of frugal.attention.lsh for vectors in the plane, on numbers.

// The unit vector at an angle in degrees.
export function unit(angle) {
  const radians = (angle * Math.PI) / 180;
  return [Math.cos(radians), Math.sin(radians)];
}

// argmax([qR; -qR]); directions: the columns of R.
export function bucketOf([x, y], directions) {
  const products = directions.map(([a, b]) => x * a + y * b);
  const both = [...products, ...products.map((value) => -value)];
  return both.indexOf(Math.max(...both));
}

// Tokens by bucket, then by position.
export function sorted(buckets) {
  return buckets.map((_, token) => token).sort((a, b) => buckets[a] - buckets[b] || a - b);
}

// visible[i][j]: token i sees j, in its own chunk or the one before it, in one of the rounds.
export function visible(rounds, chunk) {
  const n = rounds[0].length;
  const chunks = rounds.map((buckets) => {
    const found = new Array(n);
    sorted(buckets).forEach((token, place) => {
      found[token] = Math.floor(place / chunk);
    });
    return found;
  });
  return Array.from({ length: n }, (_, i) =>
    Array.from(
      { length: n },
      (_, j) => i !== j && chunks.some((of) => of[i] - of[j] === 0 || of[i] - of[j] === 1),
    ),
  );
}

// The `count` other tokens whose angles are nearest to token i's.
export function nearest(angles, i, count) {
  const distance = (j) => {
    const apart = (((angles[i] - angles[j]) % 360) + 360) % 360;
    return Math.min(apart, 360 - apart);
  };
  return angles
    .map((_, j) => j)
    .filter((j) => j !== i)
    .sort((a, b) => distance(a) - distance(b) || a - b)
    .slice(0, count);
}

// The share of all tokens' nearest others that they see.
export function recall(angles, seen, count) {
  let found = 0;
  angles.forEach((_, i) => {
    found += nearest(angles, i, count).filter((j) => seen[i][j]).length;
  });
  return found / (count * angles.length);
}

// A radius for each angle, the outermost that is free: discs of this size do not lie on each other.
export function lanes(angles, radii, size) {
  const order = angles.map((_, i) => i).sort((a, b) => angles[a] - angles[b] || a - b);
  const found = new Array(angles.length);
  const away = (i, radius, j) => {
    const [[x1, y1], [x2, y2]] = [unit(angles[i]), unit(angles[j])];
    return Math.hypot(radius * x1 - found[j] * x2, radius * y1 - found[j] * y2);
  };
  order.forEach((i, placed) => {
    const free = (radius) => order.slice(0, placed).every((j) => away(i, radius, j) >= size);
    found[i] = radii.find(free) ?? radii.at(-1);
  });
  return found;
}
