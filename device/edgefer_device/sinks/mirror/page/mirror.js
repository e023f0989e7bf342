// @ts-check
/** The mirror page: shows what the server sends. */

import { runClock, setClock, setNight } from "./clock.js";
import { Connection } from "./connection.js";
import { Enrolling } from "./enrolling.js";
import { greeting } from "./greeting.js";
import { background, moodName } from "./moods.js";
import { Presence } from "./presence.js";
import { Ribbon } from "./ribbon.js";
import { find, plainScene, sceneOf, Stage } from "./scene.js";
import { loadTexts, lookUp, text, widthOf } from "./texts.js";
import { Week } from "./week.js";

/** @typedef {import("./messages.js").Message} Message */
/** @typedef {import("./messages.js").Hello} Hello */
/** @typedef {import("./messages.js").Line} Line */
/** @typedef {import("./messages.js").Settings} Settings */
/** @typedef {import("./messages.js").View} View */
/** @typedef {import("./scene.js").Scene} Scene */

/** Ticks (seconds) without a report until the page shows that. */
const STALE_TICKS = 5;

const LONG = 70; // letters of a content line, from which it is set smaller

const stage = new Stage();
const ribbon = new Ribbon(find("#ribbon"));
const week = new Week(find("#week"), find("#open-week"));
const content = /** @type {HTMLElement} */ (find("#content"));
const notice = /** @type {HTMLElement} */ (find("#notice"));
const presence = new Presence({
  onArrive: () => { greetingWords.textContent = greets ? greeting(greeted) : ""; },
  onRest: (resting) => {
    stage.halo.rest(resting);
    ribbon.rest(resting);
  },
});
const greetingWords = /** @type {HTMLElement} */ (find("#greeting"));
const trouble = /** @type {HTMLElement} */ (find("#trouble"));
const largeNotice = /** @type {HTMLElement} */ (find("#large-notice"));
const pauseButton = /** @type {HTMLButtonElement} */ (find("#pause"));
const enrollButton = /** @type {HTMLButtonElement} */ (find("#enroll"));
const enrolling = new Enrolling(enrollButton, {
  send: (command) => connection.send({ command }),
  onChange: () => show(scene),
});
let ticksWithoutReport = 0;
/** @type {View | null} */
let lastView = null;
let paused = false;
let greets = false;
let greeted = ""; // by name
let keptDays = 0;
/** The language that the page was loaded in. @type {string | null} */
let language = null;

await loadTexts();

const CONNECTING = plainScene("connecting", "", text("connecting"));
const LOST = plainScene("lost", text("lost"), `${text("lost_detail")} ${text("lost_advice")}`);
const WAITING = plainScene(
  "waiting", text("waiting"), `${text("waiting_detail")} ${text("waiting_advice")}`,
);
const PAUSED = plainScene("paused", text("paused"), text("paused_detail"));
const NOBODY = plainScene("nobody", text("nobody"));

/** @param {View} view */
function sceneOfView(view) {
  return view.mood === null ? NOBODY : sceneOf(view);
}

/** What there is to see; an enrollment stands before it. */
let scene = CONNECTING;

/** @param {Scene} next */
function show(next) {
  scene = next;
  stage.show(enrolling.scene ?? scene);
  const somebody = scene.state === "mood" || scene.state === "unsure";
  presence.update(somebody, scene.state === "nobody");
  if (somebody) week.glanceWhenDue();
}

/**
 * Show the line of a content rule.
 *
 * @param {Line | null} line
 */
function showLine(line) {
  const words = line ? wordsOf(line) : "";
  const letters = widthOf(words);
  content.hidden = !line;
  document.body.toggleAttribute("data-content", Boolean(line));
  content.toggleAttribute("data-long", letters > LONG);
  content.style.setProperty("--line", String(letters));
  content.textContent = line?.link ? "" : words;
  if (!line?.link) return;
  const link = document.createElement("a");
  link.textContent = words;
  link.href = line.link;
  link.rel = "noopener noreferrer";
  link.target = "_blank"; // the mirror stays where it is
  content.append(link);
}

