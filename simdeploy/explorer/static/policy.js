// The policy as JSON in each dialect, to copy.

class Policy {
  constructor() {
    this.tabs = make("div", { class: "tabs", role: "group", "aria-label": "Dialect" });
    this.text = make("pre", { tabindex: "0", role: "region", "aria-label": "JSON" });
    this.notes = make("ul", { class: "notes" });
    this.copy = makeButton("Copy", "Copy the policy as JSON", () => copyText(this.json, this.copy));
    this.copy.disabled = true; // until there is a policy
    this.dialect = null;
    const { heading, labelled } = makeHeading("Policy as JSON");
    this.element = make(
      "section", { class: "panel policy", ...labelled },
      heading, make("div", { class: "bar" }, this.tabs, this.copy), this.text, this.notes,
    );
  }

  show(specs) {
    this.specs = specs;
    this.copy.disabled = false;
    const dialects = Object.keys(specs);
    if (!(this.dialect in specs)) [this.dialect] = dialects;
    // Unchanged buttons keep the focus.
    const now = [...this.tabs.children].map((button) => button.dataset.dialect);
    if (now.join() !== dialects.join()) {
      this.tabs.replaceChildren(...dialects.map((dialect) => make(
        "button", { type: "button", "data-dialect": dialect, onclick: () => this.choose(dialect) }, `${dialect} dialect`,
      )));
    }
    this.choose(this.dialect);
  }

  choose(dialect) {
    this.dialect = dialect;
    for (const button of this.tabs.children) button.setAttribute("aria-pressed", String(button.dataset.dialect === dialect));
    this.fill();
  }

  // A bare spec, as simdeploy takes it for --policy and the API for a deployment.
  fill() {
    const { spec, notes } = this.specs[this.dialect];
    this.json = `${JSON.stringify(spec, null, 2)}\n`;
    this.text.textContent = this.json;
    this.notes.replaceChildren(...notes.map((note) => make("li", {}, note)));
  }
}
