// Results computed beforehand: controls that choose which one is shown.
import { checkbox, element, select, slider, toolbar } from "./controls.js";
import { follow, reachable } from "./drawing.js";

// The place of a combination in the list, the last control changing fastest.
export function frameIndex(choices, counts) {
  return choices.reduce((index, choice, place) => index * counts[place] + choice, 0);
}

const makers = {
  slider: (model, name, { label, values }) =>
    slider(model, name, { label, min: 0, max: values.length - 1, format: (at) => values[at] }),
  select: (model, name, { label, values }) =>
    select(model, name, { label, options: values.map((value, at) => [at, value]) }),
  checkbox: (model, name, { label }) => checkbox(model, name, { label }),
};

export default {
  render({ model, el }) {
    const controls = model.get("controls");
    const counts = controls.map(({ values }) => values.length);
    const names = controls.map((_, index) => `choice_${index}`);
    const frame = element("div", { class: "frugal-frame", "aria-live": "polite" });
    const made = controls.map((control, at) => makers[control.kind](model, names[at], control));
    el.append(toolbar(...made), frame);
    // What was printed wider than the page scrolls; then the keyboard can reach it.
    const reach = () => frame.querySelectorAll("pre").forEach(reachable);
    const resized = new ResizeObserver(reach);
    resized.observe(frame);
    const stop = follow(model, names, () => {
      // A checkbox stores false and true: the places 0 and 1 of its two values.
      const choices = names.map((name) => Number(model.get(name)));
      frame.innerHTML = model.get("frames")[frameIndex(choices, counts)];
      reach();
    });
    return () => {
      resized.disconnect();
      stop();
    };
  },
};
