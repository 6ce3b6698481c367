"use strict";
(() => {
  const list = document.getElementById("cards");
  if (!list) return;
  const [browse, pager, search, relation, order, previous, next, place] =
    ["browse", "pager", "search", "relation", "order", "previous", "next", "place"]
      .map((id) => document.getElementById(id));
  const cards = [...list.children];
  const pageSize = cards.filter((card) => !card.hidden).length;
  let found = cards;
  let start = 0;

  // An entity's media are in the page once: in the first card that shows it, or in a template.
  const media = new Map();
  for (const holder of document.querySelectorAll("template[data-entity]")) {
    media.set(holder.dataset.entity, holder.content);
  }
  for (const holder of document.querySelectorAll(".media[data-entity]")) {
    if (!holder.children.length) continue;
    const copy = document.createDocumentFragment();
    copy.append(...[...holder.children].map((child) => child.cloneNode(true)));
    media.set(holder.dataset.entity, copy);
  }

  function fill(card) {
    for (const holder of card.querySelectorAll(".media")) {
      const content = media.get(holder.dataset.entity);
      if (content && !holder.children.length) holder.append(content.cloneNode(true));
    }
  }

  function show() {
    const page = found.slice(start, start + pageSize);
    for (const card of cards) card.hidden = true;
    for (const card of page) {
      fill(card);
      card.hidden = false;
    }
    previous.disabled = start === 0;
    next.disabled = start + pageSize >= found.length;
    place.textContent = found.length
      ? `${start + 1} to ${start + page.length} of ${found.length}`
      : "none found";
  }

  function choose() {
    const wanted = search.value.trim().toLocaleLowerCase();
    found = cards.filter((card) =>
      (!relation.value || card.dataset.relation === relation.value) &&
      card.dataset.names.toLocaleLowerCase().includes(wanted));
    if (order.value === "probability") {
      found.sort((one, other) => other.dataset.probability - one.dataset.probability);
    }
    list.append(...found);
    start = 0;
    show();
  }

  function turn(pages) {
    start = Math.max(0, Math.min(start + pages * pageSize, found.length - 1));
    for (const playing of list.querySelectorAll("audio, video")) playing.pause();
    show();
  }

  browse.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", choose);
  relation.addEventListener("change", choose);
  order.addEventListener("change", choose);
  previous.addEventListener("click", () => turn(-1));
  next.addEventListener("click", () => turn(1));
  browse.hidden = pager.hidden = false;
  choose();
})();
