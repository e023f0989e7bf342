// @ts-check
/** Which language the page speaks: the person's choice, else the first of the browser's that it has. */

const KEPT = "edgefer-language";
const SPARE = "en";

/**
 * @param {Record<string, string>} spoken  names by code
 * @returns {string}
 */
export function languageOf(spoken) {
  const wanted = [chosen(), ...navigator.languages.map((tag) => tag.split("-")[0].toLowerCase())];
  return wanted.find((code) => code !== null && code in spoken) ?? SPARE;
}

/**
 * Let the person choose; the page comes anew in that language.
 *
 * @param {HTMLSelectElement} select
 * @param {Record<string, string>} spoken  names by code
 * @param {string} now
 */
export function offerLanguages(select, spoken, now) {
  for (const [code, name] of Object.entries(spoken)) {
    select.append(new Option(name, code, false, code === now));
  }
  select.onchange = () => {
    try {
      localStorage.setItem(KEPT, select.value);
    } catch {
      // No room, or not allowed: the browser's own language stays.
    }
    location.reload();
  };
}

function chosen() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}
