// @ts-check
/** From the camera to the worker and back: at any time one frame is on its way, no more. */

import { FrameRate } from "./frame_rate.js";

/** @typedef {import("./worker_messages.js").WorkerMessage} WorkerMessage */
/** @typedef {import("./worker_messages.js").AnalysisReport} AnalysisReport */

export class FrameLoop {
  /**
   * @param {import("./camera.js").Camera} camera
   * @param {import("./contract.js").FrameRateSettings} frameRate
   * @param {{ report: (report: AnalysisReport) => void, failed: (reason: string) => void }} events
   */
  constructor(camera, frameRate, events) {
    this.camera = camera;
    this.frameRate = new FrameRate(frameRate);
    this.events = events;
    this.busy = true; // until the worker is ready
    this.running = false;
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.#onMessage(data);
    this.worker.onerror = () => events.failed("worker.js");
  }

  start() {
    if (this.running) return;
    this.running = true;
    this.#wait();
  }

  stop() {
    this.running = false;
  }

  /** For the camera's next frame; browsers without that callback take one for each of the screen's. */
  #wait() {
    const { video } = this.camera;
    const next = () => this.#frame();
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  #frame() {
    if (!this.running) return;
    if (!this.busy && this.frameRate.due(performance.now() / 1000)) this.#send();
    this.#wait();
  }

  #send() {
    const frame = this.camera.frame();
    if (!frame) return;
    this.busy = true;
    this.worker.postMessage(frame, [frame.data]);
  }

  /** @param {WorkerMessage} message */
  #onMessage(message) {
    if (message.type === "failed") return this.events.failed(message.reason);
    this.busy = false;
    if (message.type !== "report") return;
    this.frameRate.onFace(message.faces > 0 || message.hasUnconfirmed, message.time);
    if (this.running) this.events.report(message); // else the camera was closed meanwhile
  }
}
