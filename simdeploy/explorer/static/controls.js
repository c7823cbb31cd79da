// Sliders and choices, each with its value in the file and the API's default.

class Slider {
  constructor(control, onmove, ontype) {
    this.control = control;
    this.id = makeId("slider");
    const last = control.steps.length - 1;
    this.range = make("input", {
      type: "range", id: this.id, min: 0, max: last, step: 1, "data-name": control.name,
      oninput: () => this.move(Number(this.range.value), false, onmove),
      onchange: () => this.move(Number(this.range.value), true, onmove),
    });
    this.text = make("input", {
      type: "text", "aria-label": `${capital(control.label)}, exact value`, autocomplete: "off", spellcheck: "false", size: 8,
      onchange: () => ontype(this.control, this.text.value),
      onblur: () => {
        this.text.value = this.written; // 2 % for a typed 2
      },
    });
    this.reset = makeButton("↺", `Reset ${control.label}`, () => {
      this.range.focus(); // the button will disappear
      onmove(this.control.steps[this.control.base].values, true);
    });
    this.marks = make("div", { class: "marks", "aria-hidden": "true" });
    this.addMark(control.base, "file", "in the file");
    if (control.default !== null) this.addMark(control.default, "default", "API default");
    this.element = make(
      "div", { class: "slider", "data-group": control.group },
      make("label", { for: this.id }, capital(control.label)), this.text, this.reset, this.range, this.marks,
    );
    this.control.default !== null && this.range.setAttribute("aria-description", this.describe());
  }

  describe() {
    const { steps, base, default: standard } = this.control;
    return `${steps[base].text} in the file, ${steps[standard].text} by default of the API`;
  }

  addMark(step, kind, text) {
    const share = step / Math.max(this.control.steps.length - 1, 1);
    const mark = make("span", { class: `mark ${kind}`, title: `${this.control.steps[step].text} ${text}` });
    mark.style.left = `calc(${share} * (100% - 16px) + 8px)`;
    this.marks.append(mark);
  }

  move(step, isDone, onmove) {
    this.text.value = this.control.steps[step].text;
    onmove(this.control.steps[step].values, isDone);
  }

  // Moves to the step of the position, or to the nearest one for a typed value.
  show(values, isActive) {
    const { name, steps, base } = this.control;
    const isSet = name in values;
    const step = isSet ? steps.findIndex((each) => sameValue(each.values[name], values[name])) : base;
    const text = step >= 0 ? steps[step].text : writeTyped(this.control, values[name]);
    this.written = text;
    if (document.activeElement !== this.text) this.text.value = text;
    if (step >= 0) this.range.value = step;
    else this.range.value = nearestStep(this.control, values[name]);
    this.range.setAttribute("aria-valuetext", text);
    this.element.classList.toggle("moved", isSet && step !== base);
    this.element.classList.toggle("active", isActive);
    this.reset.hidden = !(isSet && step !== base);
  }
}

class Choice {
  constructor(control, onmove) {
    this.control = control;
    const group = makeId("choice");
    this.buttons = control.steps.map((step) => {
      const button = make("input", { type: "radio", name: group, id: makeId("choice"), onchange: () => onmove(step.values, true) });
      return { button, label: make("label", { for: button.id }, step.text) };
    });
    const all = this.buttons.flatMap(({ button, label }) => [button, label]);
    this.element = make("fieldset", { class: "choice" }, make("legend", {}, control.label), make("div", {}, ...all));
  }

  show(values) {
    const { name, steps, base } = this.control;
    const step = name in values ? steps.findIndex((each) => each.values[name] === values[name]) : base;
    this.buttons.forEach(({ button }, place) => {
      button.checked = place === step;
    });
  }
}

function sameValue(a, b) {
  return a === b || (a !== null && b !== null && String(a) === String(b));
}

function nearestStep(control, value) {
  const number = readDuration(value);
  let best = control.base;
  let distance = Infinity;
  control.steps.forEach((step, place) => {
    if (step.number === null || Math.abs(step.number - number) >= distance) return;
    distance = Math.abs(step.number - number);
    best = place;
  });
  return best;
}

