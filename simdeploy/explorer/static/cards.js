// The estimates at a position, each with its interval and its change since the last position.

const COLOURED = ["false_alarm", "escaped"];

// Better, worse, or neither, if the intervals can be trusted and don't overlap; otherwise unclear. Equal numbers are the same.
function compareEstimates(now, before) {
  if (!before || now.estimate === null || before.estimate === null) return null;
  if (now.text === before.text) return "same";
  const known = [now.low, now.high, before.low, before.high].every((end) => end !== null);
  if (!known || !now.is_trusted || !before.is_trusted || (now.low <= before.high && now.high >= before.low)) return "unclear";
  const rises = now.estimate > before.estimate;
  if (!now.better) return rises ? "higher" : "lower";
  return rises === (now.better === "max") ? "better" : "worse";
}

const CHANGES = {
  same: ["=", "same as before"],
  unclear: ["≈", "no clear change"],
  better: ["✓", "better"],
  worse: ["✗", "worse"],
  higher: ["↑", "higher"],
  lower: ["↓", "lower"],
};

class Cards {
  constructor(looks) {
    this.looks = looks;
    this.element = make("ul", { class: "cards", "aria-label": "Estimates at this position" });
    this.live = make("p", { class: "unseen", role: "status", "aria-live": "polite" });
  }

  show(answer, before, level) {
    const earlier = Object.fromEntries((before ?? []).map((estimate) => [estimate.measure, estimate]));
    const cards = answer.estimates.map((estimate) => this.makeCard(estimate, earlier[estimate.measure], level));
    this.element.replaceChildren(...cards);
    this.element.classList.toggle("rough", !answer.is_last);
    if (answer.is_last) {
      this.live.textContent = answer.estimates.map((each) => `${each.label} ${each.text}`).join(", ");
    }
  }

  makeCard(estimate, before, level) {
    const card = make("li", { class: "card", "data-measure": estimate.measure });
    const of = estimate.measure.split(" ")[0];
    const label = make("span", { class: "label", title: estimate.about }, estimate.label);
    if (COLOURED.includes(of)) {
      const dot = make("span", { class: "dot", "aria-hidden": "true" });
      dot.style.background = this.looks.outcomes[of];
      label.prepend(dot);
    }
    const doubt = estimate.is_trusted || estimate.low === null ? "" : "; the interval may be too narrow";
    card.append(
      label,
      make("span", { class: "value" }, estimate.text),
      make(
        "span",
        { class: "interval", title: `${level} confidence interval${doubt}` },
        make("span", { class: "unseen" }, `${level} interval `),
        estimate.interval,
        doubt ? make("abbr", { class: "doubt", title: doubt.slice(2) }, " ~") : null,
      ),
      this.drawStrip(estimate, before),
    );
    const change = compareEstimates(estimate, before);
    const line = make("span", { class: `change ${change ?? "none"}` });
    if (change) {
      const [sign, word] = CHANGES[change];
      line.append(
        make("span", { "aria-hidden": "true" }, sign), ` ${word}`,
        change === "same" ? "" : make("span", { class: "was" }, `, was ${before.text}`),
      );
    }
    card.append(line);
    return card;
  }

  // The present interval, below the previous one, on a common scale.
  drawStrip(now, before) {
    const [width, height] = [150, 16];
    const strip = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "strip", "aria-hidden": "true", preserveAspectRatio: "none" });
    const ends = [now, before].filter(Boolean).flatMap((each) => [each.low, each.high, each.estimate]);
    const known = ends.filter((end) => end !== null);
    if (!known.length) return strip;
    const low = Math.min(...known);
    const high = Math.max(...known);
    const span = Math.max(high - low, Math.abs(high) * 0.02, 1e-9);
    const place = (value) => 6 + ((value - (low + high) / 2 + span / 2) / span) * (width - 12);
    for (const [estimate, y, kind] of [[before, 5, "before"], [now, 11, "now"]]) {
      if (!estimate || estimate.estimate === null) continue;
      if (estimate.low !== null && estimate.high !== null) {
        strip.append(svg("line", { x1: place(estimate.low), x2: place(estimate.high), y1: y, y2: y, class: kind }));
      }
      strip.append(svg("circle", { cx: place(estimate.estimate), cy: y, r: kind === "now" ? 3 : 2, class: kind }));
    }
    return strip;
  }
}