/**
 * Say which brokers or servers do not answer.
 *
 * @param {string[]} parts
 */
function showTrouble(parts) {
  trouble.hidden = !parts.length;
  trouble.textContent = text("trouble", { parts: parts.join(", ") });
}

/** @param {Line} line */
function wordsOf({ text: words, mood, entry }) {
  if (entry) return lookUp("library", entry);
  return mood ? words.replaceAll("{mood}", moodName(mood)) : words;
}

/** Say what is read and what is kept: whoever stands here must know. */
function updateNotice() {
  const kept = keptDays === 1 ? text("kept_day") : text("kept_days", { days: keptDays });
  const promise = text(paused ? "notice_paused" : "notice");
  notice.textContent = largeNotice.textContent = keptDays ? `${promise} ${kept}` : promise;
}

/** @param {boolean} now */
function setPaused(now) {
  paused = now;
  pauseButton.hidden = false;
  pauseButton.textContent = text(paused ? "resume" : "pause");
  updateNotice();
}

function togglePause() {
  connection.send({ command: paused ? "resume" : "pause" });
}

/** @param {Settings} settings */
function configure(settings) {
  const { dataset, style } = document.documentElement;
  dataset.theme = settings.theme;
  style.setProperty("--text", String(settings.text_size));
  background.light = settings.theme === "light";
  stage.halo.setMotion(settings.motion);
  dataset.motion = settings.motion ? "" : "still";
  setNight(settings.evening, settings.morning);
  setClock(settings.clock);
  runClock(find("#clock"), find("#date"));
  week.at = settings.week_at;
  enrollButton.hidden = !settings.enroll;
  greets = settings.greeting;
  greeted = settings.name;
}

/** @param {Hello} hello */
function onHello(hello) {
  const { settings } = hello;
  if (language !== null && language !== settings.language) return location.reload();
  language = settings.language;
  ticksWithoutReport = 0;
  lastView = hello.view;
  keptDays = hello.kept_days;
  week.setAvailable(keptDays > 0);
  configure(settings);
  ribbon.start(hello.now, hello.span, hello.history);
  setPaused(hello.paused);
  show(paused ? PAUSED : hello.view ? sceneOfView(hello.view) : WAITING);
  showLine(hello.content.line);
  showTrouble(hello.trouble.parts);
  enrolling.update(hello.enrollment?.look ? hello.enrollment : null);
}

/** @param {Message} message */
function onMessage(message) {
  switch (message.type) {
    case "hello":
      onHello(message);
      break;
    case "paused":
      ticksWithoutReport = 0;
      lastView = null;
      setPaused(message.paused);
      show(paused ? PAUSED : WAITING);
      break;
    case "view":
      lastView = message;
      if (!paused) show(sceneOfView(message));
      break;
    case "week":
      week.glance();
      break;
    case "trouble":
      showTrouble(message.parts);
      break;
    case "enrollment":
      enrolling.update(message);
      break;
    case "content":
      showLine(message.line);
      break;
    case "tick":
      // A slow machine may report again what it reported before: it is not sent twice.
      if (message.moment && ticksWithoutReport >= STALE_TICKS && lastView && !paused) {
        show(sceneOfView(lastView));
      }
      ticksWithoutReport = message.moment ? 0 : ticksWithoutReport + 1;
      ribbon.advance(message.now, message.moment);
      if (ticksWithoutReport === STALE_TICKS && !paused) show(WAITING);
      break;
  }
}

const scheme = location.protocol === "https:" ? "wss:" : "ws:";
const connection = new Connection(`${scheme}//${location.host}/ws`, {
  onMessage,
  onLost: () => {
    pauseButton.hidden = enrollButton.hidden = true; // nobody would receive it
    enrolling.update(null);
    show(LOST);
  },
});

show(CONNECTING);
runClock(find("#clock"), find("#date"));
connection.open();
addEventListener("online", () => connection.reconnectNow());
pauseButton.onclick = togglePause;
addEventListener("keydown", (event) => {
  const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.repeat;
  if (event.key.toLowerCase() === "p" && plain && !pauseButton.hidden) togglePause();
});
