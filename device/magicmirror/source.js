/* One daemon, heard through its broker or its own WebSocket; connected again for ever. */

const { readState } = require("./view.js");
const { topicOf } = require("./settings.js");

const FIRST = 1000; // ms before the second attempt, then ever longer up to
const LONGEST = 30000; // ms
const SILENT = 10000; // ms after which a topic that says nothing is probably wrong
const GONE = 25000; // ms without a word over a WebSocket that repeats itself each ten seconds
const REFUSED = new Set([4, 5, 134, 135]); // MQTT's codes for a user or password

class Source {
  /**
   * @param {{ source: string, user?: string, password?: string, token?: string }} settings
   * @param {(heard: object) => void} tell  gets what view.js calls Heard
   * @param {{ mqtt: Function, WebSocket: Function }} library  loaded when needed
   */
  constructor(settings, tell, library = libraries) {
    this.settings = settings;
    this.url = new URL(settings.source);
    this.tell = tell;
    this.library = library;
    this.wait = FIRST;
    this.last = { link: "connecting", state: null };
    this.timers = new Set();
    this.close = () => {};
    this.command = () => {};
  }

  start() {
    this.ended = false;
    try {
      if (this.url.protocol.startsWith("mqtt")) this.openBroker();
      else this.openSocket();
    } catch (error) {
      this.lost("trouble", error.message);
    }
  }

  stop() {
    this.ended = true;
    for (const timer of this.timers) this.forget(timer);
    this.close();
  }

  /** Remember and pass on what was heard. */
  heard(link, state = this.last.state, detail = "") {
    this.last = { link, state, detail };
    this.tell(this.last);
  }

  /** The connection has ended: say why, and try again. */
  lost(link, detail) {
    if (this.ended) return;
    this.close();
    this.close = () => {};
    this.heard(link, this.last.state, detail);
    const wait = this.wait * (0.5 + Math.random() / 2);
    this.wait = Math.min(2 * this.wait, LONGEST);
    this.later(wait, () => this.start());
  }

  later(wait, action) {
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      action();
    }, wait);
    this.timers.add(timer);
    return timer;
  }

  forget(timer) {
    clearTimeout(timer);
    this.timers.delete(timer);
  }

  openBroker() {
    const { user, password } = this.settings;
    const topic = topicOf(this.url);
    const scheme = this.url.protocol;
    const port = this.url.port || (scheme === "mqtts:" ? "8883" : "1883");
    const client = this.library.mqtt(`${scheme}//${this.url.hostname}:${port}`, {
      username: user || undefined,
      password: password || undefined,
      reconnectPeriod: 0, // its own waits know no limit upwards and no jitter
      connectTimeout: 5000,
      keepalive: 15,
    });
    let ended = false;
    const end = (link, detail) => {
      if (ended) return;
      ended = true;
      this.lost(link, detail);
    };
    this.close = () => {
      ended = true;
      this.forget(silence);
      client.end(true);
    };
    this.command = (paused) => client.publish(`${topic}/privacy/set`, paused ? "ON" : "OFF");
    let [state, online] = [null, null];
    const silence = this.later(SILENT + 5000, () => {
      if (!ended && online === null) this.heard("silent", null, topic);
    });
    client.on("error", (error) =>
      end(REFUSED.has(error.code) ? "refused" : "unreachable", error.message));
    client.on("close", () => end("unreachable", this.url.host));
    client.on("connect", () => {
      this.wait = FIRST;
      client.subscribe([`${topic}/state`, `${topic}/availability`], { qos: 1 });
    });
    client.on("message", (name, payload) => {
      if (name.endsWith("/availability")) online = payload.toString() === "online";
      else if (payload.length) {
        state = readState(payload.toString());
        if (!state) return this.heard("version", null, this.url.host);
      }
      if (online === null) return; // a state that nobody stands by may be of yesterday
      this.forget(silence);
      if (!online) this.heard("offline", null);
      else if (state) this.heard("online", state);
    });
  }

  openSocket() {
    const base = `${this.url.protocol}//${this.url.host}`;
    const headers = this.settings.token ? { Authorization: `Bearer ${this.settings.token}` } : {};
    const { WebSocket } = this.library;
    const socket = new WebSocket(`${base}/api/state?version=1`, { headers, handshakeTimeout: 5000 });
    let ended = false;
    const end = (link, detail) => {
      if (ended) return;
      ended = true;
      this.forget(guard);
      this.lost(link, detail);
    };
    let guard = this.later(GONE, () => end("unreachable", this.url.host));
    this.close = () => {
      ended = true;
      this.forget(guard);
      socket.terminate();
    };
    this.command = (paused) => {
      const page = new WebSocket(`${base}/ws`, { headers, handshakeTimeout: 5000 });
      page.on("error", () => {});
      page.on("open", () => {
        page.send(JSON.stringify({ command: paused ? "pause" : "resume" }));
        setTimeout(() => page.close(), 500);
      });
    };
    socket.on("error", (error) => end("unreachable", error.message || this.url.host));
    socket.on("close", () => end("unreachable", this.url.host));
    socket.on("unexpected-response", (_, answer) => {
      const { statusCode } = answer;
      const why = { 400: "version", 401: "token", 403: "token", 404: "version" }[statusCode];
      end(why ?? "unreachable", `${this.url.host}: HTTP ${statusCode}`);
    });
    socket.on("message", (data) => {
      this.wait = FIRST;
      this.forget(guard);
      guard = this.later(GONE, () => end("unreachable", this.url.host));
      const state = readState(data.toString());
      if (state) this.heard("online", state);
      else this.heard("version", null, this.url.host);
    });
  }
}

/** Loaded on first use: whoever uses one kind of source needs only that package to work. */
const libraries = {
  get mqtt() {
    return require("mqtt").connect;
  },
  get WebSocket() {
    return require("ws").WebSocket;
  },
};

module.exports = { Source };
