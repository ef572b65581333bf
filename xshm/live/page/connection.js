// The Connection to the hub: one WebSocket at a time, begun anew by itself when it is lost.
//
// Always true:
// 1. `status.kind` is "connecting", "open", "lost" (another try is due), "refused", "full" or "ended", or "tokenless";
//    each change is told by `changed`.
// 2. Nothing of a WebSocket that is not the newest one reaches the page.
// 3. A lost connection is tried again after a time that doubles up to LONGEST, and at once when the network comes back,
//    the page is shown again, or its user says so. One whose token was refused is tried again if its user says so, or
//    the link changes, and not before.
// 4. A connection that has been silent for SILENCE is asked, and is lost if it does not answer in ANSWER.

import {parse} from './updates.js';

const SUBPROTOCOL = 'xshm.live.1';
const [SHORTEST, LONGEST] = [250, 5000]; // milliseconds until another try
const OPENING = 8000; // milliseconds that a WebSocket may take to open, and the hub to welcome
const [SILENCE, ANSWER] = [25_000, 10_000]; // milliseconds; the hub's own keep-alives are not seen by a script
const SAMPLES = 12; // round trips of which the shortest says how the clocks differ

// What a hub's closing of the WebSocket means, by its code.
const ENDS = {
  1001: {kind: 'ended'},
  1008: {kind: 'refused', words: 'Each start of a live view makes a new link: open the newest.'},
  1013: {kind: 'full', words: 'This live view has as many viewers as it takes.'},
};

export class Connection {
  status = {kind: 'connecting', words: ''};
  tries = 0; // since the last welcome
  ids = 0; // of the pings
  pings = new Map(); // when each was sent
  samples = []; // [round trip, hub's clock less ours], of the last pings, in milliseconds
  bytes = 0; // received
  heard = 0; // when something came last
  asked = 0; // when the hub was asked whether it is there

  // `handlers`: changed(status), message(object), update(update, arrived).
  constructor(handlers) {
    this.handlers = handlers;
    const again = () => this.tryNow();
    addEventListener('online', again);
    document.addEventListener('visibilitychange', () => !document.hidden && again());
    addEventListener('hashchange', () => this.start());
    addEventListener('pagehide', () => this.stop());
    addEventListener('pageshow', (event) => event.persisted && this.start());
    setInterval(() => this.watch(), 5000);
  }

  // Begins anew, with the token that the address has now.
  start() {
    const token = tokenOf(location.hash);
    if (this.token === token && this.socket && this.status.kind !== 'refused') return;
    this.token = token;
    this.tries = 0;
    if (token) this.open();
    else {
      this.stop();
      this.set('tokenless', 'This address lacks its token: open the whole link, with all that follows the “#”.');
    }
  }

  stop() {
    clearTimeout(this.timer);
    const {socket} = this;
    this.socket = null;
    socket?.close();
  }

  // Tries again at once, if another try is due, or its user asks for one.
  tryNow(isAsked = false) {
    const {kind} = this.status;
    if (['lost', 'full', 'ended'].includes(kind) || (isAsked && kind === 'refused')) this.open();
  }

  open() {
    this.stop();
    if (this.tries) this.set(this.status.kind, this.status.words, {isTrying: true});
    else this.set('connecting', '');
    this.pings.clear();
    this.samples = [];
    const address = new URL('/live', location.href);
    address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
    address.hash = '';
    const socket = new WebSocket(address, SUBPROTOCOL);
    socket.binaryType = 'arraybuffer';
    this.socket = socket;
    const listen = (name, hear) => {
      socket.addEventListener(name, (event) => this.socket === socket && hear(event));
    };
    listen('open', () => this.send({type: 'hello', token: this.token}));
    listen('message', ({data}) => this.receive(data));
    listen('close', ({code, reason}) => this.lose(code, reason));
    this.timer = setTimeout(() => this.lose(0, 'The hub does not answer.'), OPENING);
    this.heard = performance.now();
  }

  lose(code, reason) {
    this.stop();
    const end = ENDS[code];
    if (end?.kind === 'refused') {
      this.tries++; // another one is asked for
      this.set(end.kind, end.words, {isFinal: true});
      return;
    }
    const wait = Math.min(SHORTEST * 2 ** this.tries, LONGEST);
    this.tries++;
    const {kind} = this.status;
    if (kind === 'open') this.seen = new Date().toLocaleTimeString();
    const lost = this.seen ? `The picture was true until ${this.seen}.` : 'The hub can not be reached.';
    // What has ended stays so while nobody answers.
    const now = end?.kind ?? (kind === 'ended' ? kind : 'lost');
    this.set(now, end?.words ?? (code ? lost : reason), {retryAt: performance.now() + wait});
    this.timer = setTimeout(() => this.open(), wait);
  }

  set(kind, words, more = {}) {
    this.status = {kind, words, ...more};
    this.handlers.changed(this.status);
  }

  // Sends a message, if there is a connection.
  send(message) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  receive(data) {
    const now = performance.now();
    this.heard = now;
    if (typeof data === 'string') {
      this.bytes += data.length;
      this.read(JSON.parse(data), now);
      return;
    }
    this.bytes += data.byteLength;
    let update;
    try {
      update = parse(data);
    } catch (error) {
      this.lose(0, `The hub sends what is not understood: ${error.message}.`);
      return;
    }
    this.handlers.update(update, now);
  }

  read(message, now) {
    if (message.type === 'pong') {
      this.time(message, now);
      return;
    }
    if (message.type === 'welcome') {
      clearTimeout(this.timer);
      this.tries = 0;
      this.set('open', '');
    }
    this.handlers.message(message);
  }

  // ---- the hub's clock

  ping() {
    if (this.status.kind !== 'open') return;
    this.ids++;
    if (this.pings.size > SAMPLES) this.pings.clear();
    this.pings.set(this.ids, performance.now());
    this.send({type: 'ping', id: this.ids});
  }

  time({id, now_ns: hub}, now) {
    const sent = this.pings.get(id);
    if (sent === undefined) return;
    this.pings.delete(id);
    this.samples.push([now - sent, hub / 1e6 - (sent + now) / 2]);
    if (this.samples.length > SAMPLES) this.samples.shift();
  }

  // The best [round trip, hub's clock less ours] of the last pings, in milliseconds; undefined before the first pong.
  get clock() {
    return this.samples.reduce((best, each) => (best && best[0] <= each[0] ? best : each), undefined);
  }

  watch() {
    const silent = performance.now() - this.heard;
    if (this.status.kind !== 'open' || document.hidden || silent < SILENCE) return;
    if (silent > SILENCE + ANSWER && this.asked > this.heard) this.lose(0, 'The hub does not answer any more.');
    else if (this.asked <= this.heard) {
      this.asked = performance.now();
      this.ping();
    }
  }
}

// Returns the token of an address's fragment: it stays there, so that the page can be loaded again and its link copied;
// a browser sends a fragment nowhere.
export function tokenOf(hash) {
  const text = hash.slice(1).replace(/&screen=\d+$/, '');
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
