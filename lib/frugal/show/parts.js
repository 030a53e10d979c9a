// A figure of several parts, of which a narrow page shows one at a time. They lie on each other there,
// so that the height is that of the tallest, and a switch says which is seen.
import { segmented, toolbar } from "./controls.js";
import { watch } from "./drawing.js";

// parts: [name, node] pairs; the nodes are children of `all`, which a figure's own style lays out where
// there is room. What else `all` has stands below them on a narrow page: where `root` has fewer pixels
// than `narrow`. The state's `part` is the number of the one that is seen. To be called: `fit`, once
// `root` is in the page, and `stop`, at the end.
export function oneAtATime(model, { root, all, parts, narrow }) {
  const options = parts.map(([name], at) => [at, name]);
  const bar = toolbar(segmented(model, "part", { label: "Show", options }));
  const inputs = bar.querySelectorAll("input");
  const fit = () => {
    const one = root.clientWidth < narrow;
    bar.style.display = one ? "" : "none";
    inputs.forEach((input) => (input.disabled = !one));
    all.style.display = one ? "grid" : "";
    all.style.gridTemplateColumns = one ? "minmax(0, 1fr)" : "";
    parts.forEach(([, node], at) => {
      node.style.gridArea = one ? "1 / 1" : "";
      node.style.visibility = one && at !== model.get("part") ? "hidden" : "";
    });
  };
  const observer = new ResizeObserver(fit);
  observer.observe(root);
  const stopWatching = watch(model, "part", fit);
  const stop = () => {
    observer.disconnect();
    stopWatching();
  };
  return { bar, fit, stop };
}
