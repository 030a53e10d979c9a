// The running example: one head of a trained model on one story, under one attention or another.
import { element, guide, readout, segmented, shape, slider, store } from "../../show/controls.js";
import { follow, percent, svg, text } from "../../show/drawing.js";

const [WIDTH, LEFT, TOP] = [380, 54, 54];

// What is shown, from the state: the matrix, the weights of the chosen word, and sentences.
export function reading(model) {
  const [method, query, words] = [model.get("method"), model.get("query"), model.get("words")];
  const matrix = model.get("matrices")[method];
  const first = model.get("methods")[0];
  const exact = method === first ? null : { name: first, weights: model.get("matrices")[first][query] };
  return { method, query, words, matrix, weights: matrix[query], exact, ...told(model, method) };
}

// The place with the highest chance, and what there is to say of an attention.
export function told(model, method) {
  const [places, answer, chances] = [model.get("places"), model.get("answer"), model.get("chances")[method]];
  const best = chances.indexOf(Math.max(...chances));
  const words = model.get("words").length;
  const right = places[best] === answer;
  const found = `The model answers “${places[best]}” (${percent(chances[best])}), which is ${right ? "right" : `wrong: it is “${answer}”`}.`;
  const first = method === model.get("methods")[0];
  const read = `With ${method}, a word gives weight to ${model.get("read")[method].toFixed(1)} of ${words} words on average`;
  const same = first ? "." : `, and ${percent(model.get("shared")[method])} of the weight lies where all pairs put it.`;
  return { right, answered: places[best], sentence: `${read}${same} ${found}` };
}

// The words that get most from the chosen one, in words, and the first of them with all pairs.
export function most({ words, weights, query, exact }) {
  const highest = (of, n) => {
    const order = of.map((weight, place) => [weight, place]).sort((a, b) => b[0] - a[0]);
    const parts = order.slice(0, n).filter(([weight]) => weight >= 0.005);
    return parts.map(([weight, place]) => `“${words[place]}” ${percent(weight)}`).join(", ") || "no word";
  };
  const beside = exact ? ` With ${exact.name}: ${highest(exact.weights, 1)}.` : "";
  return `“${words[query]}” gives most to ${highest(weights, 3)}.${beside}`;
}

// A weight as ink: small ones are seen, negative ones have another color.
function ink(weight) {
  const opacity = Math.sqrt(Math.min(1, Math.abs(weight))).toFixed(2);
  return { class: weight < 0 ? "running-below" : "running-cell", "fill-opacity": opacity };
}

function drawing({ words, matrix, query }, choose) {
  const cell = (WIDTH - LEFT) / words.length;
  const place = (index) => index * cell;
  const cells = matrix.flatMap((row, y) =>
    row.map((weight, x) =>
      shape("rect", { x: LEFT + place(x), y: TOP + place(y), width: cell, height: cell, ...ink(weight) }),
    ),
  );
  const side = WIDTH - LEFT;
  return [
    shape("rect", { class: "running-frame", x: LEFT, y: TOP, width: side, height: side }),
    ...cells,
    ...words.map((word, index) =>
      text(LEFT - 4, TOP + place(index + 0.5) + 4, word, { anchor: "end", class: index === query ? "running-chosen" : null }),
    ),
    ...words.map((word, index) =>
      text(0, 0, word, { transform: `translate(${LEFT + place(index + 0.5) + 4} ${TOP - 4}) rotate(-90)` }),
    ),
    shape("rect", { class: "running-row", x: LEFT, y: TOP + place(query), width: side, height: cell }),
    ...words.map((word, index) =>
      shape("rect", {
        class: "running-touch",
        x: 0,
        y: TOP + place(index),
        width: WIDTH,
        height: cell,
        onclick: () => choose(index),
      }),
    ),
  ];
}

// The story, each word on the weight that it gets.
function sentence({ words, weights, query }) {
  return words.map((word, index) => {
    const share = Math.round(45 * Math.sqrt(Math.min(1, Math.abs(weights[index]))));
    const style = `background: color-mix(in srgb, var(--frugal-accent-1) ${share}%, transparent)`;
    return element("span", { style, class: index === query ? "running-query" : null }, word);
  });
}

function render({ model, el }) {
  const words = model.get("words");
  const picture = svg(WIDTH, WIDTH - LEFT + TOP, { class: "running-matrix" });
  const story = element("p", { class: "running-story" });
  const gives = element("p", { class: "running-most" });
  const said = readout();
  const page = element("p", { class: "running-page" });
  el.append(
    element(
      "div",
      { class: "running" },
      ...guide(model),
      segmented(model, "method", { label: "Attention", options: model.get("methods") }),
      element(
        "div",
        { class: "running-views" },
        picture,
        element(
          "div",
          {},
          slider(model, "query", {
            label: "Word",
            min: 0,
            max: words.length - 1,
            format: (place) => `“${words[place]}”`,
          }),
          story,
          gives,
          said,
          page,
        ),
      ),
    ),
  );
  return follow(model, "method query", () => {
    const found = reading(model);
    picture.setAttribute("aria-label", `Weights of one head with ${found.method}: a row for each word, a column for each word that is read`);
    picture.replaceChildren(...drawing(found, (query) => store(model, "query", query)));
    story.replaceChildren(...sentence(found).flatMap((one) => [one, " "]));
    gives.textContent = most(found);
    said.textContent = found.sentence;
    const address = model.get("pages")[found.method];
    page.replaceChildren(...(address ? [element("a", { href: address }, `To the chapter of ${found.method}`)] : []));
  });
}

export default { render };
