// Paints a cabinet on a canvas: the floor, the faces that are seen, a gripper at the voxel that is
// named, and a ring around the right one where that is another.
import { color } from "../../show/controls.js";
import { camera, shade } from "./voxel_view.js";

const HEIGHT = 0.86; // of the canvas, over its width

// Sizes the canvas and puts the cabinet in its middle, as large as it may be from every side. Gives
// what places and paths need. box: the middle of what is filled, and how far its corners are.
function begin(canvas, side, view, box) {
  const size = canvas.clientWidth || 360;
  const sharp = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(size * sharp);
  canvas.height = Math.round(HEIGHT * canvas.width);
  const context = canvas.getContext("2d");
  const scale = (0.5 * HEIGHT * size) / (box.radius + 1.5);
  const project = camera(side, view);
  const flat = (place) => project(place).slice(0, 2).map((value) => value * scale);
  const [across, down] = flat(box.middle);
  const [x, y] = [canvas.width / 2 - across * sharp, canvas.height / 2 - down * sharp];
  context.setTransform(sharp, 0, 0, sharp, x, y);
  const trace = (points) => {
    context.beginPath();
    points.forEach((point, index) => context[index ? "lineTo" : "moveTo"](...point));
  };
  return { context, scale, flat, trace };
}

// The box around the filled voxels of a grid.
export function boxOf(grid, side) {
  const low = [side, side, side];
  const high = [0, 0, 0];
  grid.forEach((value, index) => {
    if (!value) return;
    const place = [Math.floor(index / side ** 2), Math.floor(index / side) % side, index % side];
    place.forEach((at, axis) => {
      low[axis] = Math.min(low[axis], at);
      high[axis] = Math.max(high[axis], at + 1);
    });
  });
  const middle = low.map((at, axis) => (at + high[axis]) / 2);
  return { middle, radius: Math.hypot(...low.map((at, axis) => (high[axis] - at) / 2)) };
}

// The floor, ruled by patches.
function paintFloor({ context, flat, trace }, side, patch, ink) {
  context.strokeStyle = ink;
  context.lineWidth = 1;
  for (let line = 0; line <= side; line += patch) {
    for (const ends of [
      [[0, line, 0], [0, line, side]],
      [[0, 0, line], [0, side, line]],
    ]) {
      trace(ends.map(flat));
      context.stroke();
    }
  }
}

function paintFaces({ context, scale, trace }, seen, colorOf) {
  for (const { index, name, points } of seen) {
    trace(points.map((point) => point.map((value) => value * scale)));
    context.closePath();
    context.fillStyle = shade(colorOf(index), name);
    context.fill();
    context.stroke();
  }
}

function stroke({ context }, paper, ink, width) {
  for (const [wide, style] of [
    [width + 3, paper],
    [width, ink],
  ]) {
    context.lineWidth = wide;
    context.strokeStyle = style;
    context.stroke();
  }
}

function paintRing(brush, place, paper, ink) {
  const { context, scale, flat } = brush;
  const [x, y] = flat(place.map((value) => value + 0.5));
  context.setLineDash([4, 4]);
  context.beginPath();
  context.arc(x, y, 1.35 * scale, 0, 2 * Math.PI);
  stroke(brush, paper, ink, 3);
  context.setLineDash([]);
}

// Two fingers, one above the voxel and one below it, a palm before them, and the arm. outward: from
// the cabinet's front towards the one who opens it, along `back` and `right`.
function paintGripper(brush, place, [back, right], paper, ink) {
  const { context, flat } = brush;
  const at = (up, away) => {
    const [u, b, r] = place.map((value) => value + 0.5);
    return flat([u + up, b + away * back, r + away * right]);
  };
  context.lineCap = context.lineJoin = "round";
  brush.trace([at(0, 5), at(0, 2.6)]);
  stroke(brush, paper, ink, 6);
  brush.trace([at(1, 0.1), at(1, 2.6), at(-1, 2.6), at(-1, 0.1)]);
  stroke(brush, paper, ink, 4);
  const [x, y] = at(0, 0);
  context.beginPath();
  context.arc(x, y, 2.5, 0, 2 * Math.PI);
  stroke(brush, paper, ink, 3);
}

// seen: the faces from back to front; colorOf: from a voxel's index; byLatent: whether that is
// attention, with clearer edges. answer, target: the voxel that is named, and the right one. box,
// outward: see above.
export function paint(canvas, scene) {
  const { side, patch, view, seen, colorOf, byLatent, answer, target, box, outward } = scene;
  const ink = (name) => color(canvas, `--frugal-${name}`);
  const brush = begin(canvas, side, view, box);
  paintFloor(brush, side, patch, ink("line"));
  brush.context.strokeStyle = ink(byLatent ? "edge" : "ink");
  brush.context.lineWidth = byLatent ? 0.75 : 0.4;
  paintFaces(brush, seen, colorOf);
  const right = String(answer) === String(target);
  if (!right) paintRing(brush, target, ink("paper"), ink("good"));
  paintGripper(brush, answer, outward, ink("paper"), ink(right ? "good" : "bad"));
}
