// One rollout to step through: statuses over time, the fleet at an instant, gauges with their limits, and events.

const STACK = ["running", "validating", "starting", "failed", "rolling_back", "rolled_back", "rollback_failed", "removed", "stopped", "skipped", "down", "pending"];
const PLAY_MS = 40;
const MOST_SHOWN = 4; // events

class Rollout {
  constructor(looks, kinds, onask) {
    this.looks = looks;
    this.at = null;
    this.asked = { replication: 0, kind: null };
    const ask = (changes) => {
      this.asked = { ...this.asked, ...changes };
      onask(this.asked);
    };
    this.kind = makeSelect("Kind of release", [["", "release as drawn"], ...kinds.map((kind) => [kind, `${kind} release`])], (value) => ask({ kind: value || null }));
    this.number = make("output", {}, "rollout 0");
    this.headline = make("p", { class: "headline" });
    const before = makeButton("‹", "Previous rollout", () => ask({ replication: Math.max(0, this.asked.replication - 1) }));
    const after = makeButton("›", "Next rollout", () => ask({ replication: this.asked.replication + 1 }));
    this.place = make("div", { class: "place" });
    this.slider = make("input", { type: "range", min: 0, max: 0, step: 1, value: 0, "aria-label": "Time", oninput: () => this.moveTo(Number(this.slider.value)) });
    this.play = makeButton("▶", "Play", () => this.toggle());
    const steps = make(
      "div", { class: "steps", role: "group", "aria-label": "Steps of time" },
      makeButton("⇤", "To the start", () => this.moveTo(0)), makeButton("←", "Previous event", () => this.step(-1)), this.play,
      makeButton("→", "Next event", () => this.step(1)), makeButton("⇥", "To the end", () => this.moveTo(this.film.times_s.length - 1)),
    );
    this.inTime = [this.slider, ...steps.children];
    for (const each of this.inTime) each.disabled = true; // until there is a film
    this.clock = make("output", { class: "clock" });
    this.gauges = make("dl", { class: "gauges" });
    this.map = make("div", { class: "map" });
    this.lines = make("ol", { class: "lines", "aria-label": "What happened, the latest first" });
    this.key = make("ul", { class: "legend", "aria-label": "Nodes by status at this time" });
    const { heading, labelled } = makeHeading("One rollout");
    this.element = make(
      "section", { class: "panel rollout", ...labelled },
      heading,
      make("p", { class: "sentence" }, before, " ", this.number, " ", after, " ", this.kind),
      this.headline, this.place, this.slider, make("div", { class: "bar" }, steps, this.clock), this.key,
      this.map, this.gauges, this.lines,
    );
  }

  show(film) {
    const share = this.film && this.at !== null ? this.at / (this.film.times_s.length - 1) : 1;
    this.film = film;
    for (const each of this.inTime) each.disabled = false;
    this.number.textContent = `rollout ${formatPlain(film.replication)}`;
    this.kind.value = this.asked.kind ?? "";
    this.headline.textContent = `${film.headline}${film.kind ? ` Release: ${film.kind}.` : ""}`;
    this.slider.max = film.times_s.length - 1;
    this.cells = null;
    this.draw();
    this.moveTo(Math.round(share * (film.times_s.length - 1)));
  }

  draw() {
    const { film } = this;
    const width = Math.max(280, Math.min(this.place.clientWidth || 460, 720));
    const total = STACK.reduce((sum, name) => sum + (film.statuses[name]?.[0] ?? 0), 0);
    const [height, left, right, top, bottom] = [150, leaveRoom([formatPlain(total)], 40), width - 8, 8, 126];
    this.slider.style.setProperty("--left", `${left}px`); // so that it is below the axis
    const end = film.end_s || 1;
    const x = (seconds) => left + (seconds / end) * (right - left);
    const y = (nodes) => bottom - (nodes / total) * (bottom - top);
    const chart = makeChart(width, height, "Nodes by status over time", "The list below has the numbers at the time of the slider.");
    const below = film.times_s.map(() => 0);
    for (const name of STACK.filter((each) => film.statuses[each])) {
      const counts = film.statuses[name];
      const lower = film.times_s.map((seconds, place) => [x(seconds), y(below[place])]);
      counts.forEach((count, place) => {
        below[place] += count;
      });
      const upper = film.times_s.map((seconds, place) => [x(seconds), y(below[place])]);
      const path = stepPath(upper, lower);
      const area = svg("path", { d: path, fill: this.looks.statuses[name], class: "area" });
      area.append(svg("title", {}, words(name)));
      chart.append(area);
    }
    const axes = svg("g", { class: "axes", "aria-hidden": "true" });
    for (const nodes of [0, total]) axes.append(svg("text", { x: left - 5, y: y(nodes) + (nodes ? 10 : 0), "text-anchor": "end" }, formatPlain(nodes)));
    const step = niceStep((end * film.scale.factor) || 1, 5);
    for (let tick = 0; tick <= end * film.scale.factor + 1e-9; tick += step) {
      axes.append(svg("text", { x: x(tick / film.scale.factor), y: bottom + 16, "text-anchor": tick ? "middle" : "start" }, `${formatNumber(tick)} ${tick ? "" : film.scale.unit}`.trim()));
    }
    chart.append(axes);
    this.cursor = svg("line", { y1: top - 6, y2: bottom + 3, class: "cursor" });
    this.cursorAt = x;
    chart.append(this.cursor);
    chart.addEventListener("pointerdown", (event) => {
      const box = chart.getBoundingClientRect();
      const seconds = (((event.clientX - box.left) * (width / box.width) - left) / (right - left)) * end;
      this.moveTo(this.find(seconds));
    });
    this.place.replaceChildren(chart);
    this.drawMap();
  }

