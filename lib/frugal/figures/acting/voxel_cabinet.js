// A cabinet of voxels that the reader turns, the instruction, and the voxel that a model names. Or
// the same cabinet in the colors of a latent's attention, beside what it gives to each word.
import { button, element, heat, inTurns, onKeys, onThemeChange, readout, segmented, select, slider, steps, store, toolbar } from "../../show/controls.js";
import { clamp, follow, percent, read, sum, watch } from "../../show/drawing.js";
import { boxOf, paint } from "./voxel_painter.js";
import { camera, faceAt, faces } from "./voxel_view.js";

const STATE = ["cabinet", "drawer", "color", "latent", "turn", "tilt"];
const TURNS = { ArrowLeft: [15, 0], ArrowRight: [-15, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] };
const NAMES = ["up", "back", "right"];

// Adds to turn and tilt, in steps of 5 degrees.
function rotate(model, turn, tilt) {
  const five = (value) => 5 * Math.round(value / 5);
  store(model, "turn", (five(model.get("turn") + turn) + 360) % 360);
  store(model, "tilt", clamp(five(model.get("tilt") + tilt), 0, 85));
}

// The grids of all cabinets, the patch of each voxel, and which patches have something in them.
export function gridsOf({ side, patch, cabinets }) {
  const across = side / patch;
  const patchOf = (index) => {
    const place = [Math.floor(index / side ** 2), Math.floor(index / side) % side, index % side];
    const [up, back, right] = place.map((value) => Math.floor(value / patch));
    return (up * across + back) * across + right;
  };
  const grids = cabinets.map(({ voxels, colors }) => {
    const grid = new Array(side ** 3);
    for (const [index, number] of voxels) grid[index] = colors[number];
    return grid;
  });
  const filled = grids.map((grid) => {
    const full = new Array(across ** 3).fill(false);
    grid.forEach((value, index) => (full[patchOf(index)] ||= Boolean(value)));
    return full;
  });
  const boxes = grids.map((grid) => boxOf(grid, side));
  return { grids, filled, boxes, patchOf, patches: across ** 3 };
}

// From a cabinet's front towards the one who opens it, along `back` and `right`. One sees the front
// from there, turned by 30 degrees.
export function outwardOf({ front }) {
  return [[-1, 0], [0, 1], [1, 0], [0, -1]][Math.round(((front + 330) % 360) / 90) % 4];
}

// Two instructions for the first cabinet that the model opens in every way, one that it does not,
// and what a latent looks at.
export function guideOf({ answers, cabinets, drawers }) {
  const holds = (cabinet, drawer) =>
    String(answers[cabinet][drawer].place) === String(cabinets[cabinet].handles[drawer]);
  const all = cabinets.map((_, cabinet) => drawers.every((_, drawer) => holds(cabinet, drawer)));
  const good = Math.max(0, all.indexOf(true));
  const pairs = cabinets.flatMap((_, cabinet) => drawers.map((_, drawer) => ({ cabinet, drawer })));
  const wrong = pairs.find(({ cabinet, drawer }) => !holds(cabinet, drawer));
  const plain = { color: "cabinet" };
  return [
    [`“the ${drawers[0]} drawer”`, { cabinet: good, drawer: 0, ...plain }],
    [`“the ${drawers.at(-1)} drawer”`, { cabinet: good, drawer: drawers.length - 1, ...plain }],
    ...(wrong ? [["where it is wrong", { ...wrong, ...plain }]] : []),
    ["what a latent reads", { cabinet: good, drawer: 0, color: "latent" }],
  ];
}

// Whether something stands between the eye and a voxel.
function isHidden(place, seen, side, view) {
  const centre = camera(side, view)(place.map((value) => value + 0.5));
  const index = (place[0] * side + place[1]) * side + place[2];
  return faceAt(seen, centre)?.index !== index;
}

function verdict(place, handles, drawer, drawers) {
  const which = handles.findIndex((handle) => String(handle) === String(place));
  if (which === drawer) return `That is the handle of the ${drawers[drawer]} drawer: right.`;
  return which >= 0
    ? `That is the handle of the ${drawers[which]} drawer: wrong; the dashed ring is right.`
    : "That is not the middle of a handle: wrong; the dashed ring is right.";
}

function sentence(answer, { handles }, drawer, { drawers, instructions }, hidden) {
  const where = answer.place.map((value, axis) => `${NAMES[axis]} ${value}`).join(", ");
  return (
    `“${instructions[drawer]}”: the model names the voxel at ${where}, with a share of ` +
    `${percent(answer.share)}. ${verdict(answer.place, handles, drawer, drawers)}` +
    (hidden ? " From here something stands before it: turn the cabinet." : "")
  );
}

// gaze: what a latent gives to each patch, then to each word; full: the patches that hold something.
function gazeSentence(latent, gaze, words, full) {
  const [onPatches, onWords] = [gaze.slice(0, full.length), gaze.slice(full.length)];
  const total = sum(gaze);
  const empty = onPatches.filter((_, index) => !full[index]);
  const most = words[onWords.indexOf(Math.max(...onWords))];
  return (
    `Latent ${latent + 1} gives ${percent(sum(onWords) / total)} of its attention to the ` +
    `words, most of that to “${most}”, and ${percent(sum(empty) / total)} to patches with nothing in them.`
  );
}

