// Where the patches of a picture go when its windows shift, and which of them see each other: the
// rules of frugal.attention.swin on row and column numbers.

// A patch's place after the picture was rolled up and left by `shift`.
export function rolled([row, column], { rows, columns, shift }) {
  return [(row - shift + rows) % rows, (column - shift + columns) % columns];
}

function sameWindow([row, column], [otherRow, otherColumn], window) {
  const cell = (place) => Math.floor(place / window);
  return cell(row) === cell(otherRow) && cell(column) === cell(otherColumn);
}

// The roll moved both around the edge, or neither, on both axes.
function sameRegion([row, column], [otherRow, otherColumn], { shift }) {
  return row < shift === otherRow < shift && column < shift === otherColumn < shift;
}

export function places({ rows, columns }) {
  return Array.from({ length: rows * columns }, (_, index) => [
    Math.floor(index / columns),
    index % columns,
  ]);
}

// "seen", "masked" (in the same window, but from the opposite edge) or "outside", for each patch.
export function relations(query, layout) {
  const moved = rolled(query, layout);
  return places(layout).map((place) => {
    if (!sameWindow(moved, rolled(place, layout), layout.window)) return "outside";
    return sameRegion(query, place, layout) ? "seen" : "masked";
  });
}

// Which old windows a patch sees across when the windows have moved, as how many patches these hold: what
// can have reached it after a layer of plain windows and one of moved ones.
export function heardOf(query, layout) {
  const all = places(layout);
  const seen = relations(query, layout);
  const near = all.filter((_, index) => seen[index] === "seen");
  return all.filter((place) => near.some((other) => sameWindow(place, other, layout.window))).length;
}

// The four patches that merging joins.
export function merged([row, column], layout) {
  return places(layout).map(([otherRow, otherColumn]) =>
    sameWindow([row, column], [otherRow, otherColumn], 2) ? "seen" : "outside",
  );
}
