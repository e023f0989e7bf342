// @ts-check
/** The camera: opened, closed, and its frames as bytes. No frame leaves the page's memory. */

/** @typedef {"user" | "environment"} Facing  the front camera, or the back one */
/** @typedef {import("./support.js").Trouble} Trouble */
/** @typedef {import("./worker_messages.js").Frame} Frame */

const SIZE = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

/** Why a camera does not open, by the error's name (W3C Media Capture, getUserMedia). */
const TROUBLES = /** @type {Record<string, Trouble>} */ ({
  NotAllowedError: "denied",
  SecurityError: "denied",
  NotFoundError: "absent",
  OverconstrainedError: "absent",
  NotReadableError: "busy",
  AbortError: "busy",
});

export class Camera {
  /**
   * @param {HTMLVideoElement} video  that shows it
   * @param {() => void} lost  called when it ends by itself
   */
  constructor(video, lost) {
    this.video = video;
    this.lost = lost;
    const canvas = document.createElement("canvas");
    this.canvas = canvas;
    this.pen = /** @type {CanvasRenderingContext2D} */ (
      canvas.getContext("2d", { willReadFrequently: true })
    );
    /** @type {MediaStream | null} */
    this.stream = null;
    this.turn = 0; // the opening that counts: an older one that comes late is closed again
  }

  /**
   * @param {Facing} facing
   * @returns {Promise<Trouble | null>}  why it did not open; null too when it was closed meanwhile
   */
  async open(facing) {
    this.close();
    const turn = this.turn;
    try {
      const stream = await navigator.mediaDevices.getUserMedia({
        audio: false, video: { ...SIZE, facingMode: facing },
      });
      if (turn !== this.turn) return stop(stream);
      await this.#show(stream, facing);
      return null;
    } catch (error) {
      if (turn !== this.turn) return null; // `close` itself breaks what an opening waits for
      return TROUBLES[error instanceof DOMException ? error.name : ""] ?? "busy";
    }
  }

  /**
   * @param {MediaStream} stream
   * @param {Facing} facing
   */
  async #show(stream, facing) {
    this.stream = stream;
    const [track] = stream.getVideoTracks();
    track.onended = () => this.lost();
    this.video.srcObject = stream;
    // A mirror shows left on the left; a camera that looks away does not.
    this.video.toggleAttribute("data-mirrored", (track.getSettings().facingMode ?? facing) === "user");
    await this.video.play();
  }

  close() {
    this.turn++;
    if (this.stream) stop(this.stream);
    this.stream = null;
    this.video.srcObject = null;
  }

  /**
   * The frame of now; null before the first.
   *
   * @returns {Frame | null}
   */
  frame() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.stream || !width) return null;
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    this.pen.drawImage(this.video, 0, 0);
    const { data } = this.pen.getImageData(0, 0, width, height);
    return { data: data.buffer, width, height, time: performance.now() / 1000 };
  }
}

/**
 * @param {MediaStream} stream
 * @returns {null}
 */
function stop(stream) {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
  return null;
}
