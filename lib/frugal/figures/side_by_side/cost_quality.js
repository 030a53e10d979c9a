// Cost against quality: a dot for each method, with its intervals and a number that stands beside it,
// clear of the others. The reader asks for a share of right answers and is told who reaches it, and in
// which time; a list leads to the chapters.
import { element, guide, readout, segmented, shape, slider, toolbar } from "../../show/controls.js";
import { clamp, follow, percent, svg, text, widthOf } from "../../show/drawing.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [46, 16, 32, 44];
const [RADIUS, POINT] = [13, 4]; // of a number's badge, of a dot
const APART = 2 * RADIUS + 1;
const TOLD = 4; // of those that reach the share, in the sentence
const heightOf = (width) => (width < 500 ? 340 : 400);

// Where everything lies, from the state: dots in units of a drawing of this width.
export function placed(model, width) {
  const [cost, enough, dots] = [model.get("cost"), model.get("enough"), model.get("dots")];
  const costs = dots.flatMap((dot) => [dot.costs[cost].low, dot.costs[cost].high, dot.costs[cost].mean]);
  const positive = costs.filter((one) => one > 0);
  const [least, most] = [Math.min(...positive) / 1.15, Math.max(...positive) * 1.15];
  const x = (value) => {
    const share = Math.log(clamp(value, least, most) / least) / Math.log(most / least);
    return LEFT + share * (width - LEFT - RIGHT);
  };
  const y = (share) => TOP + (1 - clamp(share, 0, 1)) * (heightOf(width) - TOP - BOTTOM);
  return {
    cost,
    enough,
    x,
    y,
    ticks: [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].filter((one) => one >= least && one <= most),
    dots: dots.map((dot, index) => ({ ...dot, number: index + 1, time: dot.costs[cost] })),
  };
}

// Where the badges of dots at these places stand: above each, and pushed off the others and off all
// dots until none overlaps. The pushes are the same for the same places.
export function badges(places, width) {
  const found = places.map(([x, y], index) => [x + 0.1 * (index - places.length / 2), y - APART]);
  const push = (one, from, least, share) => {
    const [dx, dy] = [one[0] - from[0], one[1] - from[1]];
    const far = Math.hypot(dx, dy) || 1e-6;
    if (far >= least) return [0, 0];
    const by = (share * (least - far)) / far;
    return [dx * by, dy * by || by];
  };
  for (let turn = 0; turn < 400; turn += 1) {
    found.forEach((one, index) => {
      const moves = [
        ...found.filter((_, other) => other !== index).map((other) => push(one, other, APART + 1, 0.5)),
        ...places.map((dot) => push(one, dot, RADIUS + POINT + 3, 0.5)),
      ];
      const home = [0.01 * (places[index][0] - one[0]), 0.01 * (places[index][1] - one[1])];
      const [dx, dy] = [...moves, home].reduce(([x, y], [mx, my]) => [x + mx, y + my], [0, 0]);
      one[0] = clamp(one[0] + dx, LEFT + RADIUS, width - RADIUS);
      one[1] = clamp(one[1] + dy, RADIUS + 6, heightOf(width) - BOTTOM - RADIUS - 2);
    });
  }
  return found;
}

const ms = (value) => value.toPrecision(2);
const share = (value) => percent(clamp(value, 0, 1), 0);

// A method in words, with both intervals.
export function words({ name, right, time }) {
  return `${name}: ${share(right.mean)} right (${share(right.low)} to ${share(right.high)}), ${ms(time.mean)} ms (${ms(time.low)} to ${ms(time.high)})`;
}

// The same for a line of the list, which has a heading.
function numbers({ right, time }) {
  const bare = (value) => (100 * clamp(value, 0, 1)).toFixed(0);
  return [
    `${bare(right.mean)} (${bare(right.low)}–${bare(right.high)})`,
    `${ms(time.mean)} (${ms(time.low)}–${ms(time.high)})`,
  ];
}

// Who reaches the share that is asked for, and how long they take beside the first method; and of the
// fastest, whether it knows more than a guess and whether its time is surely another than the first's.
export function sentence({ dots, enough, cost }, chance) {
  const [whole] = dots;
  const able = dots.filter(({ right }) => right.mean >= enough).sort((a, b) => a.time.mean - b.time.mean);
  const asked = `${percent(enough, 0)}${enough < 1 ? " or more" : ""} right`;
  if (!able.length) return `None of ${dots.length} methods has ${asked}.`;
  const counted = `${able.length} of ${dots.length} methods ${able.length > 1 ? "have" : "has"} ${asked}.`;
  const [best] = able;
  const parts = able.slice(0, TOLD).map(({ name, time }) => `${name} ${(time.mean / whole.time.mean).toFixed(2)} ×`);
  const order = `Fastest for ${cost}, against ${whole.name}: ${parts.join(", ")}.`;
  const knows = best.right.low <= chance ? ", which a guess may have as well" : "";
  const found = `The fastest, ${best.name}, has ${share(best.right.mean)} right${knows}.`;
  return [counted, order, found, ...(best === whole ? [] : [surely(best.time, whole.time)])].join(" ");
}

