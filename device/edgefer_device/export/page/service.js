// @ts-check
/**
 * The service worker: keeps the page's files by their content's hash, and serves nothing else.
 *
 * Before this text stands `self.RELEASE = {...};`, written when the page was deployed: a changed
 * file changes it, and with it this program, which is how browsers notice a new version.
 */

/**
 * @typedef {object} Release
 * @property {string} policy  Content-Security-Policy
 * @property {Record<string, { hash: string, bytes: number }>} files  by path; sha256 in base64
 */

const service = /** @type {ServiceWorkerGlobalScope & { RELEASE: Release }} */ (
  /** @type {unknown} */ (self)
);
const { files, policy } = service.RELEASE;
const STORE = "edgefer";
const START = "index.html";

service.addEventListener("install", (event) => event.waitUntil(install()));
service.addEventListener("activate", (event) => event.waitUntil(takeOver()));
service.addEventListener("message", ({ data }) => {
  if (data === "take over") service.skipWaiting();
});
service.addEventListener("fetch", (event) => {
  const file = fileOf(event.request);
  if (file) event.respondWith(respond(file, event.request));
});

/** Fetch what is not kept yet; the browser itself compares the hash. */
async function install() {
  const total = Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
  let bytes = 0;
  for (const path of Object.keys(files)) {
    await keep(path);
    bytes += files[path].bytes;
    await post({ type: "kept", bytes, total });
  }
}

/** @param {string} path */
async function keep(path) {
  const { hash } = files[path];
  try {
    const store = await caches.open(STORE);
    if (await store.match(keyOf(hash))) return;
    const found = await fetch(path, { cache: "no-store", integrity: `sha256-${hash}` });
    if (!found.ok) throw new TypeError(`${path}: ${found.status}`);
    await store.put(keyOf(hash), found);
  } catch (error) {
    const full = error instanceof DOMException && error.name === "QuotaExceededError";
    await post({ type: "unkept", problem: full ? "storage" : "network" });
    throw error;
  }
}

/** Forget what only older versions had. */
async function takeOver() {
  const store = await caches.open(STORE);
  const wanted = new Set(Object.values(files).map(({ hash }) => keyOf(hash)));
  for (const { url } of await store.keys()) if (!wanted.has(url)) await store.delete(url);
  await service.clients.claim();
}

/**
 * @param {Request} request
 * @returns {Release["files"][string] | undefined}  one of the page's own files
 */
function fileOf({ method, url }) {
  const { scope } = service.registration;
  const [bare] = url.split(/[?#]/);
  if (method !== "GET" || !bare.startsWith(scope)) return undefined;
  return files[bare.slice(scope.length) || START];
}

/**
 * Workers obey the policy of their own response, and not every host sends one: so it is put here.
 *
 * @param {{ hash: string }} file
 * @param {Request} request
 */
async function respond({ hash }, request) {
  const store = await caches.open(STORE);
  const kept = await store.match(keyOf(hash));
  if (!kept) return fetch(request); // the browser has made room for others
  const headers = new Headers(kept.headers);
  headers.set("Content-Security-Policy", policy);
  // Whole: a stream that a page which has gone left unread would hold this version for ever.
  return new Response(await kept.blob(), { headers });
}

/** @param {string} hash */
function keyOf(hash) {
  return new URL(`kept/${encodeURIComponent(hash)}`, service.registration.scope).href;
}

/** @param {import("./worker_messages.js").Kept | import("./worker_messages.js").Unkept} message */
async function post(message) {
  const pages = await service.clients.matchAll({ includeUncontrolled: true });
  for (const page of pages) page.postMessage(message);
}
