// What is wider than the page scrolls sideways; the keyboard must reach it to scroll it.
const WIDE =
  ".katex-display, .bd-content .cell_output table, .frugal-table, .frugal-stage, .pst-scrollable-table-container";

function reach() {
  for (const box of document.querySelectorAll(WIDE)) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

window.addEventListener("load", () => {
  reach();
  new ResizeObserver(reach).observe(document.body);
});