function surely(one, other) {
  const apart = one.high < other.low || one.low > other.high;
  return `The intervals of the two times ${apart ? "do not overlap" : "overlap"}.`;
}

function axes({ x, y, ticks, cost, enough }, width, chance) {
  const base = y(0);
  return [
    shape("rect", { class: "quality-enough", x: LEFT, y: y(1), width: width - LEFT - RIGHT, height: y(enough) - y(1) }),
    shape("path", { class: "quality-asked", d: `M${LEFT} ${y(enough)}H${width - RIGHT}` }),
    ...[0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
      shape("path", { class: "quality-grid", d: `M${LEFT} ${y(share)}H${width - RIGHT}` }),
      text(LEFT - 6, y(share) + 4, percent(share, 0), { anchor: "end" }),
    ]),
    ...ticks.flatMap((one) => [
      shape("path", { class: "quality-grid", d: `M${x(one)} ${TOP}V${base}` }),
      text(x(one), base + 16, String(one), { anchor: "middle" }),
    ]),
    shape("path", { class: "quality-chance", d: `M${LEFT} ${y(chance)}H${width - RIGHT}` }),
    text(width - RIGHT, y(chance) + 15, "a guess", { anchor: "end" }),
    text(0, 12, "right answers", { anchor: "start" }),
    text((LEFT + width) / 2, heightOf(width) - 4, `processor time per text, ${cost} (ms)`, { anchor: "middle" }),
  ];
}

function dotOf({ number, page, right, time, ...dot }, [bx, by], { x, y, enough }) {
  const [cx, cy] = [x(time.mean), y(right.mean)];
  const said = words({ ...dot, right, time });
  const kind = right.mean < enough ? "quality-dot quality-less" : "quality-dot";
  return shape(
    "a",
    { href: page, class: kind, "data-number": number, "aria-label": said, tabindex: -1 },
    shape("title", {}, said),
    shape("path", { d: `M${x(time.low)} ${cy}H${x(time.high)}M${cx} ${y(right.low)}V${y(right.high)}` }),
    shape("path", { class: "quality-lead", d: `M${cx} ${cy}L${bx} ${by}` }),
    shape("circle", { class: "quality-point", cx, cy, r: POINT }),
    shape("circle", { class: "quality-badge", cx: bx, cy: by, r: RADIUS }),
    text(bx, by + 4, String(number), { anchor: "middle" }),
  );
}

function render({ model, el }) {
  const width = widthOf(el, 360, 680);
  const picture = svg(width, heightOf(width), { class: "quality-chart", role: "group", "aria-label": "Right answers over cost" });
  const list = element("ol", { class: "quality-list" });
  const said = readout();
  const mark = (number) =>
    picture.querySelectorAll(".quality-dot").forEach((dot) => {
      dot.classList.toggle("quality-marked", Number(dot.dataset.number) === number);
    });
  el.append(
    element(
      "div",
      { class: "quality" },
      ...guide(model),
      said,
      toolbar(
        slider(model, "enough", { label: "Right at least", min: 0, max: 1, step: 0.05, format: (asked) => percent(asked, 0) }),
        segmented(model, "cost", { label: "Time of", options: model.get("costs") }),
      ),
      picture,
      element("p", { class: "quality-note" }, "Right answers in percent, and milliseconds per text: means over the seeds, with intervals of 95 %."),
      list,
    ),
  );
  return follow(model, "cost enough", () => {
    const found = placed(model, width);
    const stand = badges(found.dots.map(({ right, time }) => [found.x(time.mean), found.y(right.mean)]), width);
    const dots = found.dots.map((dot, index) => dotOf(dot, stand[index], found));
    picture.replaceChildren(...axes(found, width, model.get("chance")), ...dots);
    said.textContent = sentence(found, model.get("chance"));
    list.replaceChildren(
      ...found.dots.map((dot) => {
        const lead = (number) => () => mark(number);
        const link = element("a", { href: dot.page, onfocus: lead(dot.number), onblur: lead(0) }, dot.name);
        const rest = numbers(dot).map((one) => element("span", {}, one));
        return element("li", { onpointerenter: lead(dot.number), onpointerleave: lead(0) }, link, ...rest);
      }),
    );
  });
}

export default { render };
