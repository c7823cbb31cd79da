// The curve of a setting: the results of its values, with the current one and the API's default.

const VALUE = "value";

class Tradeoff {
  constructor(onlever, level) {
    this.level = level;
    this.x = make("select", { "aria-label": "Horizontal axis", onchange: () => this.choose() });
    this.y = make("select", { "aria-label": "Vertical axis", onchange: () => this.choose() });
    this.lever = makeSelect("Setting that moves", [], onlever);
    this.chosen = null;
    this.place = make("div", { class: "place" });
    this.table = make("table", {});
    const details = make("details", {}, make("summary", {}, "Table"), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Table of the curve" }, this.table));
    this.note = make("p", { class: "note" });
    const { heading, labelled } = makeHeading("Trade-off");
    this.element = make(
      "section", { class: "panel tradeoff", ...labelled },
      heading,
      make("p", { class: "sentence" }, this.y, " against ", this.x, " as ", this.lever, " moves"),
      this.place, this.note, details,
    );
  }

  setLevers(controls, chosen) {
    const levers = controls.filter((control) => control.group === "policy" && control.kind !== "choice");
    setOptions(this.lever, levers.map((control) => [control.name, control.label]), chosen ?? "");
    this.element.hidden = levers.length === 0;
  }

  show(curve, control) {
    this.control = control;
    const measures = curve.points[0].estimates.map((each) => [each.measure, each.label]);
    const isThere = (name) => name === VALUE || measures.some(([measure]) => measure === name);
    if (this.chosen && !(isThere(this.chosen.x) && isThere(this.chosen.y))) {
      this.chosen = null; // a measure is gone, such as escapes if no release is defective
      this.isPicked = false;
    }
    if (!this.chosen || (!this.isPicked && (curve.lever !== this.curve?.lever || !this.varies(curve, this.chosen.x)))) this.chosen = this.suggest(curve);
    this.curve = curve;
    const names = [[VALUE, "its value"], ...measures];
    setOptions(this.x, names, this.chosen.x);
    setOptions(this.y, measures, this.chosen.y);
    this.draw();
  }

  // False alarms against escapes, or against other measures that depend on the setting.
  suggest(curve) {
    const measures = curve.points[0].estimates.map((each) => each.measure);
    const varying = measures.filter((name) => this.varies(curve, name));
    const order = ["false_alarm", "escaped", "blast_radius", "cost", "makespan_s"];
    const rank = (name) => (order.indexOf(name.split(" ")[0]) + order.length + 1) % (order.length + 1);
    varying.sort((one, other) => rank(one) - rank(other));
    return varying.length > 1 ? { x: varying[0], y: varying[1] } : { x: VALUE, y: varying[0] ?? measures[0] };
  }

  varies(curve, name) {
    if (name === VALUE) return true;
    const place = curve.points[0].estimates.findIndex((each) => each.measure === name);
    const known = curve.points.map((point) => point.estimates[place]?.estimate ?? null).filter((value) => value !== null);
    return known.length > 1 && Math.max(...known) - Math.min(...known) > 0.01 * Math.max(...known.map(Math.abs));
  }

  choose() {
    this.isPicked = true;
    this.chosen = { x: this.x.value, y: this.y.value };
    if (this.curve) this.draw();
  }

  name(value) {
    const step = this.control?.steps.find((each) => each.number !== null && Math.abs(each.number - value) < 1e-9 * Math.max(1, Math.abs(value)));
    return step ? step.text : formatNumber(value);
  }

  draw() {
    const { points, n, kind } = this.curve;
    const { x: xName, y: yName } = this.chosen;
    const find = (point, name) => point.estimates.find((each) => each.measure === name);
    const get = (point, name) => (name === VALUE ? { estimate: point.value, low: null, high: null, factor: 1, unit: "" } : find(point, name));
    const units = (name) => (name === VALUE ? { label: capital(this.control?.label ?? "value"), factor: 1, unit: "" } : commonUnit(points.map((point) => find(point, name))));
    const [xUnit, yUnit] = [units(xName), units(yName)];
    const width = Math.max(280, Math.min(this.place.clientWidth || 460, 720));
    const height = width < 400 ? 260 : 290;
    const box = { right: width - 16, top: 34, bottom: height - 44 };
    const scaled = (name, unit) => points.flatMap((point) => {
      const of = get(point, name);
      return [of.low, of.estimate, of.high].map((value) => (value === null ? null : value * unit.factor));
    });
    const y = makeScale(scaled(yName, yUnit), [box.bottom, box.top]);
    const formatY = (tick) => formatNumber(tick, 4);
    box.left = leaveRoom(y.ticks.map(formatY), 52);
    const x = xName === VALUE ? makeSteps(points.map((point) => point.value), [box.left, box.right]) : makeScale(scaled(xName, xUnit), [box.left, box.right], { count: 5 });
    const lever = this.control?.label ?? "";
    const here = points.find((point) => point.is_here);
    const standard = points.find((point) => point.is_default);
    const tell = (point) => `${this.name(point.value)}: ${[yName, xName].filter((name) => name !== VALUE).map((name) => `${find(point, name).label} ${find(point, name).text}`).join(", ")}`;
    const description = [here && `You are at ${tell(here)}.`, standard && `API default ${tell(standard)}.`, "All values are in the table below."].filter(Boolean).join(" ");
    const chart = makeChart(width, height, `${yUnit.label} against ${xUnit.label} as ${lever} moves`, description);
    const unit = ({ unit }) => (unit ? `, ${unit}` : "");
    drawAxes(chart, x, y, box, { x: xUnit.label + unit(xUnit), y: yUnit.label + unit(yUnit) }, {
      x: (tick) => (xName === VALUE ? this.name(tick) : formatNumber(tick, 4)), y: formatY,
    });
    const placed = points.map((point) => {
      const [a, b] = [get(point, xName), get(point, yName)];
      if (a.estimate === null || b.estimate === null) return null;
      return { point, a, b, at: [x.place(a.estimate * xUnit.factor), y.place(b.estimate * yUnit.factor)] };
    }).filter(Boolean);
    chart.append(svg("polyline", { points: placed.map(({ at }) => at.join(",")).join(" "), class: "curve" }));
    let doubt = "";
    const bar = (of, ends) => {
      if (of.low === null || of.high === null) return;
      if (!of.is_trusted) doubt = " Dashed ones, with ~ in the table, may be too narrow.";
      chart.append(svg("line", { ...ends, class: of.is_trusted ? "bar" : "bar doubtful" }));
    };
    for (const { a, b, at } of placed) {
      bar(b, { x1: at[0], x2: at[0], y1: y.place(b.low * yUnit.factor), y2: y.place(b.high * yUnit.factor) });
      bar(a, { y1: at[1], y2: at[1], x1: x.place(a.low * xUnit.factor), x2: x.place(a.high * xUnit.factor) });
    }
    if (!placed.length) chart.append(svg("text", { x: (box.left + box.right) / 2, y: (box.top + box.bottom) / 2, "text-anchor": "middle" }, "no value at any position"));
    this.drawPoints(chart, placed, box, xName === VALUE);
    this.place.replaceChildren(chart);
    this.note.textContent = `${plural(n, "rollout")} of each value; bars are ${this.level} intervals for all values together.${doubt}`;
    this.fillTable(points, kind);
  }

  drawPoints(chart, placed, box, isByValue) {
    const taken = [];
    const label = (text, [px, py], kind) => {
      const size = 6.4 * text.length;
      const spots = [[8, -9, "start"], [8, 17, "start"], [-8, -9, "end"], [-8, 17, "end"], [12, -26, "start"], [12, 34, "start"], [-12, -26, "end"]];
      for (const [dx, dy, anchor] of spots) {
        const left = anchor === "start" ? px + dx : px + dx - size;
        const [right, top, bottom] = [left + size, py + dy - 11, py + dy + 3];
        const isFree = left > box.left - 8 && right < box.right + 14 && top > box.top - 10 && bottom < box.bottom
          && !taken.some((other) => left < other.right && right > other.left && top < other.bottom && bottom > other.top);
        if (!isFree) continue;
        taken.push({ left, right, top, bottom });
        chart.append(svg("text", { x: px + dx, y: py + dy, "text-anchor": anchor, class: kind }, text));
        return;
      }
    };
    for (const { at: [px, py] } of placed) taken.push({ left: px - 4, right: px + 4, top: py - 4, bottom: py + 4 });
    const main = placed.filter(({ point }) => point.is_here || point.is_default);
    for (const each of placed.filter((other) => !main.includes(other))) {
      const dot = svg("circle", { cx: each.at[0], cy: each.at[1], r: 3.5, class: "point" });
      dot.append(svg("title", {}, this.name(each.point.value)));
      chart.append(dot);
    }
    for (const { point, at: [px, py] } of main.sort((a, b) => a.point.is_here - b.point.is_here)) {
      const text = this.name(point.value);
      if (point.is_default && !point.is_here) {
        chart.append(svg("rect", { x: px - 5, y: py - 5, width: 10, height: 10, class: "default" }));
        label(`API default: ${text}`, [px, py], "strong");
      } else {
        chart.append(svg("circle", { cx: px, cy: py, r: 10, class: "halo" }), svg("circle", { cx: px, cy: py, r: 6, class: "here" }));
        label(`you are here${point.is_default ? " (API default)" : ""}: ${text}`, [px, py], "strong");
      }
    }
    if (isByValue) return;
    // Values with equal results share a label.
    const groups = [];
    for (const { point, at } of placed) {
      const last = groups.at(-1);
      if (last && Math.hypot(last.at[0] - at[0], last.at[1] - at[1]) < 7) last.points.push(point);
      else groups.push({ at, points: [point] });
    }
    for (const { at, points } of groups) {
      const others = points.filter((point) => !point.is_here && !point.is_default);
      if (others.length) label([...new Set([others[0], others.at(-1)].map((point) => this.name(point.value)))].join(" to "), at, "");
    }
  }

  fillTable(points) {
    const heads = [capital(this.control?.label ?? "value"), ...points[0].estimates.map((each) => each.label)];
    const rows = points.map((point) => {
      const marks = [point.is_here && "you are here", point.is_default && "API default"].filter(Boolean).join(", ");
      const cells = point.estimates.map((each) => make("td", {}, each.interval ? `${each.text} (${each.is_trusted ? "" : "~"}${each.interval})` : each.text));
      return make("tr", point.is_here ? { class: "here" } : {}, make("th", { scope: "row" }, this.name(point.value) + (marks ? ` (${marks})` : "")), ...cells);
    });
    this.table.replaceChildren(
      make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...rows),
    );
  }
}

// The unit for all points of a measure: that of the largest value.
function commonUnit(estimates) {
  const known = estimates.filter((each) => each.estimate !== null);
  const largest = known.reduce((best, each) => (Math.abs(each.estimate) > Math.abs(best.estimate) ? each : best), known[0] ?? estimates[0]);
  return { label: largest.label, factor: largest.factor, unit: largest.unit };
}
