// @ts-check
/** From the camera to the worker and back: at any time one frame is on its way, no more. */

import { Duty } from "./duty.js";

/** @typedef {import("./worker_messages.js").Answer} Answer */
/** @typedef {import("./worker_messages.js").Told} Told */

export class Reading {
  /**
   * @param {import("./camera.js").Camera} camera
   * @param {import("./contract.js").DutySettings} duty
   * @param {{ report: (report: Told) => void, failed: (words: string) => void }} heard
   */
  constructor(camera, duty, heard) {
    this.camera = camera;
    this.duty = new Duty(duty);
    this.heard = heard;
    this.busy = true; // until the worker is ready
    this.going = false;
    this.worker = new Worker("reader.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.#hear(data);
    this.worker.onerror = () => heard.failed("reader.js");
  }

  start() {
    if (this.going) return;
    this.going = true;
    this.#wait();
  }

  stop() {
    this.going = false;
  }

  /** For the camera's next frame; browsers that cannot tell of it have one for each of the screen's. */
  #wait() {
    const { video } = this.camera;
    const next = () => this.#frame();
    if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  #frame() {
    if (!this.going) return;
    if (!this.busy && this.duty.wants(performance.now() / 1000)) this.#send();
    this.#wait();
  }

  #send() {
    const frame = this.camera.frame();
    if (!frame) return;
    this.busy = true;
    this.worker.postMessage(frame, [frame.data]);
  }

  /** @param {Answer} answer */
  #hear(answer) {
    if (answer.type === "failed") return this.heard.failed(answer.words);
    this.busy = false;
    if (answer.type !== "report") return;
    this.duty.note(answer.faces > 0 || answer.doubt, answer.time);
    if (this.going) this.heard.report(answer); // else the camera was closed meanwhile
  }
}
