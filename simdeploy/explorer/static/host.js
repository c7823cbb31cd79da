// Replaces a notebook's model: messages go over a WebSocket, and the position is in the address after the #.

const token = new URL(import.meta.url).searchParams.get("token");

function readFragment() {
  const values = {};
  let policy = null;
  for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
    if (name === "policy") policy = text;
    else values[name] = readValue(text);
  }
  return policy === null ? null : { policy, values };
}

function readValue(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text; // such as 60s
  }
}

function writeValue(value) {
  if (typeof value !== "string") return JSON.stringify(value);
  try {
    JSON.parse(value);
    return JSON.stringify(value);
  } catch {
    return value;
  }
}

function writeFragment({ policy, values }) {
  const pairs = [["policy", policy], ...Object.entries(values).map(([name, value]) => [name, writeValue(value)])];
  return "#" + new URLSearchParams(pairs).toString();
}

class Model {
  constructor() {
    this.listeners = {};
    this.values = { position: readFragment(), has_link: true };
    this.unsent = [];
    this.waits_ms = 500;
    this.connect();
    addEventListener("hashchange", () => {
      this.values.position = readFragment();
      this.tell("change:position");
    });
  }

  connect() {
    const socket = new WebSocket(`ws://${location.host}/talk?token=${encodeURIComponent(token)}`);
    this.socket = socket;
    socket.addEventListener("open", () => {
      this.waits_ms = 500;
      for (const text of this.unsent.splice(0)) socket.send(text);
    });
    socket.addEventListener("message", (event) => this.tell("msg:custom", JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      this.tell("msg:custom", { type: "gone" });
      setTimeout(() => this.connect(), this.waits_ms);
      this.waits_ms = Math.min(2 * this.waits_ms, 10000);
    });
  }

  get(name) {
    return this.values[name];
  }

  set(name, value) {
    this.values[name] = value;
  }

  save_changes() {
    history.replaceState(null, "", writeFragment(this.values.position));
  }

  send({ content }) {
    if (content === "hello" || content === "bye") return; // opening and closing the connection say the same
    const text = JSON.stringify(content);
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(text);
    else this.unsent = [text];
  }

  on(name, listener) {
    (this.listeners[name] ??= []).push(listener);
  }

  off(name, listener) {
    this.listeners[name] = (this.listeners[name] ?? []).filter((other) => other !== listener);
  }

  tell(name, ...details) {
    for (const listener of this.listeners[name] ?? []) listener(...details);
  }
}

const { default: explorer } = await import(`./explorer.js?token=${encodeURIComponent(token)}`);
const el = document.getElementById("explorer");
el.replaceChildren();
explorer.render({ model: new Model(), el });
