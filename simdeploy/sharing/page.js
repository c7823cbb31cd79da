"use strict";
// Tables: a button in each heading sorts by its column; rows without a value stay last.
for (const table of document.querySelectorAll("table")) {
  const headings = [...table.querySelectorAll("thead th")];
  headings.forEach((heading, column) => {
    const button = heading.querySelector("button");
    if (!button) return;
    button.addEventListener("click", () => {
      const falling = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) if (other.querySelector("button")) other.setAttribute("aria-sort", "none");
      heading.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const numeric = table.querySelector(`tbody td:nth-child(${column + 1})[data-value]`) !== null;
      const compare = (a, b) => {
        if (!numeric) return key(a).localeCompare(key(b), "en", { numeric: true }) * (falling ? -1 : 1);
        const [x, y] = [a, b].map((row) => (row.cells[column].dataset.value === undefined ? null : +key(row)));
        if (x === null || y === null) return (x === null) - (y === null);
        return (x - y) * (falling ? -1 : 1);
      };
      table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
    });
  });
}

// Sliders: every position is a case that was computed beforehand.
const source = document.getElementById("grid");
if (source) {
  const grid = JSON.parse(source.textContent);
  const place = grid.dials.map((dial) => dial.start);
  let along = 0;
  const SVG = "http://www.w3.org/2000/svg";
  const [WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM] = [320, 176, 46, 10, 10, 40];

  const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 6 });
  const index = (at) => at.reduce((sum, value, n) => sum * grid.dials[n].values.length + value, 0);
  const moved = (n, value) => place.map((own, m) => (m === n ? value : own));
  const draw = (parent, name, attributes, text) => {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  };

  function steps(low, high) {
    const rough = (high - low) / 4, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 2.5, 5, 10].map((part) => part * power).find((each) => each >= rough);
    const ticks = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high * (1 + 1e-9); n++) ticks.push(n * step);
    return ticks;
  }

  function ends(quantity) {
    const known = quantity.cells.filter((cell) => cell[1] !== null);
    const most = Math.max(...known.map((cell) => cell[1])), least = Math.min(0, ...known.map((cell) => cell[1]));
    const highest = Math.max(...known.map((cell) => cell[3] ?? cell[1]));
    // Wide intervals of a few cases would leave no room for all others; an arrow marks where they are cut.
    const high = most > least ? Math.min(highest, least + 1.6 * (most - least)) : highest;
    // A fraction next to 0 shall look like one.
    if (quantity.unit === "%" && high < 1) return [least, 1];
    return high > least ? [least, high] : [least, least + 1];
  }

  function chart(svg, quantity) {
    svg.replaceChildren();
    const dial = grid.dials[along], n = dial.values.length;
    const [low, high] = ends(quantity);
    const x = (value) => LEFT + (n > 1 ? (value / (n - 1)) * (WIDTH - LEFT - RIGHT) : 0);
    const y = (value) => TOP + (1 - (Math.min(Math.max(value, low), high) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM);
    for (const tick of steps(low, high)) {
      draw(svg, "line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(tick), y2: y(tick), stroke: "#e3e3e3" });
      const label = Math.abs(tick) >= 1e4 ? short.format(tick) : String(+tick.toPrecision(6));
      draw(svg, "text", { x: LEFT - 5, y: y(tick) + 4, "text-anchor": "end", "font-size": 11, fill: "#555" }, label);
    }
    // The label of the position, and others at regular distances, where they have room.
    const half = (number) => (number === place[along] ? 4.2 : 3.6) * dial.values[number].length;
    const widest = 2 * Math.max(...dial.values.map((_, number) => half(number))) + 6;
    const every = Math.ceil(Math.max(n / 8, (widest * (n - 1)) / (WIDTH - LEFT - RIGHT)));
    const taken = [];
    for (const number of [place[along], ...dial.values.keys()]) {
      const at = Math.min(x(number), WIDTH - half(number)), own = !taken.length;
      if (!own && (number % every || taken.some(([other, room]) => Math.abs(other - at) < room + half(number) + 4))) continue;
      taken.push([at, half(number)]);
      draw(svg, "text", { x: at, y: HEIGHT - BOTTOM + 19, "text-anchor": "middle", "font-size": 11, "font-weight": own ? "bold" : "normal", fill: "#555" }, dial.values[number]);
    }
    draw(svg, "text", { x: (LEFT + WIDTH - RIGHT) / 2, y: HEIGHT - 5, "text-anchor": "middle", "font-size": 11, fill: "#555" }, dial.name);
    const line = (at) => dial.values.map((_, value) => quantity.cells[index(at.map((own, m) => (m === along ? value : own)))]);
    const path = (cells, part) => {
      let pen = "M", text = "";
      cells.forEach((cell, value) => {
        if (cell[part] === null) pen = "M";
        else { text += `${pen}${x(value).toFixed(1)} ${y(cell[part]).toFixed(1)}`; pen = "L"; }
      });
      return text;
    };
    // The lines at the other values of the second slider, faint.
    const other = along === 0 ? 1 : 0;
    if (grid.dials[other]?.slider)
      grid.dials[other].values.forEach((_, value) => {
        if (value !== place[other]) draw(svg, "path", { d: path(line(moved(other, value)), 1), fill: "none", stroke: "#a0a0a0", "stroke-width": 0.8 });
      });
    const cells = line(place);
    cells.forEach((cell, value) => {
      if (cell[2] === null || cell[3] === null) return;
      for (const [isCut, at, by] of [[cell[3] > high, TOP, 6], [cell[2] < low, HEIGHT - BOTTOM, -6]])
        if (isCut) draw(svg, "path", { d: `M${x(value) - 5} ${at + by}L${x(value)} ${at}L${x(value) + 5} ${at + by}`, fill: "none", stroke: "#0072b2", class: "cut" });
      draw(svg, "line", { x1: x(value), x2: x(value), y1: y(cell[2]), y2: y(cell[3]), stroke: "#0072b2", "stroke-width": 5, "stroke-opacity": cell[4] ? 0.35 : 0.15 });
    });
    draw(svg, "path", { d: path(cells, 1), fill: "none", stroke: "#0072b2", "stroke-width": 2 });
    cells.forEach((cell, value) => {
      if (cell[1] === null) return;
      const own = value === place[along];
      const dot = draw(svg, "circle", { cx: x(value), cy: y(cell[1]), r: own ? 6 : 3.5, fill: cell[4] ? (own ? "#222" : "#0072b2") : "#fff", stroke: own ? "#222" : "#0072b2", "stroke-width": 1.5 });
      draw(dot, "title", {}, `${dial.name} ${dial.values[value]}: ${cell[0]}`);
    });
  }

  function show() {
    grid.dials.forEach((dial, n) => {
      const input = document.getElementById(`dial-${n}`);
      input.value = place[n];
      if (dial.slider) {
        input.setAttribute("aria-valuetext", dial.values[place[n]]);
        document.getElementById(`value-${n}`).textContent = dial.values[place[n]];
      }
    });
    const here = index(place);
    grid.quantities.forEach((quantity, n) => {
      const text = quantity.cells[here][0];
      document.getElementById(`estimate-${n}`).textContent = text;
      const svg = document.getElementById(`chart-${n}`);
      chart(svg, quantity);
      const at = grid.dials.map((dial, m) => `${dial.name} ${dial.values[place[m]]}`).join(", ");
      svg.setAttribute("aria-label", `${quantity.title} along ${grid.dials[along].name}; at ${at}: ${text}`);
    });
    const policy = grid.policies[here];
    if (policy)
      policy.forEach(([json, notes], n) => {
        document.getElementById(`json-${n}`).textContent = json;
        document.getElementById(`notes-${n}`).textContent = notes;
      });
    const is_start = place.every((value, n) => value === grid.dials[n].start);
    document.getElementById("reset").disabled = is_start;
  }

  grid.dials.forEach((_, n) =>
    document.getElementById(`dial-${n}`).addEventListener("input", (event) => { place[n] = +event.target.value; show(); }));
  for (const radio of document.querySelectorAll("input[name=along]"))
    radio.addEventListener("change", () => { along = +radio.value; show(); });
  document.getElementById("reset").addEventListener("click", () => {
    grid.dials.forEach((dial, n) => { place[n] = dial.start; });
    show();
  });
  grid.quantities.forEach((_, n) => {
    const svg = document.getElementById(`chart-${n}`);
    svg.addEventListener("click", (event) => {
      const box = svg.getBoundingClientRect(), last = grid.dials[along].values.length - 1;
      const part = ((event.clientX - box.left) * (WIDTH / box.width) - LEFT) / (WIDTH - LEFT - RIGHT);
      place[along] = Math.min(Math.max(Math.round(part * last), 0), last);
      show();
    });
  });
  document.getElementById("dials").hidden = false;
  show();
}
