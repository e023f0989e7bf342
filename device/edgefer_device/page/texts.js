// @ts-check
/** What a page says, out of one JSON file of texts. */

const AGAIN = 2_000; // ms

/** @typedef {"moods" | "reasons" | "greetings" | "troubles" | "advice"} Table */

/** @type {Record<string, string | Record<string, string>>} */
let texts = {};

/**
 * Fetch the texts, and put those into the page that never change.
 *
 * @param {string} [address]  of the texts; without one the server chooses the language
 */
export async function loadTexts(address = "texts.json") {
  texts = await fetched(address);
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

/**
 * Fetch JSON, until it comes.
 *
 * @param {string} address
 * @returns {Promise<any>}
 */
export async function fetched(address) {
  for (;;) {
    try {
      const answer = await fetch(address);
      if (answer.ok) return await answer.json();
    } catch {
      // The server has just gone: it comes back.
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}
