// The explorer: asks for everything about a position whenever it changes, and shows the answers as they arrive.

class Explorer {
  constructor(model, el) {
    this.model = model;
    this.view = `${Date.now()}-${Math.random()}`; // a notebook may show one widget in several cells
    this.number = 0;
    this.shownNumber = 0;
    this.lever = null;
    this.known = {}; // the best estimates so far, by position
    this.root = make("div", { class: "simdeploy-explorer" });
    el.append(this.root);
    this.heard = (answer) => {
      if (answer.view === undefined || answer.view === this.view) this.hear(answer);
    };
    this.moved = () => this.goTo(withValues(this.model.get("position")) ?? this.about?.start, null, { isOwn: false });
    this.finished = () => this.finish();
    this.pressed = (event) => this.press(event);
    model.on("msg:custom", this.heard);
    model.on("change:position", this.moved);
    this.send("hello");
  }

  send(content) {
    this.model.send({ view: this.view, content });
  }

  close() {
    this.send("bye");
    this.model.off("msg:custom", this.heard);
    this.model.off("change:position", this.moved);
    for (const type of ["pointerup", "pointercancel"]) removeEventListener(type, this.finished);
    this.keys?.removeEventListener("keydown", this.pressed);
    this.rollout?.stop();
    this.watcher?.disconnect();
  }

  hear(answer) {
    if (answer.type === "start") {
      this.begin(answer);
    } else if (answer.type === "gone") {
      this.say("Not connected. Is simdeploy explore still running?", true);
    } else if (answer.ask !== null && answer.ask < this.shownNumber) {
      return; // the answer is for an earlier position
    } else if (answer.type === "error") {
      this.showError(answer);
    } else if (answer.type === "numbers") {
      this.showNumbers(answer);
    } else if (answer.type === "controls") {
      this.offered = answer.controls;
      if (answer.ask === this.number) this.showControls();
    } else if (answer.ask === this.number && answer.type === "rollout") {
      // Controls are sent if they change: those offered for an earlier question are those of this one, too.
      if (this.offered) this.showControls();
      this.rollout.show(answer);
    } else if (answer.ask === this.number && answer.type === "curve") {
      this.tradeoff.show(answer, this.controls.find(answer.lever));
    }
  }

  begin(about) {
    if (!this.about) this.build(about);
    this.say("");
    if (about.awaits_engine) {
      this.effort.textContent = "compiling the fast engine, first estimates soon…";
      this.tradeoff.note.textContent = "The curve comes when the fast engine is compiled.";
    }
    this.goTo(this.past.now, null, { isOwn: false, asksAgain: true });
  }

  build(about) {
    this.about = about;
    this.level = `${Number((100 * about.confidence_level).toPrecision(6))} %`;
    this.past = new Past(withValues(this.model.get("position")) ?? about.start);
    this.cards = new Cards(about.looks);
    this.controls = new Controls((name, values, isDone) => this.move(name, values, isDone));
    this.tradeoff = new Tradeoff((lever) => this.chooseLever(lever), this.level);
    this.rollout = new Rollout(about.looks, about.kinds, () => this.ask());
    this.policy = new Policy();
    this.policies = makeSelect("Policy", about.policies.map((name) => [name, name]), (policy) => this.goTo({ policy, values: {} }, null));
    this.undo = makeButton("↶ Undo", "Undo", () => this.step("undo"));
    this.redo = makeButton("↷ Redo", "Redo", () => this.step("redo"));
    this.reset = makeButton("Reset", "Reset to the file's values", () => this.goTo({ policy: this.past.now.policy, values: {} }, null));
    this.link = makeButton("Copy link", "Copy a link to this position", () => copyText(location.href, this.link));
    this.link.hidden = !this.model.get("has_link");
    this.effort = make("p", { class: "effort" });
    this.change = make("p", { class: "last-change" });
    this.message = make("div", { class: "message", role: "alert" });
    this.warnings = make("ul", { class: "warnings", "aria-label": "Warnings" });
    const panels = make("div", { class: "panels" }, make("div", {}, this.tradeoff.element, this.policy.element), this.rollout.element);
    // Until there are controls, as after a link that is refused, there is nothing to show in them.
    this.columns = make("div", { class: "columns", hidden: true }, this.controls.element, panels);
    this.root.append(
      make(
        "header", {}, make("div", { class: "title" }, make("h1", { title: about.description || null }, about.scenario), make("p", {}, `${plural(about.nodes, "node")}, policy `, this.policies)),
        make("div", { class: "actions" }, this.undo, this.redo, this.reset, this.link),
      ),
      make(
        "section", { class: "summary", "aria-label": "Estimates" }, make("div", { class: "bar" }, this.change, this.effort), this.cards.element, this.cards.live,
        this.message,
      ),
      this.warnings,
      this.columns,
    );
    // A page of its own handles keys wherever the focus is.
    this.keys = this.model.get("has_link") ? document : this.root;
    this.keys.addEventListener("keydown", this.pressed);
    this.root.addEventListener("focusout", this.finished);
    for (const type of ["pointerup", "pointercancel"]) addEventListener(type, this.finished);
    this.watcher = new ResizeObserver(() => this.resize());
    this.watcher.observe(this.tradeoff.place);
  }

  resize() {
    const width = this.tradeoff.place.clientWidth;
    if (!width || width === this.width) return;
    this.width = width;
    if (this.tradeoff.curve) this.tradeoff.draw();
    if (this.rollout.film) {
      this.rollout.draw();
      this.rollout.moveTo(this.rollout.at);
    }
  }

  press(event) {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z" || event.target.type === "text") return;
    event.preventDefault();
    event.stopPropagation();
    this.step(event.shiftKey ? "redo" : "undo");
  }

