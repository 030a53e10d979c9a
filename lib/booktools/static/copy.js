// A button on each piece of code that copies it, with the imports that its cell needs. All buttons of
// a page are one stop of the tab key; arrow keys go from one to the next.
(() => {
  "use strict";
  const COPY = '<path d="M5 3h8v8M3 5h8v8H3z" />';
  const DONE = '<path d="M3 8l4 4 6-8" />';
  const icon = (lines) =>
    `<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">${lines}</svg>`;

  // The text of a cell without the numbers of its lines.
  function code(pre) {
    const copy = pre.cloneNode(true);
    for (const number of copy.querySelectorAll(".linenos")) number.remove();
    return copy.textContent.replace(/\n$/, "");
  }

  function text(pre) {
    const stored = pre.closest(".cell_input")?.querySelector("template[data-imports]");
    return stored ? `${stored.content.textContent}\n\n${code(pre)}` : code(pre);
  }

  async function write(words) {
    try {
      await navigator.clipboard.writeText(words);
    } catch {
      const area = document.createElement("textarea"); // where the page is served without TLS
      area.value = words;
      area.style.position = "fixed";
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) throw new Error("This browser does not copy.");
    }
  }

  function button(pre) {
    const made = document.createElement("button");
    const whole = Boolean(pre.closest(".cell_input")?.querySelector("template[data-imports]"));
    const name = whole ? "Copy with its imports" : "Copy";
    const show = (words, lines) => {
      made.setAttribute("aria-label", words);
      made.title = words;
      made.innerHTML = icon(lines);
    };
    made.type = "button";
    made.className = "frugal-copy";
    show(name, COPY);
    made.addEventListener("click", async () => {
      try {
        await write(text(pre));
        show("Copied", DONE);
      } catch {
        show("Not copied", COPY);
      }
      setTimeout(() => show(name, COPY), 2000);
    });
    pre.after(made);
    return made;
  }

  const buttons = [...document.querySelectorAll("div.highlight pre")].map(button);
  window.frugalStops?.(buttons);
})();