// A row for each word, and empty ones up to the longest instruction.
function wordNodes(words, onWords, most) {
  const rest = Array.from({ length: most - words.length }, () => element("div", { class: "voxels-word" }, "\u00a0"));
  const bars = words.map((word, index) => {
    const share = onWords[index] / 1000;
    return element(
      "div",
      { class: "voxels-word" },
      element("span", {}, word),
      element("span", { class: "voxels-bar", style: `--share:${share}` }),
      element("span", {}, percent(share)),
    );
  });
  return [...bars, ...rest];
}

// The canvas; a drag turns what it shows, and so do the arrow keys.
function canvasOf(model) {
  const canvas = element("canvas", {
    class: "voxels-canvas",
    role: "img",
    tabindex: 0,
    "aria-label": "The cabinet. Arrow keys turn it.",
  });
  let from = null;
  canvas.addEventListener("pointerdown", (event) => {
    from = [event.clientX, event.clientY];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!from) return;
    const [right, down] = [event.clientX - from[0], event.clientY - from[1]];
    if (Math.hypot(right, down) < 10) return;
    from = [event.clientX, event.clientY];
    rotate(model, -right / 2, down / 2);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(name, () => (from = null));
  }
  onKeys(canvas, TURNS, (turn) => rotate(model, ...turn));
  return canvas;
}

// Controls above the canvas and below it, and among them the slider that only a latent needs.
function controlsOf(model, { cabinets, answers, drawers }, face) {
  const latents = answers[0][0].gaze.length;
  const degrees = (value) => `${value}°`;
  const colors = [
    ["cabinet", "as it is"],
    ["latent", "by a latent's attention"],
  ];
  const latent = slider(model, "latent", {
    label: "Latent",
    min: 0,
    max: latents - 1,
    format: (index) => `${index + 1} of ${latents}`,
  });
  const numbers = cabinets.map((_, index) => [index, String(index + 1)]);
  const named = drawers.map((drawer, index) => [index, `${drawer} drawer`]);
  const above = [
    toolbar(
      select(model, "cabinet", { label: "Cabinet", options: numbers }),
      segmented(model, "drawer", { label: "Open the", options: named }),
    ),
    toolbar(segmented(model, "color", { label: "Colors", options: colors }), latent),
  ];
  const below = toolbar(
    slider(model, "turn", { label: "Turn", min: 0, max: 355, step: 5, format: degrees }),
    slider(model, "tilt", { label: "Tilt", min: 0, max: 85, step: 5, format: degrees }),
    button("Show the drawers", face),
  );
  return { above, below, latent };
}

// What the state shows: the answer, the faces that are seen, and their colors.
function sceneOf(state, data, grids, ramp) {
  const { cabinet, drawer, latent, turn, tilt } = state;
  const answer = data.answers[cabinet][drawer];
  const view = { turn, tilt };
  const gaze = answer.gaze[latent];
  const most = Math.max(1, ...gaze.filter((_, at) => grids.filled[cabinet][at]));
  const byLatent = state.color === "latent";
  const colorOf = byLatent
    ? (index) => ramp(gaze[grids.patchOf(index)] / most)
    : (index) => grids.grids[cabinet][index];
  return { answer, view, gaze, byLatent, colorOf, seen: faces(grids.grids[cabinet], data.side, view) };
}

function render({ model, el }) {
  const data = read(model, "side patch cabinets answers drawers instructions");
  const { side, patch, cabinets, instructions } = data;
  const words = instructions.map((instruction) => instruction.split(" "));
  const most = Math.max(...words.map(({ length }) => length));
  const grids = gridsOf(data);
  const face = () => store(model, "turn", cabinets[model.get("cabinet")].front);
  const { above, below, latent } = controlsOf(model, data, face);
  const canvas = canvasOf(model);
  const bars = element("div", { class: "voxels-words" });
  const said = readout();
  const guide = steps(model, "Does it listen, or does it take any handle?", guideOf(data));
  const key = element(
    "p",
    { class: "voxels-key" },
    "The gripper is where the model would take hold: green if that is right. Handles, knobs and " +
      "rails are of one metal, and a thing on top means nothing.",
  );
  const aside = inTurns(key, bars);
  const panels = element("div", { class: "voxels-panels" }, canvas, aside.node);
  const root = element("div", { class: "voxels" }, guide, ...above, panels, below, said);
  el.append(root);

  const draw = () => {
    const state = read(model, STATE);
    const { cabinet, drawer } = state;
    const scene = sceneOf(state, data, grids, heat(root));
    const { answer, view, gaze, byLatent, seen } = scene;
    const target = cabinets[cabinet].handles[drawer];
    latent.inert = !byLatent;
    aside.show(byLatent ? bars : key);
    bars.replaceChildren(...wordNodes(words[drawer], gaze.slice(grids.patches), most));
    const [box, outward] = [grids.boxes[cabinet], outwardOf(cabinets[cabinet])];
    paint(canvas, { side, patch, ...scene, answer: answer.place, target, box, outward });
    said.textContent = sentence(
      answer,
      cabinets[cabinet],
      drawer,
      data,
      isHidden(answer.place, seen, side, view),
    );
    if (byLatent) {
      const of = gazeSentence(state.latent, gaze, words[drawer], grids.filled[cabinet]);
      said.textContent += ` ${of}`;
    }
  };
  const resized = new ResizeObserver(draw);
  resized.observe(canvas);
  const stops = [
    follow(model, STATE, draw),
    watch(model, "cabinet", face),
    onThemeChange(root, draw),
    () => resized.disconnect(),
  ];
  return () => stops.forEach((stop) => stop());
}

export default { render };
