// @ts-check
/** The WebSocket to the server, which comes back by itself. */

import { decode } from "./messages.js";

/** @typedef {import("./messages.js").Message} Message */

const FIRST_WAIT = 500; // ms
const LONGEST_WAIT = 10_000; // ms
/** The server ticks every second; a socket silent for this long is dead though it looks open. */
const SILENCE = 6_000; // ms

export class Connection {
  /**
   * @param {string} url  ws: or wss: address
   * @param {{ message: (message: Message) => void, lost: () => void }} heard
   */
  constructor(url, heard) {
    this.url = url;
    this.heard = heard;
    this.wait = FIRST_WAIT;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.retry = 0;
    this.watchdog = 0;
  }

  open() {
    clearTimeout(this.retry);
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onmessage = (event) => this.#hear(event.data);
    socket.onclose = () => this.#lose(socket);
    this.#watch();
  }

  /** Try at once instead of at the end of the wait, as when the network is back. */
  hurry() {
    if (!this.socket) this.open();
  }

  /**
   * Tell the server something; while there is none, nothing is told.
   *
   * @param {object} wish
   */
  tell(wish) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(wish));
  }

  /** @param {string} text */
  #hear(text) {
    this.wait = FIRST_WAIT;
    this.#watch();
    this.heard.message(decode(text));
  }

  /** @param {WebSocket} socket */
  #lose(socket) {
    if (socket !== this.socket) return; // given up before; its late farewell means nothing
    this.socket = null;
    clearTimeout(this.watchdog);
    this.heard.lost();
    // Jitter, so that many mirrors do not return to a restarted server in one instant.
    this.retry = setTimeout(() => this.open(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT);
  }

  #watch() {
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.watchdog = setTimeout(() => {
      if (!socket) return;
      socket.close();
      this.#lose(socket); // a dead network may take minutes to fire onclose
    }, SILENCE);
  }
}
