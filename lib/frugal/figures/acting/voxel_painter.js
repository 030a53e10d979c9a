// Paints a cabinet on a canvas: the floor, the faces that are seen, and rings around two voxels.
import { color } from "../../show/controls.js";
import { camera, shade } from "./voxel_view.js";

const HEIGHT = 0.86; // of the canvas, over its width

// Sizes the canvas and puts the middle of the cabinets, which fill the lower half of the cube, in
// its middle. Gives what places and paths need.
function begin(canvas, side, view) {
  const size = canvas.clientWidth || 360;
  const sharp = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(size * sharp);
  canvas.height = Math.round(HEIGHT * canvas.width);
  const context = canvas.getContext("2d");
  const scale = size / (side * 1.45); // a little more than the floor's diagonal
  const project = camera(side, view);
  const flat = (place) => project(place).slice(0, 2).map((value) => value * scale);
  const [, middle] = flat([side / 4, side / 2, side / 2]);
  const [x, y] = [canvas.width / 2, canvas.height / 2 - middle * sharp];
  context.setTransform(sharp, 0, 0, sharp, x, y);
  const trace = (points) => {
    context.beginPath();
    points.forEach((point, index) => context[index ? "lineTo" : "moveTo"](...point));
  };
  return { context, scale, flat, trace };
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

function paintRing({ context, scale, flat }, place, paper, ink, dashes) {
  const [x, y] = flat(place.map((value) => value + 0.5));
  context.setLineDash(dashes);
  for (const [width, style] of [
    [6, paper],
    [3, ink],
  ]) {
    context.beginPath();
    context.arc(x, y, 1.35 * scale, 0, 2 * Math.PI);
    context.lineWidth = width;
    context.strokeStyle = style;
    context.stroke();
  }
  context.setLineDash([]);
}

// seen: the faces from back to front; colorOf: from a voxel's index; byLatent: whether that is
// attention, with clearer edges. answer, target: the voxel that is named, and the right one.
export function paint(canvas, { side, patch, view, seen, colorOf, byLatent, answer, target }) {
  const ink = (name) => color(canvas, `--frugal-${name}`);
  const brush = begin(canvas, side, view);
  paintFloor(brush, side, patch, ink("line"));
  brush.context.strokeStyle = ink(byLatent ? "edge" : "ink");
  brush.context.lineWidth = byLatent ? 0.75 : 0.4;
  paintFaces(brush, seen, colorOf);
  const right = String(answer) === String(target);
  if (!right) paintRing(brush, target, ink("paper"), ink("good"), [4, 4]);
  paintRing(brush, answer, ink("paper"), ink(right ? "good" : "bad"), []);
}
