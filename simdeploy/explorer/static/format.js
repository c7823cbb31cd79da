// Elements and texts.

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

let lastId = 0;

// A unique id, because a notebook may show several explorers.
function makeId(name) {
  lastId += 1;
  return `simdeploy-${name}-${lastId}`;
}

// A heading, and the attribute that makes it the label of its section.
function makeHeading(text) {
  const id = makeId("heading");
  return { heading: make("h2", { id }, text), labelled: { "aria-labelledby": id } };
}

function makeButton(text, label, onclick) {
  return make("button", { type: "button", "aria-label": label === text ? null : label, title: label, onclick }, text);
}

function makeSelect(label, options, onchange) {
  const select = make("select", { "aria-label": label, onchange: () => onchange(select.value) });
  for (const [value, text] of options) select.append(make("option", { value }, text));
  return select;
}

// Replaces the options only if they differ, so that an open list stays open.
function setOptions(select, options, value) {
  const now = [...select.options].map((option) => option.value + option.text).join("|");
  if (now !== options.map((option) => option.join("")).join("|")) {
    select.replaceChildren(...options.map(([key, text]) => make("option", { value: key }, text)));
  }
  select.value = value;
}

function formatNumber(value, digits = 3) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size >= 10 ** digits) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(digits)));
}

function formatPlain(value) {
  return value.toLocaleString("en-US");
}

// Formats a time as 12:05 or 1:02:05.
function formatClock(seconds) {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

function words(name) {
  return name.replaceAll("_", " ");
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function plural(n, noun) {
  return `${formatPlain(n)} ${noun}${n === 1 ? "" : "s"}`;
}

async function copyText(text, button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy failed";
  }
  setTimeout(() => {
    button.textContent = before;
  }, 1500);
}