// Converts 90, 90s or 1m30s to seconds; returns other numbers unchanged.
function readDuration(value) {
  if (typeof value === "number") return value;
  const units = { h: 3600, m: 60, s: 1, ms: 0.001 };
  let total = 0;
  for (const [, number, unit] of String(value).matchAll(/([\d.]+)(ms|h|m|s)/g)) total += Number(number) * units[unit];
  return total || Number(value) || 0;
}

function writeTyped(control, value) {
  if (value === null) return "default";
  if (typeof value !== "number" || control.kind === "duration") return String(value);
  return control.unit ? `${Number((value * control.factor).toPrecision(12))} ${control.unit}` : String(value);
}

// Converts typed text to a value as in a file; percentages may be typed as 2 or 2 %.
function readTyped(control, text) {
  const plain = text.trim();
  if (plain === "" || plain === "default") return null;
  const step = control.steps.find((each) => each.text === plain);
  if (step) return step.values[control.name];
  const isDuration = control.kind === "duration";
  if (isDuration && !/^\d+(\.\d+)?$/.test(plain)) return plain; // seconds, as in a file
  const number = isDuration ? Number(plain) : Number((Number(plain.replace(/\s*%$/, "")) / control.factor).toPrecision(12));
  return Number.isFinite(number) ? number : plain; // JSON has no infinite numbers
}

class Controls {
  constructor(onmove) {
    this.onmove = onmove;
    const makeGroup = (text) => {
      const { heading, labelled } = makeHeading(text);
      return make("section", { class: "group", ...labelled }, heading);
    };
    this.groups = { policy: makeGroup("Policy"), world: makeGroup("Assumptions") };
    this.key = make(
      "p", { class: "key" }, make("span", { class: "mark file", "aria-hidden": "true" }), " in the file ",
      make("span", { class: "mark default", "aria-hidden": "true" }), " API default",
    );
    this.element = make("div", { class: "controls" }, this.groups.policy, this.groups.world, this.key);
    this.shown = {};
  }

  // Rebuilds only changed controls, so that a slider isn't replaced while it is dragged.
  build(controls) {
    this.controls = controls;
    const shown = {};
    for (const group of Object.values(this.groups)) {
      for (const element of [...group.children].slice(1)) element.classList.add("old");
    }
    for (const control of controls) {
      const key = JSON.stringify(control);
      const known = this.shown[control.name];
      const made = known && known.key === key ? known : { key, view: this.makeControl(control) };
      shown[control.name] = made;
      made.view.element.classList.remove("old");
      if (!made.view.element.isConnected) this.groups[control.group].append(made.view.element);
    }
    for (const element of this.element.querySelectorAll(".old")) element.remove();
    const order = controls.map(({ name }) => shown[name].view.element);
    for (const group of Object.values(this.groups)) {
      const wanted = order.filter((element) => element.parentNode === group);
      const now = [...group.children].slice(1);
      if (wanted.some((element, place) => element !== now[place])) group.append(...wanted);
      group.hidden = wanted.length === 0;
    }
    this.shown = shown;
  }

  makeControl(control) {
    if (control.kind === "choice") return new Choice(control, (values, isDone) => this.onmove(control.name, values, isDone));
    return new Slider(
      control,
      (values, isDone) => this.onmove(control.name, values, isDone),
      (of, text) => this.onmove(of.name, { [of.name]: readTyped(of, text) }, true),
    );
  }

  find(name) {
    return (this.controls ?? []).find((control) => control.name === name);
  }

  // The label of a value beside its slider.
  nameValue(name, values) {
    const control = this.find(name);
    if (!control) return name in values ? String(values[name]) : "as in the file";
    if (!(name in values)) return control.steps[control.base].text;
    const step = control.steps.find((each) => sameValue(each.values[name], values[name]));
    return step ? step.text : writeTyped(control, values[name]);
  }

  show(values, active) {
    for (const { view } of Object.values(this.shown)) view.show(values, view.control.name === active);
  }
}
