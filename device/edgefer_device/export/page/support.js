// @ts-check
/** What a browser must have for the page, and which of it is missing. */

/**
 * What stands in the way; each has its words in the languages' `troubles` and `advice`.
 *
 * @typedef {"insecure" | "absent" | "denied" | "busy" | "simd" | "unpack" | "network" | "lost"} Trouble
 */

/** The least module with a SIMD instruction: (module (func (result v128) i32.const 0 i8x16.splat ...)). */
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/**
 * @param {typeof globalThis} browser
 * @returns {Trouble | null}
 */
export function missingFeature(browser) {
  if (!browser.isSecureContext) return "insecure";
  if (!browser.navigator.mediaDevices?.getUserMedia) return "absent";
  if (!browser.WebAssembly?.validate(SIMD)) return "simd";
  if (!browser.DecompressionStream) return "unpack";
  return null;
}

/** Whether to open the camera without asking first: the person has said yes before. */
export async function isAllowed() {
  try {
    const name = /** @type {PermissionName} */ ("camera");
    return (await navigator.permissions.query({ name })).state === "granted";
  } catch {
    return false; // not every browser knows
  }
}
