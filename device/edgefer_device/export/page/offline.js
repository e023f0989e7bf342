// @ts-check
/** The page kept on the phone: its service worker, with progress and problems reported. */

/** @typedef {import("./worker_messages.js").Unkept} Unkept */

/**
 * @typedef {object} OfflineEvents
 * @property {(share: number) => void} progress  0..1
 * @property {(problem: Unkept["problem"]) => void} problem
 * @property {(take: () => void) => void} update  a new version waits; `take` changes to it
 */

/**
 * Have the page kept, and wait until it is, or cannot be.
 *
 * @param {OfflineEvents} events
 */
export async function keepOffline(events) {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  workers.onmessage = ({ data }) => {
    if (data.type === "kept") events.progress(data.bytes / data.total);
    else if (data.type === "unkept") events.problem(data.problem);
  };
  workers.startMessages();
  try {
    const registration = await workers.register("service.js");
    offerUpdates(registration, events);
    if (!registration.active && registration.installing) await settled(registration.installing);
    if (registration.active) await controlled(workers);
  } catch {
    events.problem("network"); // the page itself goes on
  }
}

/**
 * @param {ServiceWorker} worker
 * @returns {Promise<void>}  once it is active or given up
 */
function settled(worker) {
  return new Promise((resolve) => {
    worker.onstatechange = () => {
      if (worker.state === "activated" || worker.state === "redundant") resolve();
    };
  });
}

/**
 * A forced reload is never controlled: then it is not waited for.
 *
 * @param {ServiceWorkerContainer} workers
 * @returns {Promise<void>}
 */
function controlled(workers) {
  return new Promise((resolve) => {
    if (workers.controller) return resolve();
    workers.addEventListener("controllerchange", () => resolve(), { once: true });
    setTimeout(resolve, 1000);
  });
}

/**
 * @param {ServiceWorkerRegistration} registration
 * @param {OfflineEvents} events
 */
function offerUpdates(registration, events) {
  const offer = () => {
    const { waiting } = registration;
    if (!waiting || !registration.active) return;
    events.update(() => {
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload());
      waiting.postMessage("take over");
    });
  };
  const follow = () => registration.installing?.addEventListener("statechange", offer);
  offer();
  follow(); // it may have been found before this listened
  registration.onupdatefound = follow;
}
