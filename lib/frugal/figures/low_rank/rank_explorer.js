// A matrix of attention, its best approximation of the rank that the reader chooses, and what is
// missing; below, its singular values, and the error over the rank for all matrices.
import { element, heat, onThemeChange, readout, segmented, shape, slider, steps, toolbar } from "../../show/controls.js";
import { follow, percent, svg, text } from "../../show/drawing.js";
import { decompose, errors, rebuilt } from "./rank_formulas.js";

const [WIDTH, HEIGHT] = [340, 190];
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 10, 12, 40];
const DASHES = [null, "7 4", "2 4", "8 3 2 3"];
const share = (error) => (error > 0 && error < 0.01 ? "< 1 %" : percent(error, 0));
const whole = (value) => value.toLocaleString("en");

// What each matrix is made of; computed once.
export function taken(matrices) {
  return matrices.map(({ name, rows }) => {
    const parts = decompose(rows);
    return { name, rows, parts, curve: errors(parts), most: Math.max(...rows.flat()) };
  });
}

// Everything that is drawn, from the state. Other matrices are shown at the same share of their rank.
export function explored(model, known) {
  const [at, rank] = [model.get("matrix"), model.get("rank")];
  const chosen = known.find(({ name }) => name === at);
  const size = chosen.rows.length;
  const r = Math.min(rank, size);
  const part = r / size;
  const best = rebuilt(chosen.parts, r);
  const found = {
    ...chosen,
    r,
    size,
    part,
    best,
    missing: chosen.rows.map((row, i) => row.map((weight, j) => Math.abs(weight - best[i][j]))),
    error: chosen.curve[r],
    others: known.map(({ name, curve }) => {
      const rank = Math.round(part * (curve.length - 1));
      return { name, error: curve[rank], part: rank / (curve.length - 1), chosen: name === at };
    }),
  };
  return { ...found, sentence: told(found) };
}

function told({ name, r, size, error }) {
  const [thin, all] = [2 * r * size, size * size];
  const bill =
    thin < all
      ? `two thin matrices of ${whole(thin)} numbers stand for ${whole(all)}`
      : `two thin matrices hold ${whole(thin)} numbers, no fewer than the ${whole(all)} of the matrix itself`;
  return `${name}, rank ${r} of ${size}: the error is ${share(error)}, and ${bill}.`;
}

function paint(canvas, rows, most) {
  const ramp = heat(canvas);
  const colors = Array.from({ length: 33 }, (_, step) => ramp(step / 32));
  canvas.width = canvas.height = rows.length;
  const brush = canvas.getContext("2d");
  rows.forEach((row, i) =>
    row.forEach((weight, j) => {
      const shade = Math.sqrt(Math.min(1, Math.max(0, weight / most)));
      brush.fillStyle = colors[Math.round(32 * shade)];
      brush.fillRect(j, i, 1, 1);
    }),
  );
}

function panel(title) {
  const canvas = element("canvas", { class: "rank-matrix", role: "img" });
  const caption = element("span", { class: "rank-title" }, title);
  return { canvas, caption, node: element("div", {}, caption, canvas) };
}

const x = (part) => LEFT + part * (WIDTH - LEFT - RIGHT);
const y = (part) => HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);

function axes(marks, from, to, title) {
  const line = (part) => shape("path", { class: "rank-grid", d: `M${x(0)} ${y(part)}H${x(1)}` });
  return [
    ...marks.flatMap(([part, words]) => [line(part), text(LEFT - 6, y(part) + 4, words, { anchor: "end" })]),
    text(x(0), HEIGHT - 22, from, { anchor: "start" }),
    text(x(1), HEIGHT - 22, to, { anchor: "end" }),
    text((x(0) + x(1)) / 2, HEIGHT - 5, title, { anchor: "middle" }),
  ];
}

// A bar for each singular value; those that are kept are filled.
function valueBars({ parts, size, r }) {
  const most = parts[0].value;
  const step = (x(1) - x(0)) / size;
  const bars = parts.map(({ value }, n) =>
    shape("rect", {
      class: n < r ? "rank-kept" : "rank-dropped",
      x: x(n / size) + 0.1 * step,
      y: y(value / most),
      width: 0.8 * step,
      height: y(0) - y(value / most),
      "data-value": value,
    }),
  );
  const marks = [1, 0.5, 0].map((part) => [part, (part * most).toPrecision(2).replace(/^0\.0$/, "0")]);
  return [...axes(marks, "1st", `${size}th`, "singular values, the largest first"), ...bars];
}

