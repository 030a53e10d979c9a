// Cubes of a grid as seen from afar: which faces are seen, in which order to paint them, and where
// on the screen they lie. No state, no canvas; places are [up, back, right], the axes of a grid of
// voxels, and a view is { turn, tilt } in degrees. At turn 0 one looks along `back`.

const FACES = {
  up: [1, 0, 0],
  front: [0, -1, 0],
  back: [0, 1, 0],
  left: [0, 0, -1],
  right: [0, 0, 1],
};

// A function from places, counted from the middle of the grid, to [x, y, distance].
export function camera(side, { turn, tilt }) {
  const [a, t] = [turn, tilt].map((degrees) => (degrees * Math.PI) / 180);
  const middle = side / 2;
  return ([up, back, right]) => {
    const [u, b, r] = [up - middle, back - middle, right - middle];
    const across = r * Math.cos(a) + b * Math.sin(a);
    const away = b * Math.cos(a) - r * Math.sin(a);
    return [
      across,
      -(u * Math.cos(t) + away * Math.sin(t)),
      away * Math.cos(t) - u * Math.sin(t),
    ];
  };
}

function distanceAlong(side, view, direction) {
  const project = camera(side, view);
  return project(direction)[2] - project([0, 0, 0])[2];
}

// Numbers 0 … side - 1, the farthest first.
function farToNear(side, view, direction) {
  const numbers = Array.from({ length: side }, (_, index) => index);
  return distanceAlong(side, view, direction) > 0 ? numbers.reverse() : numbers;
}

// The four corners of one face of the voxel at a place.
function corners(place, normal) {
  const axis = normal.findIndex((step) => step !== 0);
  const [first, second] = [0, 1, 2].filter((other) => other !== axis);
  const start = [...place];
  if (normal[axis] > 0) start[axis] += 1;
  return [
    [0, 0],
    [1, 0],
    [1, 1],
    [0, 1],
  ].map(([one, two]) => {
    const corner = [...start];
    corner[first] += one;
    corner[second] += two;
    return corner;
  });
}

// The faces to paint, the farthest first: { index, name, points }. `occupied` has a value for each
// voxel of the flattened grid. In this order a near voxel is never painted before a far one.
export function faces(occupied, side, view) {
  const project = camera(side, view);
  const seen = Object.entries(FACES).filter(
    ([, normal]) => distanceAlong(side, view, normal) < -1e-9,
  );
  const found = [];
  const [ups, backs, rights] = [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ].map((direction) => farToNear(side, view, direction));
  const at = ([up, back, right]) => (up * side + back) * side + right;
  for (const up of ups) {
    for (const back of backs) {
      for (const right of rights) {
        const place = [up, back, right];
        if (!occupied[at(place)]) continue;
        for (const [name, normal] of seen) {
          const next = place.map((value, axis) => value + normal[axis]);
          const inside = next.every((value) => value >= 0 && value < side);
          if (inside && occupied[at(next)]) continue;
          const points = corners(place, normal).map((corner) => project(corner).slice(0, 2));
          found.push({ index: at(place), name, points });
        }
      }
    }
  }
  return found;
}

// The face that is seen at a point of the screen, or undefined: the last one painted there.
export function faceAt(painted, [x, y]) {
  return painted.findLast(({ points }) => {
    const sides = points.map(([x1, y1], index) => {
      const [x2, y2] = points[(index + 1) % points.length];
      return (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1);
    });
    return sides.every((side) => side >= 0) || sides.every((side) => side <= 0);
  });
}

const LIGHT = { up: 1, front: 0.86, back: 0.86, left: 0.72, right: 0.72 };

// A color "rgb(r g b)" as the light leaves it on a face.
export function shade(color, name) {
  const parts = color.match(/\d+/g).map((part) => Math.round(part * LIGHT[name]));
  return `rgb(${parts.join(" ")})`;
}
