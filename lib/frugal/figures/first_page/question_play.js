// Plays a figure by itself: `step` is called again and again while the reader does nothing. It
// waits under the pointer and out of sight, and stops at a touch, a key or a choice. It does not
// begin by itself where less motion is asked for.
import { element, shape } from "../../show/controls.js";

const REST = 3000; // milliseconds from one step to the next
const FIRST = 1500; // before the first step

const SHAPES = { pause: "M4 3h3v10H4zM9 3h3v10H9z", play: "M4 2.5v11l9-5.5z" };

function icon(name) {
  const path = shape("path", { d: SHAPES[name] });
  return shape("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, path);
}

export function player(root, step, told) {
  let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  let [seen, under, timer, rest] = [false, false, 0, FIRST];
  const button = element("button", { type: "button", class: "frugal-button map-play" });

  const plan = () => {
    clearTimeout(timer);
    if (!playing || !seen || under || document.hidden) return;
    timer = setTimeout(() => {
      rest = REST;
      step();
      plan();
    }, rest);
  };
  const show = () => {
    button.replaceChildren(icon(playing ? "pause" : "play"), playing ? "Pause" : "Play");
    told(playing);
    plan();
  };
  const stop = () => {
    if (!playing) return;
    playing = false;
    show();
  };
  const unlessButton = ({ target }) => {
    if (!button.contains(target)) stop();
  };
  const over = (now) => (event) => {
    if (event.pointerType === "touch") return;
    under = now;
    plan();
  };

  button.addEventListener("click", () => {
    playing = !playing;
    under = false; // who presses it with the mouse is over the figure, and wants to see it play
    show();
    if (playing) step();
  });
  for (const event of ["pointerdown", "keydown", "focusin"]) {
    root.addEventListener(event, unlessButton);
  }
  root.addEventListener("pointerenter", over(true));
  root.addEventListener("pointerleave", over(false));
  document.addEventListener("visibilitychange", plan);
  const watcher = new IntersectionObserver(([{ isIntersecting }]) => {
    seen = isIntersecting;
    plan();
  });
  watcher.observe(root);
  show();
  const end = () => {
    clearTimeout(timer);
    watcher.disconnect();
    document.removeEventListener("visibilitychange", plan);
  };
  return { button, end };
}
