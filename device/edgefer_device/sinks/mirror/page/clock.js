// @ts-check
/** The time on the wall, and whether it is night. */

/** Minutes since midnight from which the page is dimmed, and until which. */
const night = { evening: 22 * 60, morning: 6 * 60 };
let timer = 0;

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
  time.textContent = `${hours}:${String(minutes).padStart(2, "0")}`;
  time.dateTime = `${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`;
  date.textContent = now.toLocaleDateString(document.documentElement.lang, {
    weekday: "long", day: "numeric", month: "long",
  });
  document.body.toggleAttribute("data-night", isNight(60 * hours + minutes));
  // To the next minute, and no further: after a sleep the clock must not stand.
  const wait = Math.min(60_000 - (Date.now() % 60_000) + 20, 60_000);
  timer = setTimeout(() => runClock(time, date), wait);
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
function minutesOf(time) {
  const [hours, minutes] = time.split(":").map(Number);
  return 60 * hours + minutes;
}
