/* MMM-Edgefer without MagicMirror: its settings, what it shows and tells, how it connects again. */

const assert = require("node:assert/strict");
const { EventEmitter } = require("node:events");
const { test } = require("node:test");
const path = require("node:path");

const load = (name) => require(path.join(process.env.MODULE, name));
const { DEFAULTS, problems } = load("settings.js");
const { START, next, compliment, readState } = load("view.js");
const { Source } = load("source.js");

const HAPPY = { mood: "happy", confidence: 0.8, reason: null, faces: 1, paused: false, problem: null };
const NOBODY = { ...HAPPY, mood: null, confidence: null, faces: 0 };
const online = (state) => ({ link: "online", state });

test("the defaults are sound", () => assert.deepEqual(problems(DEFAULTS), []));

for (const [given, wanted] of [
  [{ source: "localhost/home" }, /^source: expected mqtt:\/\/BROKER\/TOPIC or ws:/],
  [{ source: "http://mirror:8137" }, /^source: expected .*, got http:/],
  [{ source: "mqtt://localhost" }, /the topic is that of the daemon's sink/],
  [{ source: "mqtt://localhost/home/#" }, /without \+ and #/],
  [{ source: "mqtt://localhost/%zz" }, /^source: expected .*, got "mqtt:\/\/localhost\/%zz"/],
  [{ source: "mqtt://me:secret@localhost/home" }, /^source: write user and password as settings/],
  [{ sources: "mqtt://localhost/x" }, /^sources: there is no such setting; did you mean source\?/],
  [{ size: "big" }, /^size: expected 0, or pixels from 40 to 1000, got "big"/],
  [{ word: "yes" }, /^word: expected true or false, got "yes"/],
  [{ compliments: { happy: "one" } }, /^compliments: expected true, false or/],
  [{ pages: { happy: "first" } }, /^pages: expected \{ happy: 2 \}/],
]) {
  test(`refused: ${JSON.stringify(given)}`, () => {
    const [problem, ...more] = problems({ ...DEFAULTS, ...given });
    assert.match(problem, wanted);
    assert.deepEqual(more, []);
    assert.doesNotMatch(problem, /secret/);
  });
}

test("others are told of each change once", () => {
  const config = { ...DEFAULTS, profiles: { happy: "bright" }, pages: { happy: 2 } };
  const told = [];
  let view = START;
  for (const heard of [
    { link: "connecting", state: null },
    online(HAPPY),
    online({ ...HAPPY, confidence: 0.9 }),
    { link: "offline", state: null },
    online(HAPPY),
    online(NOBODY),
    online({ ...NOBODY, paused: true }),
    online({ ...HAPPY, mood: "unknown", reason: "dark" }),
  ]) {
    const step = next(view, heard, config, 0);
    view = step.view;
    told.push(step.notifications.map(([name, payload]) => [name, payload?.mood ?? payload]));
  }
  assert.deepEqual(told, [
    [],
    [["MOOD_CHANGED", "happy"], ["USER_PRESENCE", true], ["CURRENT_PROFILE", "bright"], ["PAGE_SELECT", 2]],
    [],
    [],
    [],
    [["MOOD_CHANGED", { mood: null, confidence: null, reason: null }], ["USER_PRESENCE", false]],
    [],
    [["MOOD_CHANGED", "unknown"], ["USER_PRESENCE", true]],
  ]);
});

test("a scene knows since when it is shown", () => {
  const first = next(START, { link: "offline", state: null }, DEFAULTS, 5).view;
  const second = next(first, { link: "offline", state: null }, DEFAULTS, 9).view;
  assert.deepEqual([second.scene, second.since], ["offline", 5]);
  assert.equal(next(second, { link: "token", state: null }, DEFAULTS, 12).view.scene, "trouble");
});

test("a camera without pictures is nobody's absence", () => {
  const { view, notifications } = next(START, online({ ...NOBODY, problem: "camera" }), DEFAULTS, 0);
  assert.equal(view.scene, "blind");
  assert.deepEqual(notifications, []);
});

test("compliments are the config's own, else the translation's", () => {
  assert.equal(compliment("happy", DEFAULTS, "one|two", 0.6), "two");
  assert.equal(compliment("happy", DEFAULTS, "", 0.6), "");
  assert.equal(compliment("happy", { compliments: { happy: ["mine"] } }, "one", 0), "mine");
  assert.equal(compliment("sad", { compliments: { happy: ["mine"] } }, "one", 0), "");
  assert.equal(compliment("happy", { compliments: false }, "one", 0), "");
  assert.equal(compliment(null, DEFAULTS, "one", 0), "");
});

test("a state of another version is none", () => {
  assert.deepEqual(readState(JSON.stringify(HAPPY)), HAPPY);
  for (const text of ["", "happy", "null", "[]", '{"mood": "happy"}', JSON.stringify({ ...HAPPY, version: 2 })]) {
    assert.equal(readState(text), null, text);
  }
});

/** A broker's client that a test plays. */
class FakeClient extends EventEmitter {
  constructor() {
    super();
    this.said = [];
    this.topics = [];
  }

  subscribe(topics) {
    this.topics = topics;
  }

  publish(...words) {
    this.said.push(words);
  }

  end() {}
}

function played(t, settings = {}) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const clients = [];
  const heard = [];
  const library = {
    mqtt: (url, options) => {
      const client = new FakeClient();
      clients.push(Object.assign(client, { url, options }));
      return client;
    },
  };
  const source = new Source(
    { source: "mqtt://broker/home/mirror/", ...settings },
    ({ link, state }) => heard.push([link, state?.mood ?? null]),
    library,
  );
  source.start();
  return { source, clients, heard };
}

function says(client, name, payload) {
  client.emit("message", `home/mirror/${name}`, Buffer.from(payload));
}

test("a state counts only behind a daemon that is online", (t) => {
  const { source, clients, heard } = played(t, { user: "me", password: "secret" });
  const [client] = clients;
  assert.equal(client.url, "mqtt://broker:1883");
  assert.deepEqual([client.options.username, client.options.password], ["me", "secret"]);
  client.emit("connect");
  assert.deepEqual(client.topics, ["home/mirror/state", "home/mirror/availability"]);
  says(client, "state", JSON.stringify(HAPPY));
  assert.deepEqual(heard, []);
  says(client, "availability", "offline");
  says(client, "availability", "online");
  assert.deepEqual(heard, [["offline", null], ["online", "happy"]]);
  source.command(true);
  assert.deepEqual(client.said, [["home/mirror/privacy/set", "ON"]]);
  source.stop();
});

test("a lost broker is tried ever more slowly, and at once again after a success", (t) => {
  const { source, clients, heard } = played(t);
  const waits = [];
  for (let loss = 0; loss < 7; loss++) {
    clients.at(-1).emit("close");
    const before = clients.length;
    let waited = 0;
    while (clients.length === before) {
      t.mock.timers.tick(100);
      waited += 100;
    }
    waits.push(waited);
  }
  waits.forEach((wait, index) => {
    const longest = Math.min(1000 * 2 ** index, 30000);
    assert.ok(wait >= longest / 2 && wait <= longest + 100, `${wait} of ${longest}`);
  });
  assert.ok(heard.every(([link]) => link === "unreachable"));
  clients.at(-1).emit("connect");
  clients.at(-1).emit("close");
  t.mock.timers.tick(1000);
  assert.equal(clients.length, 9);
  source.stop();
});

test("a refused password, a silent topic and an unknown state have names of their own", (t) => {
  const { source, clients, heard } = played(t);
  clients[0].emit("error", Object.assign(new Error("Not authorized"), { code: 5 }));
  assert.equal(heard.at(-1)[0], "refused");
  t.mock.timers.tick(1000);
  clients[1].emit("connect");
  t.mock.timers.tick(15000);
  assert.equal(heard.at(-1)[0], "silent");
  says(clients[1], "state", "{}");
  assert.equal(heard.at(-1)[0], "version");
  source.stop();
});

test("timers that were cleared are forgotten", (t) => {
  const { source, clients } = played(t);
  says(clients[0], "availability", "online");
  assert.equal(source.timers.size, 0);
  clients[0].emit("close");
  assert.equal(source.timers.size, 1); // the next attempt
  t.mock.timers.tick(1000);
  clients[1].emit("close");
  assert.equal(source.timers.size, 1);
  source.stop();
  assert.equal(source.timers.size, 0);
});

test("a socket that speaks keeps one timer", (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const sockets = [];
  class FakeSocket extends EventEmitter {
    constructor() {
      super();
      sockets.push(this);
    }

    terminate() {}
  }
  const heard = [];
  const source = new Source({ source: "ws://mirror:8137" }, ({ link }) => heard.push(link), { WebSocket: FakeSocket });
  source.start();
  for (let report = 0; report < 5; report++) {
    t.mock.timers.tick(20000);
    sockets[0].emit("message", Buffer.from(JSON.stringify(HAPPY)));
  }
  assert.deepEqual([sockets.length, source.timers.size], [1, 1]);
  t.mock.timers.tick(25000);
  assert.equal(heard.at(-1), "unreachable");
  source.stop();
  assert.equal(source.timers.size, 0);
});
