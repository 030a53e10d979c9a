// Lost in the middle: a context whose answer the reader drags, above two charts of accuracy by
// place. Left the published curves, right ours with their interval and their moment of training.
import {
  checkbox,
  element,
  readout,
  select,
  shape,
  slider,
  store,
  toolbar,
} from "../../show/controls.js";

const WIDTH = 380;
const HEIGHT = 250;
const LEFT = 38;
const RIGHT = 372;
const TOP = 10;
const BOTTOM = 188; // below it the axis, and for ours the bars of what training asked for

// Where a place stands: 0 for the first of `count`, 1 for the last.
export function share(place, count) {
  return count > 1 ? place / (count - 1) : 0.5;
}

// The index of the measured position that is nearest to a share of the way.
export function nearest(positions, documents, along) {
  let best = 0;
  positions.forEach((position, index) => {
    const distance = (one) => Math.abs(share(positions[one] - 1, documents) - along);
    if (distance(index) < distance(best)) best = index;
  });
  return best;
}

// The last moment of a run that is not after `step`; the first if all are.
export function momentAt(steps, step) {
  let found = 0;
  steps.forEach((one, index) => {
    if (one <= step) found = index;
  });
  return found;
}

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// The first and last fifth minus the middle third, as `frugal.tasks.retriever.dip`.
export function dip(values) {
  const n = values.length;
  const fifth = Math.round(n / 5);
  const third = Math.round(n / 3);
  const start = Math.floor((n - third) / 2);
  const ends = [...values.slice(0, fifth), ...values.slice(n - fifth)];
  return mean(ends) - mean(values.slice(start, start + third));
}

const x = (along) => LEFT + along * (RIGHT - LEFT);
const y = (percent) => BOTTOM - (percent / 100) * (BOTTOM - TOP);
const path = (points) => `M${points.map(([across, up]) => `${x(across)} ${y(up)}`).join("L")}`;

function axes(chart, title, first, last) {
  for (const percent of [0, 25, 50, 75, 100]) {
    const up = y(percent);
    chart.append(
      shape("line", { class: "middle-grid", x1: LEFT, x2: RIGHT, y1: up, y2: up }),
      shape("text", { x: LEFT - 6, y: up + 4, "text-anchor": "end" }, percent),
    );
  }
  const below = BOTTOM + 16;
  chart.append(
    shape("text", { x: LEFT, y: below }, first),
    shape("text", { x: RIGHT, y: below, "text-anchor": "end" }, last),
    shape("text", { x: (LEFT + RIGHT) / 2, y: below, "text-anchor": "middle" }, title),
  );
}

function marker(chart, along) {
  const at = x(along);
  chart.append(shape("line", { class: "middle-marker", x1: at, x2: at, y1: TOP, y2: BOTTOM }));
}

function newChart(kind) {
  const box = `0 0 ${WIDTH} ${HEIGHT}`;
  return shape("svg", { class: `middle-chart middle-${kind}`, viewBox: box, role: "img" });
}

