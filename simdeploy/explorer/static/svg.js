// Scales, axes and shapes of charts. Colours of text and lines come from the style sheet.

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function makeChart(width, height, title, description) {
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", class: "chart" });
  chart.append(svg("title", {}, title), svg("desc", {}, description));
  chart.setAttribute("aria-label", `${title}. ${description}`);
  return chart;
}

function niceStep(span, count) {
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const digit = [1, 2, 5, 10].find((each) => each * power >= rough * 0.999);
  return digit * power;
}

// From the lowest to the highest value with a margin, starting at 0 unless that would hide the differences.
function makeScale(values, pixels, { zero = true, count = 4 } = {}) {
  const known = values.filter((value) => value !== null && Number.isFinite(value));
  let low = Math.min(...known, Infinity);
  let high = Math.max(...known, -Infinity);
  if (!known.length) [low, high] = [0, 1];
  if (zero && (low < 0.6 * high || low === high)) low = Math.min(0, low);
  if (high === low) high = low + (low ? Math.abs(low) : 1);
  const step = niceStep(high - low, count);
  low = Math.floor(low / step + 1e-9) * step;
  high = Math.ceil(high / step - 1e-9) * step;
  const place = (value) => pixels[0] + ((value - low) / (high - low)) * (pixels[1] - pixels[0]);
  const ticks = [];
  for (let tick = low; tick <= high + step / 2; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return { place, ticks, low, high };
}

// In equal steps, since values of a setting are often powers.
function makeSteps(values, pixels) {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  const room = pixels[1] - pixels[0];
  const inset = room / (2 * sorted.length);
  const place = (value) => pixels[0] + inset + (sorted.indexOf(value) * (room - 2 * inset)) / Math.max(sorted.length - 1, 1);
  return { place, ticks: sorted, low: sorted[0], high: sorted.at(-1) };
}

const CHARACTER = 6.8; // pixels of a digit in a chart, on average at most

// The left end of an axis whose labels are beside it: a fixed place, so that charts align, unless labels are longer.
function leaveRoom(texts, left) {
  return Math.max(left, Math.ceil(CHARACTER * Math.max(...texts.map((text) => text.length))) + 8);
}

function drawAxes(chart, x, y, box, names, formats) {
  const group = svg("g", { class: "axes", "aria-hidden": "true" });
  for (const tick of y.ticks) {
    const at = y.place(tick);
    group.append(svg("line", { x1: box.left, x2: box.right, y1: at, y2: at, class: "grid" }));
    group.append(svg("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, formats.y(tick)));
  }
  let free = -Infinity;
  for (const tick of x.ticks) {
    const at = x.place(tick);
    const text = formats.x(tick);
    const half = (CHARACTER / 2) * text.length;
    const middle = Math.min(at, chart.viewBox.baseVal.width - half);
    group.append(svg("line", { x1: at, x2: at, y1: box.bottom, y2: box.bottom + 4, class: "tick" }));
    if (middle - half < free) continue;
    free = middle + half + 6;
    group.append(svg("text", { x: middle, y: box.bottom + 17, "text-anchor": "middle" }, text));
  }
  group.append(svg("line", { x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom, class: "axis" }));
  group.append(svg("text", { x: box.right, y: box.bottom + 34, "text-anchor": "end", class: "name" }, names.x));
  group.append(svg("text", { x: 2, y: box.top - 12, class: "name" }, names.y));
  chart.append(group);
}
