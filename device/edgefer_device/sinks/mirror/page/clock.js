// @ts-check
/** The time on the wall, and whether it is night. */

/** Minutes since midnight from which the page is dimmed, and until which. */
const night = { evening: 22 * 60, morning: 6 * 60 };
let hours12 = false;
let timer = 0;

const SHIFT = 0.9; // of the page's unit: how far it wanders, so that nothing burns in
const LAP = 96; // minutes for a whole round

/**
 * Keep the clock in `time` and the date in `date`, and `body[data-night]` while it is night.
 *
 * @param {HTMLTimeElement} time
 * @param {HTMLElement} date
 */
export function runClock(time, date) {
  clearTimeout(timer);
  const now = new Date();
  const [hours, minutes] = [now.getHours(), now.getMinutes()];
  time.textContent = timeWords(hours, minutes);
  time.dateTime = `${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`;
  date.textContent = now.toLocaleDateString(document.documentElement.lang, {
    weekday: "long", day: "numeric", month: "long",
  });
  document.body.toggleAttribute("data-night", isNight(60 * hours + minutes));
  shift(60 * hours + minutes);
  // To the next minute, and no further: after a sleep the clock must not stand.
  const wait = Math.min(60_000 - (Date.now() % 60_000) + 20, 60_000);
  timer = setTimeout(() => runClock(time, date), wait);
}

/**
 * Move the whole page by a pixel or two a minute, in a figure of eight.
 *
 * @param {number} minute  since midnight
 */
function shift(minute) {
  const turn = (2 * Math.PI * minute) / LAP;
  const { style } = document.body;
  style.setProperty("--shift-x", `${(SHIFT * Math.sin(turn)).toFixed(3)}`);
  style.setProperty("--shift-y", `${(SHIFT * Math.sin(2 * turn)).toFixed(3)}`);
}

/** @param {12 | 24} hours */
export function setClock(hours) {
  hours12 = hours === 12;
}

/**
 * @param {number} hours  0..23
 * @param {number} [minutes]
 * @returns {string}
 */
export function timeWords(hours, minutes = 0) {
  if (!hours12) return `${hours}:${String(minutes).padStart(2, "0")}`;
  return new Date(2000, 0, 1, hours, minutes).toLocaleTimeString(document.documentElement.lang, {
    hour: "numeric", minute: "2-digit", hour12: true,
  });
}

/**
 * @param {string} evening  HH:MM
 * @param {string} morning  HH:MM
 */
export function setNight(evening, morning) {
  night.evening = minutesOf(evening);
  night.morning = minutesOf(morning);
}

/** @param {number} minute  since midnight */
function isNight(minute) {
  const { evening, morning } = night;
  if (evening < morning) return minute >= evening && minute < morning;
  return evening !== morning && (minute >= evening || minute < morning);
}

/** @param {string} time  HH:MM */
export function minutesOf(time) {
  const [hours, minutes] = time.split(":").map(Number);
  return 60 * hours + minutes;
}
