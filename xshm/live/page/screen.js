// A Screen: the canvas of one channel, its pointer, and the words over it.
//
// Always true:
// 1. The canvas has the screen's own size, and its pixels; how large it is seen is a matter of its style alone.
// 2. Updates are decoded side by side and drawn in the order in which they came, each as a whole, as soon as it and all
//    before it are decoded: a frame of the page is not waited for, which would take 5 ms more (a small change is on the
//    canvas, and acknowledged, 1.9 ms after it was sent, and 6.9 ms by requestAnimationFrame; Chromium, 1920x1080).
// 3. An Update is acknowledged when it is on the canvas, and its pictures are closed then.
// 4. One that can not be decoded is said to be broken, changes nothing, and is acknowledged then: it is done with.

import {H264_KEY, decode} from './updates.js';

const $new = (name, className) => Object.assign(document.createElement(name), {className});

// Milliseconds that are waited before the second message about broken Updates in a row, so that a hub whose pictures
// can not be decoded here at all is not asked for them without end.
const BROKEN_AGAIN = 1000;

export class Screen {
  number = 0; // of the newest Update on the canvas
  changed = 0; // when the newest of its pixels were captured, by the hub's clock
  isDrawn = false; // something of the screen is on the canvas
  broken = 0; // Updates in a row
  scale = 1; // CSS pixels a pixel
  pointer = {x: 0, y: 0, visible: false, hot_x: 0, hot_y: 0};

  // `tell(message)` sends one to the hub; `drawn(screen, update, arrived)`, `resized(screen)` and `refused(screen, update,
  // why)` are called after these.
  constructor(channel, {tell, drawn, resized, refused}) {
    Object.assign(this, {channel, tell, drawn, resized, refused});
    this.queue = [];
    this.element = $new('div', 'screen');
    this.canvas = $new('canvas', 'pixels');
    this.canvas.setAttribute('role', 'img');
    this.context = this.canvas.getContext('2d', {alpha: false});
    this.cursor = $new('canvas', 'cursor');
    this.cursor.setAttribute('aria-hidden', 'true');
    this.element.append(this.canvas, this.cursor);
    this.setSize(channel.width, channel.height);
    this.describe(channel);
  }

  get id() {
    return this.channel.id;
  }

  get width() {
    return this.canvas.width;
  }

  get height() {
    return this.canvas.height;
  }

  // Has the Screen say what the hub says of its channel.
  describe(channel) {
    this.channel = channel;
    this.element.dataset.state = channel.state;
    this.canvas.setAttribute('aria-label', `Screen ${channel.title}`);
  }

  // ---- Updates

  // Takes an Update that came at an instant of `performance.now()`.
  take(update, arrived) {
    const entry = {update, arrived, images: null, error: null};
    this.queue.push(entry);
    const video = (part) => this.decodeFrame(part);
    Promise.allSettled(update.parts.map((part) => decode(part, video))).then((results) => {
      entry.images = results.map(({value}) => value);
      entry.error = results.find(({status}) => status === 'rejected')?.reason;
      if (entry.isDropped) close(entry.images);
      else this.drain();
    });
  }

  // Draws all that is decoded and whose turn it is.
  drain() {
    while (this.queue[0]?.images) {
      const {update, arrived, images, error} = this.queue.shift();
      if (error) this.refuse(update, error);
      else {
        this.broken = 0;
        this.draw(update, images);
        this.tell({type: 'ack', channel: this.id, number: update.number});
        this.drawn(this, update, arrived);
      }
      close(images);
    }
  }

  draw({width, height, parts, number, changed}, images) {
    const {canvas, context} = this;
    const isResized = canvas.width !== width || canvas.height !== height;
    if (isResized) this.setSize(width, height);
    parts.forEach((part, i) => {
      const image = images[i];
      const wide = image.displayWidth ?? image.width;
      const high = image.displayHeight ?? image.height;
      if (wide === part.width && high === part.height) context.drawImage(image, part.x, part.y);
      else if (part.codec >= H264_KEY && isPadded(wide, part.width) && isPadded(high, part.height)) {
        context.drawImage(image, 0, 0, part.width, part.height, part.x, part.y, part.width, part.height);
      } else context.drawImage(image, part.x, part.y, part.width, part.height);
    });
    this.number = number;
    this.changed = changed;
    this.isDrawn ||= parts.length > 0;
    if (isResized) this.resized(this);
  }

  setSize(width, height) {
    this.canvas.width = width; // which makes it black
    this.canvas.height = height;
    this.show(this.scale);
  }

  refuse(update, error) {
    const why = String(error?.message ?? error).slice(0, 500);
    const tell = () => {
      this.tell({type: 'broken', channel: this.id, why});
      this.tell({type: 'ack', channel: this.id, number: update.number});
    };
    this.video?.close();
    this.video = null;
    if (this.broken++ === 0) tell();
    else {
      clearTimeout(this.telling);
      this.telling = setTimeout(tell, BROKEN_AGAIN);
    }
    this.refused(this, update, why);
  }

  async decodeFrame(part) {
    // Every frame waits for the same promise, so that they reach the decoder in their order.
    this.loading ??= import('./video.js');
    const {VideoPictures} = await this.loading;
    this.video ??= new VideoPictures();
    return this.video.decode(part);
  }

  // Drops what has not been drawn: the connection that it came by is gone.
  drop() {
    clearTimeout(this.telling);
    for (const entry of this.queue) {
      entry.isDropped = true;
      if (entry.images) close(entry.images);
    }
    this.queue = [];
    this.video?.close();
    this.video = null;
  }

  remove() {
    this.drop();
    this.element.remove();
    this.canvas.width = this.canvas.height = 0; // its memory, now
  }

  // ---- the pointer

  point({x, y, visible}) {
    Object.assign(this.pointer, {x, y, visible});
    this.placePointer();
  }

  // Has the pointer look like a PNG in base64.
  async setCursor({hot_x: hotX, hot_y: hotY, png}) {
    this.cursors = (this.cursors ?? 0) + 1;
    const turn = this.cursors;
    const bytes = Uint8Array.from(atob(png), (digit) => digit.charCodeAt(0));
    const image = await createImageBitmap(new Blob([bytes], {type: 'image/png'}));
    if (turn === this.cursors) {
      Object.assign(this.cursor, {width: image.width, height: image.height});
      this.cursor.getContext('2d').drawImage(image, 0, 0);
      Object.assign(this.pointer, {hot_x: hotX, hot_y: hotY, isKnown: true});
      this.placePointer();
    }
    image.close();
  }

  placePointer() {
    const {x, y, visible, isKnown, hot_x: hotX, hot_y: hotY} = this.pointer;
    this.cursor.hidden = !visible || !isKnown;
    if (this.cursor.hidden) return;
    const {scale} = this;
    this.cursor.style.transform = `translate(${(x - hotX) * scale}px, ${(y - hotY) * scale}px) scale(${scale})`;
  }

  // ---- how it is seen

  // Shows the canvas at a scale, in CSS pixels a pixel.
  show(scale) {
    this.scale = scale;
    const {style} = this.element;
    style.width = `${this.width * scale}px`;
    style.height = `${this.height * scale}px`;
    const device = scale * devicePixelRatio;
    this.element.classList.toggle('crisp', Math.abs(device - Math.round(device)) < 0.001);
    this.placePointer();
  }
}

// Whether a video's frame has an edge of one pixel more, because the screen's is odd.
function isPadded(edge, expected) {
  return edge === expected || edge === expected + 1;
}

function close(images) {
  for (const image of images) image?.close();
}
