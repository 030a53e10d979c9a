// The table of modifications as numbers: gains over vanilla, ranks, and who would be adopted. Of
// frugal.transfer.agreement.spearman.

// The place of each value, 1 for the smallest; equal values share the mean of their places.
export function ranks(values) {
  const order = values.map((_, index) => index).sort((a, b) => values[a] - values[b]);
  const places = Array(values.length);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && values[order[end]] === values[order[start]]) end += 1;
    for (let at = start; at < end; at += 1) places[order[at]] = (start + end + 1) / 2;
    start = end;
  }
  return places;
}

// Rank correlation; null where it has no meaning: fewer than three pairs, or one side all equal. groups: a label
// per value, for the order inside groups alone. A rank less its group's mean is half of how many are below, less
// half of those above.
export function spearman(one, other, groups = null) {
  if (one.length < 3) return null;
  const alike = (at, beside) => groups === null || groups[at] === groups[beside];
  const centred = (values) =>
    values.map((value, at) => values.reduce((total, it, beside) => total + (alike(at, beside) ? Math.sign(value - it) : 0), 0) / 2);
  const [a, b] = [centred(one), centred(other)];
  const product = (x, y) => x.reduce((total, value, at) => total + value * y[at], 0);
  const size = Math.sqrt(product(a, a) * product(b, b));
  return size > 0 ? product(a, b) / size : null;
}

// The rows of one family that have numbers in this measure, with those of the form: `repaired` takes
// the published run where a row has one form only.
export function shown(rows, { measure, family, form }) {
  return rows
    .filter((row) => family === "all" || row.family === family)
    .map((row) => ({ ...row, paper: row.paper[measure], ...(row[form]?.[measure] ?? row.published[measure]) }))
    .filter((row) => row.paper !== undefined && row.ours !== undefined);
}

// Whether the paper and ours reach the threshold; ours, where it must be sure, with its whole interval.
export function adopts(row, threshold, sure) {
  const low = row.low ?? -Infinity;
  return { paper: row.paper >= threshold, ours: (sure ? low : row.ours) >= threshold };
}

const KINDS = { truetrue: "both", truefalse: "paper", falsetrue: "ours", falsefalse: "neither" };

export function kind(row, threshold, sure) {
  const said = adopts(row, threshold, sure);
  return KINDS[`${said.paper}${said.ours}`];
}

const SORTS = {
  order: () => 0,
  paper: (a, b) => b.paper - a.paper,
  ours: (a, b) => b.ours - a.ours,
  apart: (a, b) => Math.abs(b.moved) - Math.abs(a.moved),
};

// Everything that is drawn: the rows in their order, each with its ranks and its kind, and counts.
export function compared(rows, asked) {
  const found = shown(rows, asked);
  const sides = ["paper", "ours"].map((name) => found.map((row) => row[name]));
  const [inPaper, here] = sides.map((side) => ranks(side.map((gain) => -gain)));
  const told = found.map((row, at) => ({
    ...row,
    rankPaper: inPaper[at],
    rankOurs: here[at],
    moved: inPaper[at] - here[at],
    kind: kind(row, asked.threshold, asked.sure),
  }));
  const count = (...kinds) => told.filter((row) => kinds.includes(row.kind)).length;
  return {
    rows: told.toSorted(SORTS[asked.sort]),
    correlation: spearman(...sides),
    inside: spearman(...sides, found.map((row) => row.family)),
    both: count("both"),
    paper: count("both", "paper"),
    ours: count("both", "ours"),
  };
}

// The axes: twice the third quartile of all sizes to the left, and what is needed to the right. What
// lies outside is drawn at the edge.
export function reach(rows, measure) {
  const gains = ["published", "repaired"].flatMap((form) => shown(rows, { measure, family: "all", form }));
  const every = gains.flatMap((row) => [row.paper, row.ours]);
  const sizes = every.map(Math.abs).sort((a, b) => a - b);
  const far = Math.max(2 * (sizes[Math.floor(0.75 * sizes.length)] ?? 1), 1);
  return { low: -far, high: Math.min(far, 1.15 * Math.max(...every, far / 4)) };
}
