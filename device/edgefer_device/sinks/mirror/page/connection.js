// @ts-check
/** The WebSocket to the server, which reconnects by itself. */

import { decode } from "./messages.js";

/** @typedef {import("./messages.js").Message} Message */

const FIRST_RETRY = 500; // ms
const LONGEST_RETRY = 10_000; // ms
/** The server ticks every second; a socket silent for this long is dead though it looks open. */
const SILENCE = 6_000; // ms

export class Connection {
  /**
   * @param {string} url  ws: or wss: address
   * @param {{ onMessage: (message: Message) => void, onLost: () => void }} handlers
   */
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    this.wait = FIRST_RETRY;
    /** @type {WebSocket | null} */
    this.socket = null;
    this.retry = 0;
    this.watchdog = 0;
  }

  open() {
    clearTimeout(this.retry);
    const socket = new WebSocket(this.url);
    this.socket = socket;
    socket.onmessage = (event) => this.#receive(event.data);
    socket.onclose = () => this.#handleLoss(socket);
    this.#restartWatchdog();
  }

  /** Connect at once instead of after the wait, as when the network is back. */
  reconnectNow() {
    if (!this.socket) this.open();
  }

  /**
   * Send a command; without a connection it is dropped.
   *
   * @param {object} command
   */
  send(command) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(command));
  }

  /** @param {string} text */
  #receive(text) {
    this.wait = FIRST_RETRY;
    this.#restartWatchdog();
    this.handlers.onMessage(decode(text));
  }

  /** @param {WebSocket} socket */
  #handleLoss(socket) {
    if (socket !== this.socket) return; // given up before: its late close means nothing
    this.socket = null;
    clearTimeout(this.watchdog);
    this.handlers.onLost();
    // Jitter, so that many mirrors do not return to a restarted server in one instant.
    this.retry = setTimeout(() => this.open(), this.wait * (0.75 + Math.random() / 2));
    this.wait = Math.min(this.wait * 2, LONGEST_RETRY);
  }

  #restartWatchdog() {
    clearTimeout(this.watchdog);
    const socket = this.socket;
    this.watchdog = setTimeout(() => {
      if (!socket) return;
      socket.close();
      this.#handleLoss(socket); // a dead network may take minutes to fire onclose
    }, SILENCE);
  }
}
