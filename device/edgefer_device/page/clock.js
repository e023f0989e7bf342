// @ts-check
/** The time on the wall, and whether it is night. */

const EVENING = 22; // o'clock
const MORNING = 6;

/**
 * Keep the clock in `time` and the date in `date`, and `body[data-night]` while it is night.
 *
 * @param {HTMLTimeElement} time
 * @param {HTMLElement} date
 */
export function runClock(time, date) {
  const now = new Date();
  const [hours, minutes] = [now.getHours(), now.getMinutes()];
  time.textContent = `${hours}:${String(minutes).padStart(2, "0")}`;
  time.dateTime = `${String(hours).padStart(2, "0")}:${String(minutes).padStart(2, "0")}`;
  date.textContent = now.toLocaleDateString(document.documentElement.lang, {
    weekday: "long", day: "numeric", month: "long",
  });
  document.body.toggleAttribute("data-night", hours >= EVENING || hours < MORNING);
  // To the next minute, and no further: after a sleep the clock must not stand.
  setTimeout(() => runClock(time, date), Math.min(60_000 - (Date.now() % 60_000) + 20, 60_000));
}