  drawMap() {
    const { film } = this;
    const n = film.cells.length;
    const columns = Math.min(n, Math.max(25, Math.ceil(Math.sqrt(n * 6))));
    const size = 10;
    const rows = Math.ceil(n / columns);
    const each = film.nodes_per_cell > 1 ? `A square is ${film.nodes_per_cell} nodes` : "A square is a node";
    const chart = makeChart(columns * size, rows * size, "The fleet at this time", `${each}, in the order of the waves.`);
    chart.removeAttribute("width");
    chart.removeAttribute("height");
    this.cells = film.cells.map((_, place) => {
      const cell = svg("rect", { x: (place % columns) * size, y: Math.floor(place / columns) * size, width: size - 1, height: size - 1 });
      chart.append(cell);
      return cell;
    });
    this.map.replaceChildren(chart, make("p", { class: "note" }, `${each}, in the order of the waves.`));
  }

  // The last instant that is not after the given time.
  find(seconds) {
    const { times_s: times } = this.film;
    let place = 0;
    while (place + 1 < times.length && times[place + 1] <= seconds + 1e-9) place += 1;
    return place;
  }

  step(direction) {
    const instants = [...new Set(this.film.lines.map((line) => this.find(line.time_s)))].sort((a, b) => a - b);
    const next = direction > 0 ? instants.find((place) => place > this.at) : instants.findLast((place) => place < this.at);
    this.moveTo(next ?? (direction > 0 ? this.film.times_s.length - 1 : 0));
  }

  toggle() {
    if (this.playing) {
      this.stop();
      return;
    }
    if (this.at >= this.film.times_s.length - 1) this.moveTo(0);
    this.play.textContent = "❚❚";
    this.play.setAttribute("aria-label", "Pause");
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.playing = setInterval(() => {
      if (this.at >= this.film.times_s.length - 1) this.stop();
      else this.moveTo(this.at + 1);
    }, still ? 10 * PLAY_MS : PLAY_MS);
  }

  stop() {
    clearInterval(this.playing);
    this.playing = null;
    this.play.textContent = "▶";
    this.play.setAttribute("aria-label", "Play");
  }

  moveTo(place) {
    const { film } = this;
    this.at = place;
    const seconds = film.times_s[place];
    this.slider.value = place;
    const passed = film.lines.filter((line) => line.time_s <= seconds + 1e-9);
    this.slider.setAttribute("aria-valuetext", `${formatClock(seconds)}, ${passed.at(-1)?.text ?? ""}`);
    this.clock.textContent = `${formatClock(seconds)} of ${formatClock(film.end_s)}, ${words(film.states[place])}`;
    for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.cursorAt(seconds));
    film.cells.forEach((changes, cell) => {
      const shown = changes.findLast(([at]) => at <= place);
      const fill = this.looks.statuses[film.shown[shown[1]]];
      if (this.cells[cell].getAttribute("fill") !== fill) this.cells[cell].setAttribute("fill", fill);
    });
    const present = STACK.filter((name) => film.statuses[name]);
    this.key.replaceChildren(...present.map((name) => {
      const dot = make("span", { class: "dot", "aria-hidden": "true" });
      dot.style.background = this.looks.statuses[name];
      return make("li", {}, dot, `${words(name)} ${formatPlain(film.statuses[name][place])}`);
    }));
    this.gauges.replaceChildren(...film.gauges[place].map(([name, value, limit, isOver]) => make(
      "div", {}, make("dt", {}, name), make("dd", isOver ? { class: "over" } : {}, value, limit ? make("small", {}, ` ${limit}${isOver ? ", over" : ""}`) : ""),
    )));
    this.lines.replaceChildren(...passed.slice(-MOST_SHOWN).reverse().map((line) => make("li", {}, make("time", {}, formatClock(line.time_s)), ` ${line.text}`)));
  }
}

// The area between two step lines.
function stepPath(upper, lower) {
  const forth = upper.flatMap(([px, py], place) => (place ? [`H${px.toFixed(1)}`, `V${py.toFixed(1)}`] : [`M${px.toFixed(1)},${py.toFixed(1)}`]));
  const back = [];
  for (let place = lower.length - 1; place >= 0; place -= 1) {
    back.push(`V${lower[place][1].toFixed(1)}`, `H${lower[place][0].toFixed(1)}`);
  }
  return `${forth.join("")}${back.join("")}Z`;
}