  step(which) {
    const position = this.past[which]();
    if (position) this.goTo(position, null, { isStep: true });
  }

  // Changes some values. Those equal to the file's are dropped, so that a link contains only changes.
  move(name, values, isDone) {
    const { policy, values: before } = this.moving ?? this.past.now;
    const changed = { ...before };
    const control = this.controls.find(name);
    const { kind, steps, base } = control ?? { kind: null, steps: [{ values: {} }], base: 0 };
    if (kind === "choice") for (const step of steps) for (const key of Object.keys(step.values)) delete changed[key];
    // Under another strategy, sizes are not the file's, even if equal.
    const isOfFile = sameValue(steps[base].values[name], values[name]) && (kind === "choice" || !("strategy" in changed));
    if (isOfFile) delete changed[name];
    else Object.assign(changed, values);
    if (control?.group === "policy" && control.kind !== "choice") this.lever = name;
    const position = { policy, values: changed };
    if (!isDone) {
      this.moving = position;
      this.movedName = name;
      this.showPosition(position, name);
      this.ask(position);
      return;
    }
    this.goTo(position, name);
  }

  // A slider was released; if it is back where it was, nothing has changed.
  finish() {
    if (this.moving) this.goTo(this.moving, this.movedName);
  }

  goTo(position, name, { isOwn = true, isStep = false, asksAgain = false } = {}) {
    if (!position || !this.past) return;
    this.moving = null;
    if (!isStep) this.past.push(position, name);
    this.showPosition(position, name);
    if (isOwn) {
      this.model.set("position", position);
      this.model.save_changes();
    }
    if (asksAgain || keyOf(position) !== this.asked) this.ask(position);
  }

  showPosition(position, name) {
    this.policies.value = position.policy;
    this.controls.show(position.values, name);
    this.undo.disabled = !this.past.before.length;
    this.redo.disabled = !this.past.after.length;
    if (this.lever) this.tradeoff.lever.value = this.lever;
    this.reset.disabled = !Object.keys(position.values).length;
  }

  chooseLever(lever) {
    this.lever = lever;
    this.ask();
  }

  ask(position = this.moving ?? this.past.now) {
    this.number += 1;
    this.asked = keyOf(position);
    this.askedAt = performance.now();
    this.root.classList.add("asking");
    this.send({ ask: this.number, position, curve: this.lever, rollout: this.rollout.asked });
  }

  showNumbers(answer) {
    const isNew = answer.ask > this.shownNumber;
    this.shownNumber = answer.ask;
    if (isNew) performance.measure("simdeploy-answer", { start: this.askedAt, detail: { ask: answer.ask, n: answer.n } });
    const key = keyOf(answer.position);
    this.known[key] = answer.estimates;
    const before = this.past.change && this.findBefore();
    this.cards.show(answer, before && this.known[keyOf(before)], this.level);
    this.showChange();
    const more = answer.awaits_engine ? ", more in a minute: compiling…" : answer.is_last ? "" : ", refining…";
    this.effort.textContent = `${plural(answer.n, "rollout")}${more}`;
    this.root.classList.remove("asking");
    this.root.dataset.ask = answer.ask;
    this.root.dataset.rollouts = answer.n;
    this.say("");
    this.policy.show(answer.specs);
    this.warnings.replaceChildren(...answer.warnings.map((text) => make("li", {}, text)));
  }

  // The last position with numbers before this one: values that were refused never applied.
  findBefore() {
    const last = this.moving ? this.past.now : this.past.change?.before;
    if (!last || keyOf(last) in this.known) return last;
    return this.past.before.findLast((position) => keyOf(position) in this.known) ?? last;
  }

  showChange() {
    const now = this.moving ?? this.past.now;
    const before = this.findBefore();
    if (!before) {
      this.change.textContent = "Move a slider to see what changes.";
      return;
    }
    const names = new Set([...Object.keys(before.values), ...Object.keys(now.values)]);
    const changed = [...names].filter((name) => !sameValue(before.values[name], now.values[name]));
    // What comes with a choice, such as canary_count with a strategy, has no value without it.
    const choices = changed.map((name) => this.controls.find(name)).filter((control) => control?.kind === "choice");
    const comesWithOne = (name) => choices.some((choice) => choice.name !== name && choice.steps.some((step) => name in step.values));
    const changes = changed.filter((name) => !comesWithOne(name)).map((name) => {
      const label = this.controls.find(name)?.label ?? words(name);
      return `${label} ${this.controls.nameValue(name, before.values)} → ${this.controls.nameValue(name, now.values)}`;
    });
    if (before.policy !== now.policy) changes.unshift(`policy ${before.policy} → ${now.policy}`);
    this.change.textContent = changes.length ? `Last change: ${changes.join("; ")}` : "";
  }

  showError({ ask, problems }) {
    if (ask !== null) this.shownNumber = Math.max(this.shownNumber, ask);
    this.root.classList.remove("asking");
    this.say(problems.join("\n"), true);
  }

  say(text, isError = false) {
    if (!this.message) return;
    this.message.textContent = text;
    this.message.classList.toggle("error", isError);
    this.cards.element.classList.toggle("stale", isError);
  }

  showControls() {
    const controls = this.offered;
    this.offered = null;
    this.columns.hidden = false;
    this.controls.build(controls);
    const levers = controls.filter((control) => control.group === "policy" && control.kind !== "choice");
    const isThere = levers.some((control) => control.name === this.lever);
    this.showPosition(this.moving ?? this.past.now, null);
    this.showChange();
    if (!isThere) this.lever = levers[0]?.name ?? null;
    this.tradeoff.setLevers(controls, this.lever);
    if (!isThere && this.lever) this.ask();
  }
}

function render({ model, el }) {
  const explorer = new Explorer(model, el);
  return () => explorer.close();
}

export default { render };