function render({ model, el }) {
  const ours = model.get("ours");
  const steps = model.get("steps");
  const places = ours[0].asked.length;
  const groupOf = (label) => model.get("groups").find((one) => one.label === label);
  const group = () => groupOf(model.get("group"));
  const published = () => group().curves.find((one) => one.model === model.get("model"));

  const root = element("div", { class: "middle" });
  const label = element("p", { class: "middle-label" });
  const context = element("div", {
    class: "middle-context",
    role: "slider",
    tabindex: 0,
    "aria-label": "Place of the answer in the context",
    "aria-valuemin": 1,
    "aria-valuemax": places,
  });
  context.append(...Array.from({ length: places }, () => element("span", {})));
  const theirChart = newChart("theirs");
  const ourChart = newChart("ours");
  const theirWords = readout();
  const ourWords = readout();
  const source = element("p", { class: "middle-source" });
  const models = element("div", {});
  const plain = element("div", {});
  const labels = model.get("groups").map((one) => one.label);
  const theirControls = toolbar(
    select(model, "group", { label: "Setting", options: labels }),
    models,
    plain,
  );
  const ourControls = toolbar(
    select(model, "curve", {
      label: "Training",
      options: ours.map((one, index) => [index, one.label]),
    }),
    slider(model, "moment", {
      label: "Updates",
      min: 0,
      max: steps.length - 1,
      format: (moment) => String(steps[moment]),
    }),
  );
  const panel = (title, controls, chart, ...words) =>
    element(
      "section",
      { class: "middle-panel" },
      element("h4", {}, title),
      controls,
      chart,
      ...words,
    );
  root.append(
    label,
    context,
    element(
      "div",
      { class: "middle-panels" },
      panel("Published", theirControls, theirChart, theirWords, source),
      panel("Ours", ourControls, ourChart, ourWords),
    ),
  );
  el.append(root);

  function buildModels() {
    const names = group().curves.map((one) => one.model);
    if (!names.includes(model.get("model"))) store(model, "model", names[0]);
    models.replaceChildren(select(model, "model", { label: "Model", options: names }));
    const box = checkbox(model, "standard", { label: "and the plain setting" });
    plain.replaceChildren(box);
  }

  function drawTheirs(along) {
    const { documents, curves, noun } = group();
    const chosen = published();
    const at = (curve) =>
      curve.positions.map((place, index) => [share(place - 1, documents), curve.accuracy[index]]);
    plain.querySelector("input").disabled = !chosen.standard;
    theirChart.replaceChildren();
    axes(theirChart, `place of the ${noun} with the answer`, "1", String(documents));
    for (const other of curves) {
      if (other !== chosen) {
        theirChart.append(shape("path", { class: "middle-other", d: path(at(other)) }));
      }
    }
    const limits = Object.entries(noun === "document" ? model.get("limits")[chosen.model] : {});
    for (const [name, value] of limits) {
      const up = y(value);
      theirChart.append(
        shape("line", { class: "middle-limit", x1: LEFT, x2: RIGHT, y1: up, y2: up }),
        shape(
          "text",
          {
            x: LEFT + 0.42 * (RIGHT - LEFT),
            y: name === "oracle" ? up - 5 : up + 16,
            "text-anchor": "middle",
            "data-limit": name,
            "data-accuracy": value,
          },
          `${name.replace("_", " ")} ${value} %`,
        ),
      );
    }
    marker(theirChart, along);
    if (model.get("standard") && chosen.standard) {
      theirChart.append(shape("path", { class: "middle-plain", d: path(at(chosen.standard)) }));
    }
    const shown = nearest(chosen.positions, documents, along);
    theirChart.append(shape("path", { class: "middle-line", d: path(at(chosen)) }));
    at(chosen).forEach(([across, up], index) => {
      theirChart.append(
        shape("circle", {
          class: index === shown ? "middle-ring" : "middle-point",
          cx: x(across),
          cy: y(up),
          r: index === shown ? 6 : 3,
          "data-position": chosen.positions[index],
          "data-accuracy": up,
        }),
      );
    });
    const worst = chosen.accuracy.indexOf(Math.min(...chosen.accuracy));
    const below = model.get("limits")[chosen.model]?.closed_book;
    const lost = noun === "document" && below !== undefined && chosen.accuracy[shown] < below;
    theirWords.textContent =
      `${chosen.model}, answer in ${noun} ${chosen.positions[shown]} of ${documents}: ` +
      `${chosen.accuracy[shown]} %. Worst measured place: ${chosen.positions[worst]}, ` +
      `${chosen.accuracy[worst]} %.` +
      (lost ? ` That is less than with no documents at all, ${below} %.` : "") +
      (model.get("standard") && chosen.standard
        ? ` Dashed, the plain setting: ${chosen.standard.accuracy[nearest(chosen.standard.positions, documents, along)]} % there.`
        : "");
    source.textContent = `Source: ${chosen.source}.`;
    theirChart.setAttribute(
      "aria-label",
      `Accuracy of ${chosen.model} by place: ${chosen.accuracy.join(", ")} percent at places ${chosen.positions.join(", ")}.`,
    );
  }

  function drawOurs(along, gold) {
    const curve = ours[model.get("curve")];
    const moment = momentAt(curve.steps, steps[model.get("moment")]);
    const [middle, low, high] = [curve.mean[moment], curve.low[moment], curve.high[moment]];
    const at = (values) => values.map((value, place) => [share(place, places), value]);
    ourChart.replaceChildren();
    axes(ourChart, "place of the pair asked for", "1", String(places));
    const outline = path([...at(low), ...at(high).reverse()]);
    ourChart.append(shape("path", { class: "middle-band", d: `${outline}Z` }));
    marker(ourChart, along);
    ourChart.append(shape("path", { class: "middle-line", d: path(at(middle)) }));
    middle.forEach((value, place) => {
      ourChart.append(
        shape("circle", {
          class: place === gold ? "middle-ring" : "middle-point",
          cx: x(share(place, places)),
          cy: y(value),
          r: place === gold ? 6 : 2,
          "data-place": place + 1,
          "data-accuracy": value,
        }),
      );
    });
    // What training asked for, on a scale of its own: the tallest bar fills the strip.
    const [floor, room] = [HEIGHT - 4, 24];
    const most = Math.max(...curve.asked);
    const bar = (RIGHT - LEFT) / places;
    curve.asked.forEach((percent, place) => {
      const tall = Math.max(1, (percent / most) * room);
      ourChart.append(
        shape("rect", {
          class: "middle-asked",
          x: LEFT + place * bar + 1,
          y: floor - tall,
          width: bar - 2,
          height: tall,
          "data-asked": percent,
        }),
      );
    });
    const asked = "asked in training";
    ourChart.append(
      shape("text", { x: (LEFT + RIGHT) / 2, y: floor - 6, "text-anchor": "middle" }, asked),
    );
    const step = curve.steps[moment];
    const over = step < steps[model.get("moment")] ? " (its last)" : "";
    ourWords.textContent =
      `After ${step} updates${over}, pair ${gold + 1} of ${places}: ${middle[gold]} %, ` +
      `95 % interval ${low[gold]} to ${high[gold]} %. Ends minus middle: ` +
      `${dip(middle).toFixed(1)} points. Training asked for this pair in ${curve.asked[gold]} % of its questions.`;
    ourChart.setAttribute(
      "aria-label",
      `Accuracy of our model by place, ${curve.label}, after ${step} updates: ${middle.join(", ")} percent.`,
    );
  }

  function draw() {
    const gold = model.get("gold");
    const along = share(gold, places);
    const { documents, noun } = group();
    const place = Math.round(1 + along * (documents - 1));
    const words = `${noun} ${place} of ${documents}, pair ${gold + 1} of ${places}`;
    label.textContent = `Drag the answer through the context: ${words}`;
    context.setAttribute("aria-valuenow", gold + 1);
    context.setAttribute("aria-valuetext", words);
    [...context.children].forEach((box, index) =>
      box.classList.toggle("middle-gold", index === gold),
    );
    drawTheirs(along);
    drawOurs(along, gold);
  }

  function move(gold) {
    const inside = Math.min(places - 1, Math.max(0, gold));
    if (inside !== model.get("gold")) store(model, "gold", inside);
  }

  // A drag over the context or over a chart; `edges` are the shares of its width where the first
  // place begins and the last ends.
  function dragOver(area, [from, to]) {
    const follow = (event) => {
      const box = area.getBoundingClientRect();
      const along = ((event.clientX - box.left) / box.width - from) / (to - from);
      move(Math.floor(along * places));
    };
    area.addEventListener("pointerdown", (event) => {
      area.setPointerCapture(event.pointerId);
      follow(event);
    });
    area.addEventListener("pointermove", (event) => {
      if (area.hasPointerCapture(event.pointerId)) follow(event);
    });
  }
  dragOver(context, [0, 1]);
  const half = (RIGHT - LEFT) / (places - 1) / 2; // places are points there, not boxes
  for (const chart of [theirChart, ourChart]) {
    dragOver(chart, [(LEFT - half) / WIDTH, (RIGHT + half) / WIDTH]);
  }

  context.addEventListener("keydown", (event) => {
    const gold = model.get("gold");
    const moves = {
      ArrowRight: gold + 1,
      ArrowUp: gold + 1,
      ArrowLeft: gold - 1,
      ArrowDown: gold - 1,
      PageUp: gold + 5,
      PageDown: gold - 5,
      Home: 0,
      End: places - 1,
    };
    if (!(event.key in moves) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    move(moves[event.key]);
  });

  let building = false;
  const rebuild = () => {
    building = true; // until the model is one of the group's
    buildModels();
    building = false;
    draw();
  };
  const redraw = () => {
    if (!building && published()) draw();
  };
  model.on("change:group", rebuild);
  const names = ["model", "standard", "curve", "moment", "gold"];
  for (const name of names) model.on(`change:${name}`, redraw);
  rebuild();
  return () => {
    model.off("change:group", rebuild);
    for (const name of names) model.off(`change:${name}`, redraw);
  };
}

export default { render };
