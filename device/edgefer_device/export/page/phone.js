// @ts-check
/** The page in a pocket: camera, analysis and display, all on the phone itself. */

import { Camera } from "./camera.js";
import { keepOffline } from "./offline.js";
import { languageOf, offerLanguages } from "./languages.js";
import { background } from "./moods.js";
import { FrameLoop } from "./frame_loop.js";
import { Ribbon } from "./ribbon.js";
import { find, plainScene, sceneOf, Stage } from "./scene.js";
import { isAllowed, missingFeature } from "./support.js";
import { fetchJson, loadTexts, text, lookUp } from "./texts.js";

/** @typedef {import("./support.js").Trouble} Trouble */
/** @typedef {import("./worker_messages.js").AnalysisReport} AnalysisReport */

const SPAN = 60; // seconds that the ribbon covers
const BEAT = 250; // ms between its moments
const REFRESH = 4; // times a second that the percentage changes, at most

const day = matchMedia("(prefers-color-scheme: light)");
background.light = day.matches;
/** @type {import("./contract.js").Contract} */
const contract = await fetchJson("contract.json");
const language = languageOf(contract.languages);
await loadTexts(`texts.${language}.json`);

const stage = new Stage();
const ribbon = new Ribbon(find("#ribbon"), (SPAN * 1000) / BEAT);
const advice = /** @type {HTMLElement} */ (find("#advice"));
const note = /** @type {HTMLElement} */ (find("#note"));
const notice = /** @type {HTMLElement} */ (find("#notice"));
const [start, pause, turn, update] = ["#start", "#pause", "#turn", "#update"].map(
  (name) => /** @type {HTMLButtonElement} */ (find(name)),
);
const camera = new Camera(find("#glass"), () => showTrouble("lost"));
/** @type {import("./camera.js").Facing} */
let facing = "user";
/** @type {"away" | "open" | "paused"} */
let state = "away";
/** @type {FrameLoop | null} */
let loop = null;
/** The newest report. @type {AnalysisReport | null} */
let seen = null;
let shownAt = 0; // ms

/** @param {Trouble} trouble */
function showTrouble(trouble) {
  close("away");
  stage.show(plainScene("trouble", lookUp("troubles", trouble)));
  showAdvice(lookUp("advice", trouble));
  offer("again", !["insecure", "simd", "unpack"].includes(trouble));
}

/** @param {string} words */
function showAdvice(words) {
  advice.textContent = words;
  advice.hidden = !words;
}

/**
 * The large button that begins.
 *
 * @param {string} word
 * @param {boolean} wanted
 */
function offer(word, wanted) {
  start.textContent = text(word);
  start.hidden = !wanted;
}

/** @param {"away" | "paused"} next */
function close(next) {
  state = next;
  seen = null;
  loop?.stop();
  camera.close();
  buttons();
}

function buttons() {
  pause.hidden = turn.hidden = state === "away";
  turn.disabled = state === "paused";
  pause.textContent = text(state === "paused" ? "resume" : "pause");
  notice.textContent = text(state === "paused" ? "notice_paused" : "notice");
}

async function begin() {
  offer("start", false);
  showAdvice("");
  stage.show(plainScene("waiting", text("opening"), text("waiting_detail")));
  loop ??= createLoop();
  const trouble = await camera.open(facing);
  if (trouble) return showTrouble(trouble);
  if (!camera.stream) return; // closed again meanwhile
  state = "open";
  buttons();
  loop.start();
  keepAwake();
}

/** The loop with its worker; made once, and anew after it failed. */
function createLoop() {
  return new FrameLoop(camera, contract.frame_rate, { report: onReport, failed: () => {
    showTrouble("network");
    loop = null;
  } });
}

/** A phone that is only looked at is not touched, and would go dark. */
async function keepAwake() {
  try {
    await navigator.wakeLock?.request("screen");
  } catch {
    // Its battery is low: then it may.
  }
}

/** @param {AnalysisReport} report */
function onReport(report) {
  if (state !== "open") return;
  // For whoever builds on the page, and for its tests.
  document.dispatchEvent(new CustomEvent("report", { detail: report }));
  const changed = report.mood !== seen?.mood || report.reason !== seen?.reason;
  seen = report;
  if (!changed && report.time * 1000 - shownAt < 1000 / REFRESH) return;
  shownAt = report.time * 1000;
  stage.show(report.mood === null ? plainScene("nobody", text("nobody")) : sceneOf({
    ...report, reason: report.reason ?? undefined,
  }));
}

function pauseAnalysis() {
  close("paused");
  stage.show(plainScene("paused", text("paused"), text("paused_detail")));
}

function tick() {
  const now = performance.now() / 1000;
  ribbon.advance(now, seen ? [now, seen.mood, seen.mood === "unknown" ? 0.2 : seen.confidence] : null);
}

function hide() {
  // Out of sight the camera is closed: whoever looks at another page is not read.
  if (document.hidden && state === "open") close("away");
  else if (!document.hidden && state === "away" && start.hidden && loop) begin();
}

async function open() {
  const lack = missingFeature(globalThis);
  ribbon.start(performance.now() / 1000, SPAN, []);
  if (lack) return showTrouble(lack);
  stage.show(plainScene("loading", text("loading")));
  await keepOffline({
    progress: (share) => {
      stage.show(plainScene("loading", text("loading"), `${Math.round(100 * share)} %`));
    },
    problem: (problem) => { note.textContent = text(`unkept_${problem}`); },
    update: (take) => { update.hidden = false; update.onclick = take; },
  });
  loop = createLoop();
  if (await isAllowed()) return begin();
  stage.show(plainScene("welcome", text("welcome")));
  showAdvice(text("welcome_detail"));
  offer("start", true);
}

offerLanguages(find("#language"), contract.languages, language);
buttons();
start.onclick = () => begin();
pause.onclick = () => (state === "paused" ? begin() : pauseAnalysis());
turn.onclick = () => {
  facing = facing === "user" ? "environment" : "user";
  begin();
};
document.addEventListener("visibilitychange", hide);
day.addEventListener("change", () => { background.light = day.matches; });
setInterval(tick, BEAT);
await open();
