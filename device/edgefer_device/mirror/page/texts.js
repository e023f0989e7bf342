// @ts-check
/** What the page says: the server chooses the language and hands over its texts. */

const AGAIN = 2_000; // ms

/** @typedef {"moods" | "reasons" | "greetings"} Table */

/** @type {Record<string, string | Record<string, string>>} */
let texts = {};

/** Fetch the texts, and put those into the page that never change. */
export async function loadTexts() {
  texts = await fetched();
  document.documentElement.lang = text("tag");
  for (const element of document.querySelectorAll("[data-text]")) {
    element.textContent = text(/** @type {HTMLElement} */ (element).dataset.text ?? "");
  }
}

/**
 * @param {string} key
 * @param {Record<string, string | number>} values  what stands in the text in {braces}
 * @returns {string}
 */
export function text(key, values = {}) {
  const found = texts[key];
  if (typeof found !== "string") return key;
  return found.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ""));
}

/**
 * A model may bring labels of its own: what has no word here is shown as it is.
 *
 * @param {Table} table
 * @param {string} key
 * @returns {string}
 */
export function wordOf(table, key) {
  const words = texts[table];
  return (typeof words === "object" ? words[key] : undefined) ?? key;
}

/**
 * How many letters wide a text is: a Chinese character is as wide as two.
 *
 * @param {string} words
 * @returns {number}
 */
export function widthOf(words) {
  let letters = 0;
  for (const letter of words) letters += (letter.codePointAt(0) ?? 0) >= 0x2e80 ? 2.1 : 1;
  return letters;
}

/** @returns {Promise<Record<string, string | Record<string, string>>>} */
async function fetched() {
  for (;;) {
    try {
      const answer = await fetch("texts.json");
      if (answer.ok) return await answer.json();
    } catch {
      // The server has just gone: it comes back.
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}
