// Cards of terms and citations: on hover and focus, and by a click or a tap, which keeps them open.
// A card stands behind its link in the page, so that the tab key goes from one into the other.
(() => {
  "use strict";
  const links = [...document.querySelectorAll("a[data-preview]")];
  if (!links.length || !HTMLElement.prototype.showPopover) return;

  const OPEN_MS = 150;
  const CLOSE_MS = 250;
  const EDGE = 8; // px that stay free at the sides of the screen
  const card = document.createElement("span");
  card.className = "frugal-preview";
  card.id = "frugal-preview";
  card.setAttribute("popover", "manual");
  card.setAttribute("role", "dialog");
  let owner = null; // the link whose card is open
  let kept = false; // by a click or a tap, and not only while it is pointed at
  let timer = 0;
  let where = null; // of a link that goes over two lines, the part that was pointed at

  function content(link) {
    const stored = document.querySelector(`template[data-preview="${link.dataset.preview}"]`);
    return stored.content.cloneNode(true);
  }

  function place() {
    if (!owner) return;
    const parts = [...owner.getClientRects()];
    const near = (part) =>
      where ? Math.abs(part.top + part.height / 2 - where.y) + (where.x < part.left - 1 ? 1e4 : 0) : 0;
    const part = parts.sort((one, other) => near(one) - near(other))[0];
    if (!part) return close();
    const { width, height } = card.getBoundingClientRect();
    const below = part.bottom + height + EDGE <= innerHeight || part.top < height + EDGE;
    const left = Math.min(Math.max(part.left, EDGE), document.documentElement.clientWidth - width - EDGE);
    card.style.left = `${Math.max(left, EDGE)}px`;
    card.style.top = `${below ? part.bottom + 4 : part.top - height - 4}px`;
  }

  function open(link, keep) {
    clearTimeout(timer);
    kept = keep || (kept && owner === link);
    if (owner === link) return;
    close();
    kept = keep;
    owner = link;
    card.replaceChildren(content(link));
    card.setAttribute("aria-label", card.querySelector(".frugal-preview-title").textContent);
    link.after(card);
    card.showPopover();
    link.setAttribute("aria-expanded", "true");
    place();
  }

  function close() {
    clearTimeout(timer);
    if (!owner) return;
    owner.setAttribute("aria-expanded", "false");
    owner = null;
    kept = false;
    if (card.matches(":popover-open")) card.hidePopover();
    card.remove();
  }

  const soon = (act, wait) => {
    clearTimeout(timer);
    timer = setTimeout(act, wait);
  };
  const leave = () => soon(() => kept || card.contains(document.activeElement) || close(), CLOSE_MS);

  for (const link of links) {
    link.setAttribute("aria-haspopup", "dialog");
    link.setAttribute("aria-expanded", "false");
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType !== "mouse") return;
      where = { x: event.clientX, y: event.clientY };
      soon(() => open(link, false), OPEN_MS);
    });
    link.addEventListener("pointerleave", leave);
    link.addEventListener("focus", () => {
      if (!link.matches(":focus-visible")) return;
      where = null;
      open(link, false);
    });
    link.addEventListener("click", (event) => {
      if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      event.preventDefault(); // the card has the link to where this one leads
      if (event.detail) where = { x: event.clientX, y: event.clientY };
      if (owner === link && kept) close();
      else open(link, true);
    });
  }
  card.addEventListener("pointerenter", () => clearTimeout(timer));
  card.addEventListener("pointerleave", leave);

  document.addEventListener("focusin", ({ target }) => {
    if (owner && target !== owner && !card.contains(target)) close();
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (owner && !owner.contains(target) && !card.contains(target)) close();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !owner) return;
    const link = owner;
    const inside = card.contains(document.activeElement);
    close();
    if (inside) link.focus();
    clearTimeout(timer);
    if (inside) close(); // the focus that comes back does not open it again
    event.stopPropagation();
  });
  addEventListener("scroll", place, { passive: true, capture: true });
  addEventListener("resize", place);
})();
