// Cost against quality: a dot for each method, with its intervals and a number that stands beside it,
// clear of the others; a list leads to the chapters.
import { element, segmented, shape } from "../../show/controls.js";
import { clamp, follow, percent, svg, text, widthOf } from "../../show/drawing.js";

const [LEFT, RIGHT, TOP, BOTTOM, HEIGHT] = [46, 16, 32, 44, 400];
const [RADIUS, POINT] = [12, 4]; // of a number's badge, of a dot
const APART = 2 * RADIUS + 1;

// Where everything lies, from the state: dots in units of a drawing of this width.
export function placed(model, width) {
  const [cost, dots] = [model.get("cost"), model.get("dots")];
  const costs = dots.flatMap((dot) => [dot.costs[cost].low, dot.costs[cost].high, dot.costs[cost].mean]);
  const positive = costs.filter((one) => one > 0);
  const [least, most] = [Math.min(...positive) / 1.15, Math.max(...positive) * 1.15];
  const x = (value) => {
    const share = Math.log(clamp(value, least, most) / least) / Math.log(most / least);
    return LEFT + share * (width - LEFT - RIGHT);
  };
  const y = (share) => TOP + (1 - clamp(share, 0, 1)) * (HEIGHT - TOP - BOTTOM);
  return {
    cost,
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
      one[1] = clamp(one[1] + dy, RADIUS + 6, HEIGHT - BOTTOM - RADIUS - 2);
    });
  }
  return found;
}

// A method in words, with both intervals.
export function words({ name, right, time }) {
  const ms = (value) => value.toPrecision(2);
  const share = (value) => percent(clamp(value, 0, 1), 0);
  return `${name}: ${share(right.mean)} right (${share(right.low)} to ${share(right.high)}), ${ms(time.mean)} ms (${ms(time.low)} to ${ms(time.high)})`;
}

function axes({ x, y, ticks, cost }, width, chance) {
  const base = y(0);
  return [
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
    text((LEFT + width) / 2, HEIGHT - 4, `processor time per text, ${cost} (ms)`, { anchor: "middle" }),
  ];
}

function dotOf({ number, page, right, time, ...dot }, [bx, by], { x, y }) {
  const [cx, cy] = [x(time.mean), y(right.mean)];
  const said = words({ ...dot, right, time });
  return shape(
    "a",
    { href: page, class: "quality-dot", "data-number": number, "aria-label": said, tabindex: -1 },
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
  const picture = svg(width, HEIGHT, { class: "quality-chart", role: "group", "aria-label": "Right answers over cost" });
  const list = element("ol", { class: "quality-list" });
  const mark = (number) =>
    picture.querySelectorAll(".quality-dot").forEach((dot) => {
      dot.classList.toggle("quality-marked", Number(dot.dataset.number) === number);
    });
  el.append(
    element(
      "div",
      { class: "quality" },
      segmented(model, "cost", { label: "Time of", options: model.get("costs") }),
      picture,
      list,
    ),
  );
  return follow(model, "cost", () => {
    const found = placed(model, width);
    const stand = badges(found.dots.map(({ right, time }) => [found.x(time.mean), found.y(right.mean)]), width);
    const dots = found.dots.map((dot, index) => dotOf(dot, stand[index], found));
    picture.replaceChildren(...axes(found, width, model.get("chance")), ...dots);
    list.replaceChildren(
      ...found.dots.map((dot) => {
        const lead = (number) => () => mark(number);
        const link = element("a", { href: dot.page, onfocus: lead(dot.number), onblur: lead(0) }, dot.name);
        const rest = words(dot).slice(dot.name.length);
        return element("li", { onpointerenter: lead(dot.number), onpointerleave: lead(0) }, link, rest);
      }),
    );
  });
}

export default { render };
