// The history of positions, for undo and redo, and the latest change.

const TOGETHER_MS = 800; // changes of one control within this time are one step
const MOST_STEPS = 200;

class Past {
  constructor(position) {
    this.now = position;
    this.before = [];
    this.after = [];
    this.last = { name: null, at: -Infinity };
    this.change = null; // names that the last step changed, and the previous position
  }

  // Adds a position; merges quick consecutive changes of one control.
  push(position, name) {
    if (samePosition(position, this.now)) return;
    const at = performance.now();
    const goesOn = name !== null && name === this.last.name && at - this.last.at < TOGETHER_MS;
    if (!goesOn || !this.before.length) this.before.push(this.now);
    if (this.before.length > MOST_STEPS) this.before.shift();
    this.last = { name, at };
    this.after = [];
    this.now = position;
    this.note(this.before.at(-1));
  }

  undo() {
    if (!this.before.length) return null;
    this.after.push(this.now);
    return this.go(this.before.pop());
  }

  redo() {
    if (!this.after.length) return null;
    this.before.push(this.now);
    return this.go(this.after.pop());
  }

  go(position) {
    this.last = { name: null, at: -Infinity };
    const before = this.now;
    this.now = position;
    this.note(before);
    return position;
  }

  note(before) {
    const names = new Set([...Object.keys(before.values), ...Object.keys(this.now.values)]);
    this.change = { before, names: [...names].filter((name) => !sameValue(before.values[name], this.now.values[name])) };
  }
}

// Completes a position set by Python: missing values are those of the file.
function withValues(position) {
  return position ? { policy: position.policy, values: { ...position.values } } : position;
}

function samePosition(a, b) {
  return keyOf(a) === keyOf(b);
}

function keyOf({ policy, values }) {
  return JSON.stringify([policy, Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))]);
}