function curveOf({ name, curve }, place, chosen) {
  const points = curve.map((error, r) => `${x(r / (curve.length - 1))} ${y(error)}`);
  const kind = `rank-curve rank-color-${place}${chosen ? " rank-chosen" : ""}`;
  return shape("path", { class: kind, "data-name": name, "stroke-dasharray": DASHES[place], d: `M${points.join("L")}` });
}

// The error over the rank, as a share of N, for all matrices; a rule at the chosen rank.
function errorCurves({ others, part }, known) {
  const marks = [1, 0.5, 0].map((error) => [error, percent(error, 0)]);
  const dots = others.map((one, place) =>
    shape("circle", { class: `rank-dot rank-color-${place}`, cx: x(one.part), cy: y(one.error), r: one.chosen ? 6 : 4 }),
  );
  return [
    ...axes(marks, "0", "N", "rank r, as a share of N"),
    shape("path", { class: "rank-rule", d: `M${x(part)} ${y(0)}V${y(1)}` }),
    ...known.map((one, place) => curveOf(one, place, others[place].chosen)),
    ...dots,
  ];
}

// The key of the curves, with the error of each at the rule.
function keyOf(others) {
  return others.map(({ name, error, chosen }, place) => {
    const line = shape("path", { class: `rank-curve rank-color-${place}`, "stroke-dasharray": DASHES[place], d: "M0 6H26" });
    const sample = shape("svg", { viewBox: "0 0 26 12", class: "rank-sample", "aria-hidden": "true" }, line);
    return element("li", chosen ? { class: "rank-now" } : {}, sample, `${name} `, element("b", {}, share(error)));
  });
}

function guide(model) {
  const list = model.get("tries").map(({ words, matrix, rank }) => [
    `${matrix}, rank ${rank}: ${words}`,
    { matrix, rank },
  ]);
  return steps(model, model.get("question"), list);
}

function parts() {
  const panels = [panel("the matrix A"), panel("rebuilt"), panel("what is missing")];
  const charts = ["The singular values", "The error over the rank"].map((name) =>
    svg(WIDTH, HEIGHT, { class: "rank-chart", "aria-label": name }),
  );
  const key = element("ul", { class: "rank-key" });
  const kept = element("span", { class: "rank-title" });
  const left = element("div", {}, kept, charts[0]);
  const right = element("div", {}, key, charts[1]);
  const nodes = [
    element("div", { class: "rank-matrices" }, ...panels.map(({ node }) => node)),
    element("div", { class: "rank-charts" }, left, right),
  ];
  return { panels, charts, key, kept, nodes };
}

function render({ model, el }) {
  const known = taken(model.get("matrices"));
  const most = Math.max(...known.map(({ rows }) => rows.length));
  const { panels, charts, key, kept, nodes } = parts();
  const said = readout();
  const controls = toolbar(
    segmented(model, "matrix", { label: "Matrix", options: known.map(({ name }) => name) }),
    slider(model, "rank", { label: "Rank", min: 0, max: most }),
  );
  const range = controls.querySelector('input[type="range"]');
  el.append(element("div", { class: "rank-figure" }, controls, ...nodes, said, guide(model)));
  const draw = () => {
    const found = explored(model, known);
    range.max = found.size;
    panels[1].caption.textContent = `rank ${found.r} of ${found.size}`;
    kept.textContent = `${found.r} of ${found.size} are kept (filled)`;
    [found.rows, found.best, found.missing].forEach((rows, n) => {
      paint(panels[n].canvas, rows, found.most);
      panels[n].canvas.setAttribute("aria-label", `${panels[n].caption.textContent}, ${found.name}`);
    });
    charts[0].replaceChildren(...valueBars(found));
    charts[1].replaceChildren(...errorCurves(found, known));
    key.replaceChildren(...keyOf(found.others));
    said.textContent = found.sentence;
  };
  const stops = [follow(model, "matrix rank", draw), onThemeChange(el, draw)];
  return () => stops.forEach((stop) => stop());
}

export default { render };
