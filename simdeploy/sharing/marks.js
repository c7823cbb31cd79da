// Marks in pictures: places where a row of a table is drawn. Pointing at a mark, or at the name of its row in any table, shows
// it everywhere and dims the others; at a mark, its numbers appear. A click pins it, Escape releases it.
{
  const rows = new Map(); // by heading and name: rows of tables, and what their cells say
  const key = (heading, name) => `${heading}\n${name}`;
  const lines = (cell) => [...cell.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data);
  for (const table of document.querySelectorAll("table")) {
    const [heading, ...headings] = [...table.tHead.rows[0].cells].map((cell) => lines(cell.querySelector("button") ?? cell).join(" "));
    for (const row of table.tBodies[0].rows) {
      const [[name], ...cells] = [...row.cells].map(lines);
      const facts = headings.map((each, n) => [each, cells[n].join(", ")]).filter(([, text]) => text);
      rows.set(key(heading, name), [...(rows.get(key(heading, name)) ?? []), { row, facts, title: `${heading}: ${name}` }]);
    }
  }

  const make = (parent, tag, attributes, text = "") => {
    const node = tag === "svg" || parent instanceof SVGElement
      ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.textContent = text;
    parent.append(node);
    return node;
  };
  // The tab key reaches one name of a group, arrow keys the others.
  const group = (parent) => {
    const all = () => [...parent.querySelectorAll("[data-row]")];
    all().forEach((each, n) => each.setAttribute("tabindex", n ? -1 : 0));
    parent.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      const next = all()[all().indexOf(event.target) + step];
      if (!next) return;
      event.preventDefault();
      event.target.setAttribute("tabindex", -1);
      next.setAttribute("tabindex", 0);
      next.focus();
    });
  };

  const pictures = [], marked = new Set();
  for (const picture of document.querySelectorAll("[data-marks]")) {
    const panels = JSON.parse(picture.dataset.marks);
    const [width, height] = ["width", "height"].map((side) => picture.querySelector("img").getAttribute(side));
    const place = ([x, y, w, h]) => ({ x: x * width, y: y * height, width: w * width, height: h * height });
    const svg = make(picture, "svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "marks in the picture" });
    const mask = make(svg, "mask", { id: `unlit-${pictures.length}` });
    for (const [box] of panels) make(svg, "rect", { ...place(box), class: "veil", mask: `url(#${mask.id})` });
    for (const [heading, name, box] of panels.flatMap(([, marks]) => marks)) {
      const of = key(heading, name);
      if (!rows.has(of)) continue; // of the rows that a long table leaves out
      const [{ title, facts }] = rows.get(of);
      const label = [title, ...facts.map((fact) => fact.join(" "))].join("; ");
      make(svg, "rect", { ...place(box), class: "mark", role: "button", "aria-label": label, "data-row": of });
      marked.add(of);
    }
    group(svg);
    picture.parentElement.after(make(document.body, "p", { class: "soft no-print" },
      "Point at a mark for its numbers, or use tab and arrow keys. A click or Enter pins it; Escape releases it."));
    pictures.push({ svg, mask, width, height });
  }
  const tables = new Set();
  for (const of of marked)
    for (const { row } of rows.get(of)) {
      const cell = row.cells[0], text = cell.firstChild;
      text.replaceWith(make(cell, "button", { type: "button", class: "name", "data-row": of }, text.data));
      tables.add(row.parentElement);
    }
  tables.forEach(group);

  const names = [...document.querySelectorAll("[data-row]")];
  const tip = make(document.body, "div", { id: "tip", class: "no-print", "aria-hidden": true });
  let hovered = null, focused = null, pinned = null;

  const middle = (mark) => {
    const { x, y, width, height } = mark.getBoundingClientRect();
    return [x + width / 2, y + height / 2];
  };
  const measure = (mark, x, y) => Math.hypot(middle(mark)[0] - x, middle(mark)[1] - y);

  function show() {
    const at = hovered ?? focused ?? pinned, of = at?.dataset.row;
    for (const each of names) {
      each.classList.toggle("lit", each.dataset.row === of);
      each.setAttribute("aria-pressed", each.dataset.row === pinned?.dataset.row);
    }
    for (const { svg, mask, width, height } of pictures) {
      const lit = [...svg.querySelectorAll(".lit")];
      svg.classList.toggle("has-lit", lit.length > 0);
      mask.replaceChildren();
      make(mask, "rect", { width, height, fill: "#fff" });
      for (const each of lit)
        make(mask, "rect", Object.fromEntries(["x", "y", "width", "height"].map((name) => [name, each.getAttribute(name)])));
    }
    for (const table of tables) {
      const lit = new Set([...table.querySelectorAll(".lit")].map((each) => each.closest("tr")));
      for (const row of table.rows) {
        row.classList.toggle("lit-row", lit.has(row));
        row.classList.toggle("dim-row", lit.size > 0 && !lit.has(row));
      }
    }
    tip.hidden = !at?.matches(".mark");
    if (!tip.hidden) write(at, rows.get(of)[0]);
  }

  function write(at, { title, facts }) {
    tip.replaceChildren();
    make(tip, "strong", {}, title);
    const list = make(tip, "dl", {});
    for (const [heading, text] of facts) {
      make(list, "dt", {}, heading);
      make(list, "dd", {}, text);
    }
    const box = at.getBoundingClientRect(), [x, y] = middle(at);
    const others = [...at.parentElement.querySelectorAll(".mark:not(.lit)")].filter((other) => measure(other, x, y) < 2);
    const titles = others.map((other) => rows.get(other.dataset.row)[0].title);
    const more = titles.length > 4 ? `; ${titles.length - 4} more` : "";
    if (titles.length) make(tip, "div", { class: "soft" }, `Also here: ${titles.slice(0, 4).join("; ")}${more}`);
    const { offsetWidth, offsetHeight } = tip;
    const left = Math.min(Math.max(box.left + (box.width - offsetWidth) / 2, 8), document.documentElement.clientWidth - offsetWidth - 8);
    const isBelow = box.bottom + 8 + offsetHeight < innerHeight || box.top < offsetHeight + 8;
    tip.style.left = `${left + scrollX}px`;
    tip.style.top = `${scrollY + (isBelow ? box.bottom + 8 : box.top - offsetHeight - 8)}px`;
  }

  const named = (event) => {
    const { target, clientX: x, clientY: y } = event;
    if (!target.matches?.(".mark")) return target.closest?.("[data-row]") ?? null;
    // Boxes of points may overlap: the nearest is meant.
    const here = document.elementsFromPoint(x, y).filter((each) => each.matches(".mark"));
    return here.reduce((nearest, each) => (measure(each, x, y) < measure(nearest, x, y) ? each : nearest), target);
  };
  const pin = (at) => { pinned = at?.dataset.row === pinned?.dataset.row ? null : at; show(); };
  const hover = (at) => { if (at !== hovered) { hovered = at; show(); } };
  const focus = (at) => { if (at !== focused) { focused = at; show(); } };
  for (const type of ["pointerover", "pointermove"]) document.addEventListener(type, (event) => hover(named(event)));
  document.documentElement.addEventListener("pointerleave", () => hover(null));
  document.addEventListener("focusin", (event) => focus(event.target.matches("[data-row]:focus-visible") ? event.target : null));
  document.addEventListener("focusout", () => focus(null));
  document.addEventListener("click", (event) => { if (named(event) || pinned) pin(named(event)); });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { hovered = focused = pinned = null; show(); }
    if (event.target.matches(".mark") && ["Enter", " "].includes(event.key)) { event.preventDefault(); pin(event.target); }
  });
  show();
}
