import { button, checkbox, element, readout, segmented } from "../../../lib/frugal/show/controls.js";
import { select, shape, slider, store, toolbar } from "../../../lib/frugal/show/controls.js";

export function square(turn) {
  return turn * turn;
}

export default {
  render({ model, el }) {
    const bar = shape("rect", { height: 20, fill: "var(--frugal-accent-1)" });
    const answer = readout();
    const draw = () => {
      const turn = model.get("turn");
      const sign = model.get("signed") && model.get("way") === "left" ? "−" : "";
      bar.setAttribute("width", 20 * turn);
      bar.setAttribute("x", model.get("way") === "left" ? 0 : 180 - 20 * turn);
      answer.textContent = `${sign}${square(turn)} ${model.get("unit")}² ${model.get("way")}`;
    };
    const picture = shape("svg", { width: 180, height: 20, "aria-hidden": "true" }, bar);
    el.append(
      toolbar(
        slider(model, "turn", { label: "Turn", min: 0, max: 9 }),
        select(model, "unit", { label: "Unit", options: [["cm", "centimetre"], ["m", "metre"]] }),
        segmented(model, "way", { label: "Way", options: ["left", "right"] }),
        checkbox(model, "signed", { label: "Signed" }),
        button("Add one", () => store(model, "turn", (model.get("turn") + 1) % 10)),
      ),
      element("div", { class: "lever" }, picture),
      answer,
    );
    model.on("change", draw);
    draw();
    return () => model.off("change", draw);
  },
};
