// A cabinet of voxels that the reader turns, the instruction, and the voxel that a model names. Or
// the same cabinet in the colors of a latent's attention, beside what it gives to each word.
import { button, color, element, heat, onThemeChange, readout, segmented, select, slider, store, toolbar } from "../../show/controls.js";
import { camera, faceAt, faces, shade } from "./voxel_view.js";

const STATE = ["cabinet", "drawer", "color", "latent", "turn", "tilt"];
const TURNS = { ArrowLeft: [15, 0], ArrowRight: [-15, 0], ArrowUp: [0, 5], ArrowDown: [0, -5] };
const HEIGHT = 0.86; // of the canvas, over its width
const NAMES = ["up", "back", "right"];

const percent = (share) => `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`;
const within = (value, low, high) => Math.min(high, Math.max(low, value));

// Adds to turn and tilt, in steps of 5 degrees.
function rotate(model, turn, tilt) {
  const five = (value) => 5 * Math.round(value / 5);
  store(model, "turn", (five(model.get("turn") + turn) + 360) % 360);
  store(model, "tilt", within(five(model.get("tilt") + tilt), 0, 85));
}

function render({ model, el }) {
  const { side, patch, cabinets, answers, drawers, instructions } = Object.fromEntries(
    ["side", "patch", "cabinets", "answers", "drawers", "instructions"].map((name) => [
      name,
      model.get(name),
    ]),
  );
  const words = instructions.map((instruction) => instruction.split(" "));
  const across = side / patch;
  const patches = across ** 3;
  const grids = cabinets.map(({ voxels, colors }) => {
    const grid = new Array(side ** 3);
    for (const [index, number] of voxels) grid[index] = colors[number];
    return grid;
  });
  const places = (index) => [
    Math.floor(index / side ** 2),
    Math.floor(index / side) % side,
    index % side,
  ];
  const patchOf = (index) => {
    const [up, back, right] = places(index).map((place) => Math.floor(place / patch));
    return (up * across + back) * across + right;
  };
  const filled = grids.map((grid) => {
    const full = new Array(patches).fill(false);
    grid.forEach((value, index) => (full[patchOf(index)] ||= Boolean(value)));
    return full;
  });

  const canvas = element("canvas", {
    class: "voxels-canvas",
    role: "img",
    tabindex: 0,
    "aria-label": "The cabinet. Arrow keys turn it.",
  });
  const bars = element("div", { class: "voxels-words" });
  const said = readout();
  const latents = answers[0][0].gaze.length;
  const latent = slider(model, "latent", {
    label: "Latent",
    min: 0,
    max: latents - 1,
    format: (index) => `${index + 1} of ${latents}`,
  });
  const face = () => store(model, "turn", cabinets[model.get("cabinet")].front);
  const root = element(
    "div",
    { class: "voxels" },
    toolbar(
      select(model, "cabinet", {
        label: "Cabinet",
        options: cabinets.map((_, index) => [index, String(index + 1)]),
      }),
      segmented(model, "drawer", {
        label: "Open the",
        options: drawers.map((drawer, index) => [index, `${drawer} drawer`]),
      }),
    ),
    toolbar(
      segmented(model, "color", {
        label: "Colors",
        options: [
          ["cabinet", "as it is"],
          ["latent", "by a latent's attention"],
        ],
      }),
      latent,
    ),
    element("div", { class: "voxels-panels" }, canvas, bars),
    toolbar(
      slider(model, "turn", { label: "Turn", min: 0, max: 355, step: 5, format: (d) => `${d}°` }),
      slider(model, "tilt", { label: "Tilt", min: 0, max: 85, step: 5, format: (d) => `${d}°` }),
      button("Show the drawers", face),
    ),
    said,
  );
  el.append(root);

  function paint(painted, colorOf, byLatent, answer, target) {
    const size = canvas.clientWidth || 360;
    const sharp = globalThis.devicePixelRatio || 1;
    canvas.width = Math.round(size * sharp);
    canvas.height = Math.round(HEIGHT * canvas.width);
    const context = canvas.getContext("2d");
    const scale = size / (side * 1.45); // a little more than the floor's diagonal
    const project = camera(side, { turn: model.get("turn"), tilt: model.get("tilt") });
    const flat = (place) => project(place).slice(0, 2);
    // cabinets fill the lower half of the cube, so the middle of that comes to the middle
    const [, middle] = flat([side / 4, side / 2, side / 2]);
    context.setTransform(
      sharp,
      0,
      0,
      sharp,
      canvas.width / 2,
      canvas.height / 2 - middle * scale * sharp,
    );
    const trace = (points) => {
      context.beginPath();
      points.forEach(([x, y], index) => context[index ? "lineTo" : "moveTo"](x * scale, y * scale));
    };

    // the floor, ruled by patches
    context.strokeStyle = color(root, "--frugal-line");
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
    const edge = color(root, byLatent ? "--frugal-edge" : "--frugal-ink");
    context.lineWidth = byLatent ? 0.75 : 0.4;
    for (const { index, name, points } of painted) {
      trace(points);
      context.closePath();
      context.fillStyle = shade(colorOf(index), name);
      context.fill();
      context.strokeStyle = edge;
      context.stroke();
    }
    const ring = (place, property, dashes) => {
      const [x, y] = flat(place.map((value) => value + 0.5));
      for (const [width, ink] of [
        [6, "--frugal-paper"],
        [3, property],
      ]) {
        context.beginPath();
        context.setLineDash(dashes);
        context.arc(x * scale, y * scale, 1.35 * scale, 0, 2 * Math.PI);
        context.lineWidth = width;
        context.strokeStyle = color(root, ink);
        context.stroke();
      }
      context.setLineDash([]);
    };
    const right = String(answer) === String(target);
    if (!right) ring(target, "--frugal-good", [4, 4]);
    ring(answer, right ? "--frugal-good" : "--frugal-bad", []);
  }

  function sentence(painted, answer, handles, drawer) {
    const which = handles.findIndex((handle) => String(handle) === String(answer.place));
    const where = answer.place.map((value, axis) => `${NAMES[axis]} ${value}`).join(", ");
    const verdict =
      which === drawer
        ? `That is the handle of the ${drawers[drawer]} drawer: right.`
        : which >= 0
          ? `That is the handle of the ${drawers[which]} drawer: wrong; the dashed ring is right.`
          : "That is not the middle of a handle: wrong; the dashed ring is right.";
    const view = { turn: model.get("turn"), tilt: model.get("tilt") };
    const centre = camera(side, view)(answer.place.map((value) => value + 0.5));
    const index = (answer.place[0] * side + answer.place[1]) * side + answer.place[2];
    const hidden = faceAt(painted, centre)?.index !== index;
    return (
      `“${instructions[drawer]}”: the model names the voxel at ${where}, with a share of ` +
      `${percent(answer.share)}. ${verdict}` +
      (hidden ? " From here something stands before it: turn the cabinet." : "")
    );
  }

  function gazeSentence(gaze, drawer, full) {
    const onWords = gaze.slice(patches);
    const total = gaze.reduce((sum, share) => sum + share, 0);
    const share = (list) => list.reduce((sum, value) => sum + value, 0) / total;
    const empty = gaze.slice(0, patches).filter((_, index) => !full[index]);
    const most = words[drawer][onWords.indexOf(Math.max(...onWords))];
    return (
      `Latent ${model.get("latent") + 1} gives ${percent(share(onWords))} of its attention to the ` +
      `words, most of that to “${most}”, and ${percent(share(empty))} to patches with nothing in them.`
    );
  }

  function drawWords(gaze, drawer) {
    const onWords = gaze.slice(patches);
    bars.replaceChildren(
      ...words[drawer].map((word, index) =>
        element(
          "div",
          { class: "voxels-word" },
          element("span", {}, word),
          element("span", { class: "voxels-bar", style: `--share:${onWords[index] / 1000}` }),
          element("span", {}, percent(onWords[index] / 1000)),
        ),
      ),
    );
  }

  function draw() {
    const [cabinet, drawer] = [model.get("cabinet"), model.get("drawer")];
    const answer = answers[cabinet][drawer];
    const { handles } = cabinets[cabinet];
    const byLatent = model.get("color") === "latent";
    const grid = grids[cabinet];
    const view = { turn: model.get("turn"), tilt: model.get("tilt") };
    const painted = faces(grid, side, view);
    const gaze = answer.gaze[model.get("latent")];
    const most = Math.max(1, ...gaze.slice(0, patches).filter((_, at) => filled[cabinet][at]));
    const ramp = heat(root);
    const colorOf = byLatent
      ? (index) => ramp(gaze[patchOf(index)] / most)
      : (index) => grid[index];
    latent.hidden = bars.hidden = !byLatent;
    if (byLatent) drawWords(gaze, drawer);
    paint(painted, colorOf, byLatent, answer.place, handles[drawer]);
    said.textContent =
      sentence(painted, answer, handles, drawer) +
      (byLatent ? ` ${gazeSentence(gaze, drawer, filled[cabinet])}` : "");
  }

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
  canvas.addEventListener("keydown", (event) => {
    if (!TURNS[event.key]) return;
    event.preventDefault();
    rotate(model, ...TURNS[event.key]);
  });

  const events = STATE.map((name) => `change:${name}`).join(" ");
  model.on(events, draw);
  model.on("change:cabinet", face);
  draw();
  const unwatch = onThemeChange(root, draw);
  const resized = new ResizeObserver(draw);
  resized.observe(canvas);
  return () => {
    model.off(events, draw);
    model.off("change:cabinet", face);
    unwatch();
    resized.disconnect();
  };
}

export default { render };
