// The viewer of a trace: reads the records that are in the page, and shows the picture at any instant.
//
// Always true:
// 1. A time is a whole number of nanoseconds since the trace's start, as in its records; people see seconds.
// 2. The canvas of a Film holds the exact pixels of one picture of the trace, never half of a change.
// 3. What is traced comes into the page as text or as pixels, never as markup.
// 4. Nothing is loaded, and no work of more than a few milliseconds is done without letting the page breathe.
//
// For scripts there is `xshm`: `await xshm.ready`, `await xshm.seek(seconds)`, `xshm.seconds`, `xshm.canvas`.
(() => {
  'use strict';

  const SECOND = 1e9; // nanoseconds
  const MIB = 1048576; // bytes
  const $ = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const seconds = (time, digits = 3) => `${(time / SECOND).toFixed(digits)} s`;
  const count = (number, one, many = `${one}s`) => `${number.toLocaleString('en')} ${number === 1 ? one : many}`;
  const place = ({x, y, width, height}) => `${width}x${height}+${x}+${y}`;

  // Returns a new element with a class, and a text or other elements in it.
  function element(name, className, ...content) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...content);
    return made;
  }

  // Returns how many values of a rising list are at most `limit`.
  function upTo(list, limit, valueOf = (item) => item) {
    let low = 0;
    let high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (valueOf(list[middle]) <= limit) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  const timeOf = (item) => item.at;

  // Lets the page answer its user, where long work has had its share of time.
  let breathed = performance.now();
  async function breathe() {
    if (performance.now() - breathed < 20) return;
    await new Promise((resolve) => {
      setTimeout(resolve);
    });
    breathed = performance.now();
  }

  // ---- The stream: base64 to bytes, bytes to records ------------------------------------------------------------

  // Returns the bytes of lines of base64, each of which is whole by itself; up to the first that is damaged.
  async function bytesOf(text, progress) {
    const bytes = new Uint8Array(Math.ceil((text.length * 3) / 4));
    let length = 0;
    for (let from = 0, to; from < text.length; from = to) {
      to = text.indexOf('\n', from + MIB);
      if (to < 0) to = text.length;
      try {
        length += put(bytes, length, text.slice(from, to));
      } catch {
        break;
      }
      progress(to / text.length);
      await breathe();
    }
    return bytes.subarray(0, length);
  }

  function put(bytes, at, piece) {
    if (bytes.setFromBase64) return bytes.subarray(at).setFromBase64(piece).written;
    const plain = atob(piece);
    for (let i = 0; i < plain.length; i++) bytes[at + i] = plain.charCodeAt(i);
    return plain.length;
  }

  // Tables for CRC-32 of four bytes at a time.
  const CRC = Array.from({length: 4}, () => new Uint32Array(256));
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    CRC[0][byte] = crc;
  }
  for (let table = 1; table < 4; table++) {
    for (let byte = 0; byte < 256; byte++) {
      const before = CRC[table - 1][byte];
      CRC[table][byte] = (before >>> 8) ^ CRC[0][before & 255];
    }
  }

  function checksum(bytes, from, to) {
    const [t0, t1, t2, t3] = CRC;
    let crc = -1;
    let i = from;
    for (; i + 4 <= to; i += 4) {
      crc ^= bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24);
      crc = t3[crc & 255] ^ t2[(crc >>> 8) & 255] ^ t1[(crc >>> 16) & 255] ^ t0[crc >>> 24];
    }
    for (; i < to; i++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[i]) & 255];
    return ~crc >>> 0;
  }

  const MAGIC = 'XSHMTRACE1\n';
  const HEADER = 20; // bytes before each record's payload
  const [HEAD, KEY, CHANGE, EVENT] = Array.from('HKCJ', (letter) => letter.charCodeAt(0));

  const areTexts = (...values) => values.every((value) => value === undefined || typeof value === 'string');
  const areNumbers = (...values) => values.every(Number.isFinite);
  const isWindow = (it) => Array.isArray(it) && it.length === 6 && typeof it[1] === 'string' && areNumbers(...it.slice(2));

  // What an event of a type has. A file may be anybody's: others are skipped, as are those of unknown types.
  const UNDERSTOOD = {
    windows: ({windows}) => Array.isArray(windows) && windows.every(isWindow),
    pointer: ({x, y}) => areNumbers(x, y),
    rate: ({fps, why}) => areNumbers(fps) && areTexts(why),
    mark: ({title, text, file}) => areTexts(title, text, file),
    log: ({text, source, level}) => areTexts(text, source, level),
    input: ({action, keys, text}) => areTexts(action, keys, text),
    gap: ({why}) => areTexts(why),
  };
  [UNDERSTOOD.failure, UNDERSTOOD.end] = [UNDERSTOOD.mark, UNDERSTOOD.gap];

  // Returns in words what an end says that had to go.
  function leftOut({dropped = 0, lines_dropped: lines = 0} = {}) {
    return [dropped && count(dropped, 'older picture'), lines && count(lines, 'line')].filter(Boolean).join(', ');
  }

  // All that a stream tells, indexed. Pictures are numbered from 0; `patches` are their rectangles, in one list.
  class Trace {
    head = {};
    bytes;
    patches = []; // {x, y, width, height, from, to: where its PNG is in `bytes`}
    at = []; // of each picture: its time,
    key = []; // the key picture that it is built on,
    first = [0]; // its first patch, and one more at the end
    size = []; // its bytes,
    area = [0]; // the pixels that all before it have painted,
    bytesBefore = [0]; // and their bytes
    events = []; // all of them in order: {at, type, …}
    of = {mark: [], failure: [], log: [], windows: [], pointer: [], input: [], rate: [], gap: [], end: []};
    isWhole = false; // whether no record was cut off or damaged

    static async read(bytes, progress) {
      const trace = new Trace();
      trace.bytes = bytes;
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      if (new TextDecoder('latin1').decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
        throw new Error('There is no trace in this page that this viewer knows.');
      }
      let at = MAGIC.length;
      while (at + HEADER <= bytes.length) {
        const from = at + HEADER;
        const to = from + view.getUint32(at + 4, true);
        if (to > bytes.length || checksum(bytes, from, to) !== view.getUint32(at + 16, true)) break;
        trace.add(bytes[at], Number(view.getBigInt64(at + 8, true)), view, from, to);
        at = to;
        progress(at / bytes.length);
        await breathe();
      }
      trace.isWhole = at === bytes.length;
      trace.finish();
      return trace;
    }

    add(kind, time, view, from, to) {
      if (kind === KEY || (kind === CHANGE && this.at.length)) this.addPicture(kind === KEY, time, view, from, to);
      else if (kind === HEAD) this.head = this.json(from, to);
      else if (kind === EVENT) this.addEvent({...this.json(from, to), at: time});
      this.end = Math.max(time, this.end ?? time);
    }

    json(from, to) {
      return JSON.parse(new TextDecoder().decode(this.bytes.subarray(from, to)));
    }

    addPicture(isKey, time, view, from, to) {
      const number = this.at.length;
      let area = 0;
      let at = from + 2;
      for (let left = view.getUint16(from, true); left > 0; left--) {
        const [x, y, width, height] = [0, 2, 4, 6].map((offset) => view.getUint16(at + offset, true));
        const length = view.getUint32(at + 8, true);
        at += 12;
        this.patches.push({x, y, width, height, from: at, to: at + length});
        at += length;
        area += width * height;
      }
      this.at.push(time);
      this.key.push(isKey ? number : this.key[number - 1]);
      this.first.push(this.patches.length);
      this.size.push(to - from);
      // A key picture says what is there, not what became of it: no more than one pixel of activity.
      this.area.push(this.area[number] + (isKey ? 1 : area));
      this.bytesBefore.push(this.bytesBefore[number] + (isKey ? 1 : to - from));
    }

    addEvent(event) {
      if (!Object.hasOwn(UNDERSTOOD, event.type) || !UNDERSTOOD[event.type](event)) return;
      this.events.push(event);
      this.of[event.type]?.push(event);
    }

    finish() {
      [this.width, this.height] = this.head.size ?? [0, 0];
      this.start = this.at[0] ?? this.events[0]?.at ?? 0;
      this.end = Math.max(this.end ?? 0, this.start);
      this.marks = this.events.filter(({type}) => type === 'mark' || type === 'failure');
      // The state is said anew behind each key picture: only what it changes is of interest.
      const isNew = (event, i, all) => !i || event.fps !== all[i - 1].fps || event.why !== all[i - 1].why;
      this.of.rate = this.of.rate.filter(isNew);
    }

    // Returns when a failure was there: earlier than it was reported, where what it left has closed its windows since.
    seen(failure) {
      return failure?.seen ?? failure?.at;
    }

    // Returns the number of the picture that is shown at a time.
    pictureAt(time) {
      return Math.max(upTo(this.at, time) - 1, 0);
    }

    // Returns the last event of a type at a time, if any.
    latest(type, time) {
      const events = this.of[type];
      return events[upTo(events, time, timeOf) - 1];
    }

    patchesOf(picture) {
      return this.patches.slice(this.first[picture], this.first[picture + 1]);
    }

    // Returns the input of the second before a time.
    inputsBefore(time) {
      const {input} = this.of;
      return input.slice(upTo(input, time - SECOND, timeOf), upTo(input, time, timeOf));
    }

    // Returns the gap that a time is in, with the time of its end, if any.
    gapAt(time) {
      const gap = this.latest('gap', time);
      if (!gap) return null;
      const until = this.at[upTo(this.at, gap.at)] ?? this.end;
      return time < until ? {...gap, until} : null;
    }
  }

  // ---- Pictures: patches decoded, and laid on each other ---------------------------------------------------------

  const overlap = (a, b) =>
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
  const contains = (a, b) =>
    a.x <= b.x && a.y <= b.y && a.x + a.width >= b.x + b.width && a.y + a.height >= b.y + b.height;

  // Returns a canvas whose pixels are kept where they can be read back at once.
  function canvasOf(width, height) {
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [Math.max(width, 1), Math.max(height, 1)];
    return {canvas, context: canvas.getContext('2d', {willReadFrequently: true})};
  }

  const PNG = 'image/png';

  // The decoded pictures of patches; those that were used least lately go when they are too many.
  class Bitmaps {
    static LIMIT = 32 * MIB; // pixels, of 4 bytes each
    static SMALL = 65536; // pixels
    static OVERHEAD = 1024; // pixels' worth of memory that each one takes besides
    decoded = new Map(); // patch to promise of a bitmap
    pixels = 0;
    users = 0;
    damaged = 0;

    constructor(bytes) {
      this.bytes = bytes;
    }

    // Has `draw` called with the bitmaps of these patches, which last until it returns.
    async use(patches, draw) {
      this.users++;
      try {
        draw(await Promise.all(patches.map((patch) => this.get(patch))));
      } finally {
        this.users--;
        if (!this.users) this.trim();
      }
    }

    get(patch) {
      let bitmap = this.decoded.get(patch);
      if (bitmap) this.decoded.delete(patch);
      else {
        bitmap = this.decode(patch);
        this.pixels += patch.width * patch.height + Bitmaps.OVERHEAD;
      }
      this.decoded.set(patch, bitmap);
      return bitmap;
    }

    // A small picture is decoded from its bytes where the browser can, seven times as fast as by way of a Blob.
    async decode({from, to, width, height}) {
      const data = this.bytes.subarray(from, to);
      const exactly = {colorSpaceConversion: 'none', premultiplyAlpha: 'none'};
      try {
        if (globalThis.ImageDecoder && width * height <= Bitmaps.SMALL) {
          return (await new ImageDecoder({data, type: PNG, ...exactly}).decode()).image;
        }
      } catch {
        // the other way may do
      }
      try {
        return await createImageBitmap(new Blob([data], {type: PNG}), exactly);
      } catch {
        this.damaged++;
        return null;
      }
    }

    trim() {
      for (const [patch, bitmap] of this.decoded) {
        if (this.pixels <= Bitmaps.LIMIT) break;
        this.decoded.delete(patch);
        this.pixels -= patch.width * patch.height + Bitmaps.OVERHEAD;
        bitmap.then((made) => made?.close());
      }
    }
  }

  // Copies of whole pictures on the way through a group, so that going back in it does not begin at its key.
  class Snapshots {
    static LIMIT = 256 * MIB; // bytes
    static EVERY = 128; // pictures
    kept = new Map(); // picture to ImageData

    constructor(trace) {
      this.trace = trace;
      this.most = Math.max(Math.floor(Snapshots.LIMIT / Math.max(4 * trace.width * trace.height, 1)), 2);
    }

    // Whether a picture is one at which a copy is to be made.
    isPlace(picture) {
      const behind = picture - this.trace.key[picture];
      return behind > 0 && behind % Snapshots.EVERY === 0;
    }

    keep(picture, data) {
      this.kept.delete(picture);
      this.kept.set(picture, data);
      if (this.kept.size > this.most) this.kept.delete(this.kept.keys().next().value);
    }

    // Returns the last picture up to this one, of its group, of which there is a copy; or -1.
    before(picture) {
      let found = -1;
      for (const kept of this.kept.keys()) {
        if (kept <= picture && kept > found && kept >= this.trace.key[picture]) found = kept;
      }
      return found;
    }
  }

  // A canvas that shows one picture of the trace at a time; the newest wish counts.
  class Film {
    picture = -1; // that is on the canvas
    wanted = -1;
    running = null;

    constructor(trace, bitmaps, snapshots) {
      Object.assign(this, {trace, bitmaps, snapshots});
      Object.assign(this, canvasOf(trace.width, trace.height));
    }

    // Returns when this picture, or one that was asked for later, is on the canvas.
    async show(picture) {
      this.wanted = picture;
      while (this.picture !== this.wanted) {
        this.running ??= this.go(this.wanted).finally(() => (this.running = null));
        await this.running;
      }
    }

    // Goes towards a picture: to it, or to a place of a snapshot on the way.
    async go(target) {
      const {trace, snapshots} = this;
      const key = trace.key[target];
      let start = this.picture >= key && this.picture <= target ? this.picture : key - 1;
      const kept = snapshots.before(target);
      const copy = kept > start ? snapshots.kept.get(kept) : null;
      if (copy) {
        start = kept;
        snapshots.keep(kept, copy); // used now, so the last to go
      }
      let stop = target;
      for (let step = start + 1; step <= target; step++) {
        if (snapshots.isPlace(step)) {
          stop = step;
          break;
        }
      }
      const patches = visible(trace, start, stop);
      await this.bitmaps.use(patches, (bitmaps) => {
        if (copy) this.context.putImageData(copy, 0, 0);
        patches.forEach((patch, i) => lay(this.context, patch, bitmaps[i]));
        this.picture = stop;
      });
      if (snapshots.isPlace(stop) && !snapshots.kept.has(stop)) {
        snapshots.keep(stop, this.context.getImageData(0, 0, trace.width, trace.height));
      }
    }
  }

  // Returns the patches of the pictures behind `start` up to `target`, but those that others hide.
  function visible(trace, start, target) {
    const found = [];
    for (let i = trace.first[target + 1] - 1; i >= trace.first[start + 1]; i--) {
      const patch = trace.patches[i];
      if (!found.some((later) => contains(later, patch))) found.push(patch);
    }
    return found.toReversed();
  }

  // Replaces the pixels of a patch, transparent ones too; `origin` is where the canvas's corner is in the picture.
  function lay(context, patch, bitmap, origin = {x: 0, y: 0}) {
    if (!bitmap) return;
    const [x, y] = [patch.x - origin.x, patch.y - origin.y];
    context.clearRect(x, y, patch.width, patch.height);
    context.drawImage(bitmap, x, y);
  }

  // ---- When a region changed, and what differs -------------------------------------------------------------------

  // Follows one region through pictures, and sees in which of them its pixels become others.
  class Watch {
    static BATCH = 64; // pictures that are decoded together

    constructor(trace, bitmaps, region, progress) {
      Object.assign(this, {trace, bitmaps, region, progress});
      this.context = canvasOf(region.width, region.height).context;
    }

    // Returns the last picture before `picture + 1` that changed the region; -1 if none did.
    async before(picture) {
      const {trace} = this;
      let last = picture;
      for (let later = null; ; ) {
        const key = trace.key[last];
        const {changed, first, end} = await this.follow(key, last);
        if (later && !isEqual(end, later)) return last + 1;
        if (changed >= 0) return changed;
        if (key === 0) return -1;
        later = first;
        last = key - 1;
        await this.progress(trace.at[last]);
      }
    }

    // Returns the first picture behind `picture` that changes the region; -1 if none does.
    async after(picture) {
      const {trace} = this;
      await this.follow(trace.key[picture], picture);
      for (let from = picture + 1; from < trace.at.length; from += Watch.BATCH) {
        const {changed} = await this.go(from, Math.min(from + Watch.BATCH, trace.at.length) - 1, true);
        if (changed >= 0) return changed;
        await this.progress(trace.at[from]);
      }
      return -1;
    }

    // Goes from a key picture to `last`: which was the last that changed the region, its first and its last pixels.
    async follow(key, last) {
      let changed = -1;
      await this.go(key, key, false);
      const first = this.pixels();
      for (let from = key + 1; from <= last; from += Watch.BATCH) {
        const went = await this.go(from, Math.min(from + Watch.BATCH - 1, last), false);
        if (went.changed >= 0) changed = went.changed;
        await this.progress(this.trace.at[from]);
      }
      return {changed, first, end: this.pixels()};
    }

    // Lays the pictures from..to on the region, all of them or up to the first that changes it.
    async go(from, to, stops) {
      const {trace, region, context} = this;
      const steps = [];
      for (let picture = from; picture <= to; picture++) {
        const patches = trace.patchesOf(picture).filter((patch) => overlap(patch, region));
        if (patches.length) steps.push({picture, patches});
      }
      let changed = -1;
      await this.bitmaps.use(steps.flatMap(({patches}) => patches), (bitmaps) => {
        let at = 0;
        for (const {picture, patches} of steps) {
          const box = within(patches, region);
          const was = context.getImageData(box.x, box.y, box.width, box.height);
          for (const patch of patches) lay(context, patch, bitmaps[at++], region);
          if (isEqual(was, context.getImageData(box.x, box.y, box.width, box.height))) continue;
          changed = picture;
          if (stops) return;
        }
      });
      return {changed};
    }

    pixels() {
      return this.context.getImageData(0, 0, this.region.width, this.region.height);
    }
  }

  // Returns the box around what patches have in common with a region, from the region's corner.
  function within(patches, region) {
    const low = (name) => Math.max(Math.min(...patches.map((patch) => patch[name])), region[name]);
    const high = (name, size) =>
      Math.min(Math.max(...patches.map((patch) => patch[name] + patch[size])), region[name] + region[size]);
    const [x, y] = [low('x'), low('y')];
    return {x: x - region.x, y: y - region.y, width: high('x', 'width') - x, height: high('y', 'height') - y};
  }

  const pixelsOf = ({data}) => new Uint32Array(data.buffer, data.byteOffset, data.byteLength >> 2);

  function isEqual(one, other) {
    const [a, b] = [pixelsOf(one), pixelsOf(other)];
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
    return true;
  }

  const TILE = 16; // pixels: what differs is one place if its tiles touch

  // Returns what differs between two pictures: how many pixels, in which boxes, the largest first, and a picture of it.
  function difference(one, other, colours) {
    const {width, height} = one;
    const [a, b] = [pixelsOf(one), pixelsOf(other)];
    const image = new ImageData(width, height);
    const drawn = pixelsOf(image);
    const [columns, rows] = [Math.ceil(width / TILE), Math.ceil(height / TILE)];
    const tiles = new Map(); // number of a tile to the box of what differs in it
    let pixels = 0;
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        const pixel = b[i];
        if (a[i] === pixel) {
          const gray = ((pixel & 255) * 77 + ((pixel >> 8) & 255) * 151 + ((pixel >> 16) & 255) * 28) >> 8;
          drawn[i] = ((colours.base + (gray >> 2)) * 0x10101) | 0xff000000;
          continue;
        }
        pixels++;
        drawn[i] = colours.pixel;
        const tile = Math.floor(y / TILE) * columns + Math.floor(x / TILE);
        tiles.set(tile, around(tiles.get(tile), {x, y, width: 1, height: 1}));
      }
    }
    return {pixels, boxes: boxesOf(tiles, columns, rows), image};
  }

  function around(a, b) {
    if (!a) return b;
    const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
    const right = Math.max(a.x + a.width, b.x + b.width);
    return {x, y, width: right - x, height: Math.max(a.y + a.height, b.y + b.height) - y};
  }

  // Returns the boxes of tiles that touch each other, the largest first.
  function boxesOf(tiles, columns, rows) {
    const boxes = [];
    const seen = new Set();
    for (const tile of tiles.keys()) {
      if (seen.has(tile)) continue;
      seen.add(tile);
      let box = null;
      for (const stack = [tile]; stack.length; ) {
        const here = stack.pop();
        box = around(box, tiles.get(here));
        const [column, row] = [here % columns, Math.floor(here / columns)];
        for (let y = Math.max(row - 1, 0); y <= Math.min(row + 1, rows - 1); y++) {
          for (let x = Math.max(column - 1, 0); x <= Math.min(column + 1, columns - 1); x++) {
            const next = y * columns + x;
            if (!tiles.has(next) || seen.has(next)) continue;
            seen.add(next);
            stack.push(next);
          }
        }
      }
      boxes.push(box);
    }
    return boxes.toSorted((a, b) => b.width * b.height - a.width * a.height);
  }

  // ---- Words for what happened -----------------------------------------------------------------------------------

  const KINDS = {mark: 'Marks', log: 'Log', input: 'Input', window: 'Windows', rate: 'Rate'};

  const BUTTONS = {1: 'left', 2: 'middle', 3: 'right'};

  function wordsOfInput(event) {
    const {action, x, y, x2, y2, dx, dy, button, count: times, keys, length, text, at: _at, type: _type, ...rest} = event;
    const words = [action];
    if (button !== undefined) words.push(BUTTONS[button] ?? String(button));
    if (keys?.length) words.push([keys].flat().join('+'));
    if (text !== undefined) words.push(JSON.stringify(text));
    else if (length !== undefined) words.push(count(length, action === 'type' ? 'character' : 'key'));
    if (times > 1) words.push(`${times} times`);
    if (dx !== undefined || dy !== undefined) words.push(`by ${dx ?? 0}, ${dy ?? 0}`);
    if (x2 !== undefined) words.push(`from ${x}, ${y} to ${x2}, ${y2}`);
    else if (x !== undefined) words.push(`at ${x}, ${y}`);
    for (const [name, value] of Object.entries(rest)) words.push(`${name} ${value}`);
    return words.join(' ');
  }

  // Returns what the windows of two events tell together: opened, closed, renamed, moved.
  function wordsOfWindows(before, after) {
    const old = new Map(before.map((window) => [window[0], window]));
    const found = [];
    for (const [id, title, x, y, width, height] of after) {
      const was = old.get(id);
      old.delete(id);
      const name = title || `0x${id.toString(16)}`;
      const where = place({x, y, width, height});
      if (!was) found.push(`opened: ${name}, ${where}`);
      else if (was[1] !== title) found.push(`renamed: ${was[1] || 'no title'} → ${name}`);
      else if (was.slice(2).join() !== [x, y, width, height].join()) found.push(`moved: ${name}, ${where}`);
    }
    for (const [id, title] of old.values()) found.push(`closed: ${title || `0x${id.toString(16)}`}`);
    return found;
  }

  // Returns one row for each thing that happened, as words: {at, kind, text, level, source}.
  function rowsOf(trace) {
    const rows = [];
    let windows = [];
    for (const event of trace.events) {
      const {at, type} = event;
      const add = (kind, text, level = '', source = '') => rows.push({at, kind, text: String(text), level, source});
      if (type === 'mark') add('mark', event.title);
      else if (type === 'failure') add('mark', event.title, 'failure');
      else if (type === 'log') add('log', event.text, loudness(event.level), (event.source ?? '').replace(/^log$/, ''));
      else if (type === 'input') add('input', wordsOfInput(event));
      else if (type === 'gap') add('rate', `no pictures from here: ${event.why}`);
      else if (type === 'rate' && trace.of.rate.includes(event)) {
        add('rate', `at most ${count(event.fps, 'picture')} a second from here${event.why ? `: ${event.why}` : ''}`);
      } else if (type === 'end') add('rate', event.why ? `ended early: ${event.why}` : 'end');
      else if (type === 'windows') {
        for (const text of wordsOfWindows(windows, event.windows)) add('window', text);
        windows = event.windows;
      }
    }
    return rows;
  }

  const classOf = (kind, loud) => (loud ? `k-${kind} is-${loud}` : `k-${kind}`);

  function loudness(name) {
    if (/^(error|critical|fatal)/i.test(name ?? '')) return 'error';
    return /^warn/i.test(name ?? '') ? 'warning' : '';
  }

  // ---- The stage: the picture, zoomed, and what is drawn over it -------------------------------------------------

  const ZOOMS = [1 / 16, 1 / 12, 1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];
  const GRID_FROM = 8; // device pixels a pixel
  // The shape of the pointer, from its tip.
  const ARROW = [[0, 0], [0, 13.5], [3.2, 10.6], [5.4, 15.6], [7.7, 14.6], [5.5, 9.7], [9.8, 9.7]];

  const probe = element('i');
  function ink(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  class Stage {
    zoom = 1; // device pixels a pixel
    isFit = true;
    centre = null; // the point of the picture in the middle
    hover = null; // the pixel under the pointer
    cursor = null; // the pixel that keys have moved to
    region = null; // the chosen one
    anchor = null; // where choosing a region began
    flags = {hand: false, changed: false, overlays: true, outlines: false};
    hovered = null; // a window of the list under the pointer
    mode = '';
    blink = false;
    slide = 0.5;

    constructor(app) {
      this.app = app;
      this.canvas = $('view');
      this.context = this.canvas.getContext('2d');
      this.isDue = false;
      new ResizeObserver(() => this.resize()).observe($('viewport'));
      this.listen();
    }

    get size() {
      return this.app.trace;
    }

    resize() {
      const ratio = devicePixelRatio;
      const box = $('viewport').getBoundingClientRect();
      this.canvas.width = Math.max(Math.round(box.width * ratio), 1);
      this.canvas.height = Math.max(Math.round(box.height * ratio), 1);
      this.refit();
    }

    // Returns the places on the canvas where pictures are, of which there are two if they are side by side.
    panes() {
      const {width, height} = this.canvas;
      if (this.mode !== 'sides') return [{x: 0, y: 0, width, height}];
      const half = Math.floor(width / 2);
      return [{x: 0, y: 0, width: half - 1, height}, {x: half + 1, y: 0, width: width - half - 1, height}];
    }

    refit() {
      const {width, height} = this.size ?? {};
      if (!width) return;
      if (this.isFit || !this.centre) {
        const pane = this.panes()[0];
        const margin = 16 * devicePixelRatio;
        const most = Math.min((pane.width - margin) / width, (pane.height - margin) / height);
        this.zoom = most >= 1 ? Math.floor(most) : Math.max(most, ZOOMS[0]);
        this.centre = {x: width / 2, y: height / 2};
      }
      this.draw();
    }

    // Zooms so that a point of the canvas stays over the same point of the picture.
    zoomTo(zoom, at) {
      const pane = this.paneAt(at ?? {x: 0, y: 0});
      const fixed = at ? this.pointAt(at) : {...this.centre};
      const from = at ?? {x: pane.x + pane.width / 2, y: pane.y + pane.height / 2};
      this.isFit = false;
      this.zoom = zoom;
      this.centre = {
        x: fixed.x - (from.x - pane.x - pane.width / 2) / zoom,
        y: fixed.y - (from.y - pane.y - pane.height / 2) / zoom,
      };
      this.keepInside();
      this.draw();
    }

    keepInside() {
      this.centre.x = clamp(this.centre.x, 0, this.size.width);
      this.centre.y = clamp(this.centre.y, 0, this.size.height);
    }

    step(by, at) {
      const next = by > 0
        ? ZOOMS.find((zoom) => zoom > this.zoom * 1.001)
        : ZOOMS.findLast((zoom) => zoom < this.zoom * 0.999);
      if (next) this.zoomTo(next, at);
    }

    fit() {
      if (this.isFit) return this.zoomTo(1);
      this.isFit = true;
      return this.refit();
    }

    pan(dx, dy) {
      this.isFit = false;
      this.centre.x -= dx / this.zoom;
      this.centre.y -= dy / this.zoom;
      this.keepInside();
      this.draw();
    }

    // Has a box of the picture in the middle, as large as it fits.
    zoomInto(box) {
      const pane = this.panes()[0];
      const most = Math.min(pane.width / (box.width * 1.2), pane.height / (box.height * 1.2));
      this.isFit = false;
      this.zoom = ZOOMS.findLast((zoom) => zoom <= most) ?? ZOOMS[0];
      this.centre = {x: box.x + box.width / 2, y: box.y + box.height / 2};
      this.draw();
    }

    paneAt({x}) {
      const panes = this.panes();
      return panes.length > 1 && x >= panes[1].x ? panes[1] : panes[0];
    }

    origin(pane) {
      return {
        x: Math.round(pane.x + pane.width / 2 - this.centre.x * this.zoom),
        y: Math.round(pane.y + pane.height / 2 - this.centre.y * this.zoom),
      };
    }

    pointAt(at) {
      const origin = this.origin(this.paneAt(at));
      return {x: (at.x - origin.x) / this.zoom, y: (at.y - origin.y) / this.zoom};
    }

    // Returns the pixel under a pointer's event; outside of the picture the nearest one, or null.
    pixelAt(event, nearest = false) {
      const point = this.pointAt(this.deviceAt(event));
      const pixel = {x: Math.floor(point.x), y: Math.floor(point.y)};
      const {width, height} = this.size;
      const near = {x: clamp(pixel.x, 0, width - 1), y: clamp(pixel.y, 0, height - 1)};
      return nearest || (near.x === pixel.x && near.y === pixel.y) ? near : null;
    }

    deviceAt(event) {
      const box = this.canvas.getBoundingClientRect();
      return {x: (event.clientX - box.x) * devicePixelRatio, y: (event.clientY - box.y) * devicePixelRatio};
    }

    // ---- drawing

    draw() {
      if (this.isDue) return;
      this.isDue = true;
      requestAnimationFrame(() => {
        this.isDue = false;
        if (this.app.film) this.drawNow();
      });
    }

    drawNow() {
      const {context, canvas, app} = this;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
      const panes = this.panes();
      const {a, b, diff} = app.compare;
      const [timeA, timeB] = app.compared;
      if (this.mode === 'sides') {
        this.drawPane(panes[0], a.canvas, 'A', timeA);
        this.drawPane(panes[1], b.canvas, 'B', timeB);
      } else if (this.mode === 'difference' && diff) {
        this.drawPane(panes[0], diff.canvas, `A ≠ B  ${diff.words}`);
      } else if (this.mode === 'blink') {
        if (this.blink) this.drawPane(panes[0], b.canvas, 'B', timeB);
        else this.drawPane(panes[0], a.canvas, 'A', timeA);
      } else if (this.mode === 'slide') this.drawSlide(panes[0]);
      else this.drawPane(panes[0], app.film.canvas);
      $('zoom').value = `${Math.round(this.zoom * 1000) / 10} %`;
    }

    drawSlide(pane) {
      const {context, app, size} = this;
      const [timeA, timeB] = app.compared;
      const origin = this.origin(pane);
      const edge = clamp(origin.x + Math.round(size.width * this.zoom * this.slide), 0, pane.width);
      this.drawPane({...pane, clip: [edge, pane.width]}, app.compare.b.canvas, 'B', timeB);
      this.drawPane({...pane, clip: [0, edge]}, app.compare.a.canvas, 'A', timeA);
      context.fillStyle = ink('accent');
      context.fillRect(edge - devicePixelRatio, 0, 2 * devicePixelRatio, pane.height);
    }

    drawPane(pane, picture, label, time) {
      const {context, zoom} = this;
      const origin = this.origin(pane);
      const {width, height} = this.size;
      const [left, right] = pane.clip ?? [pane.x, pane.x + pane.width];
      context.save();
      context.beginPath();
      context.rect(left, pane.y, right - left, pane.height);
      context.clip();
      // Only what is to be seen: a picture of 64 times its size is more than a canvas may be.
      const x0 = clamp(Math.floor((pane.x - origin.x) / zoom), 0, width);
      const y0 = clamp(Math.floor((pane.y - origin.y) / zoom), 0, height);
      const x1 = clamp(Math.ceil((pane.x + pane.width - origin.x) / zoom), 0, width);
      const y1 = clamp(Math.ceil((pane.y + pane.height - origin.y) / zoom), 0, height);
      context.imageSmoothingEnabled = zoom < 1;
      context.imageSmoothingQuality = 'high';
      if (x1 > x0 && y1 > y0) {
        context.drawImage(picture, x0, y0, x1 - x0, y1 - y0,
          origin.x + x0 * zoom, origin.y + y0 * zoom, (x1 - x0) * zoom, (y1 - y0) * zoom);
      }
      if (zoom >= GRID_FROM) this.drawGrid(origin, x0, y0, x1, y1);
      this.drawOver(origin);
      context.restore();
      if (label) this.drawLabel(time === undefined ? label : `${label}  ${seconds(time)}`, left, pane, label !== 'B');
    }

    drawGrid(origin, x0, y0, x1, y1) {
      const {context, zoom} = this;
      context.fillStyle = 'rgba(128, 128, 128, 0.4)';
      for (let x = x0; x <= x1; x++) {
        context.fillRect(origin.x + x * zoom, origin.y + y0 * zoom, 1, (y1 - y0) * zoom);
      }
      for (let y = y0; y <= y1; y++) {
        context.fillRect(origin.x + x0 * zoom, origin.y + y * zoom, (x1 - x0) * zoom, 1);
      }
    }

    drawLabel(text, left, pane, isLeft) {
      const {context} = this;
      const ratio = devicePixelRatio;
      context.font = `600 ${12 * ratio}px system-ui, sans-serif`;
      const width = context.measureText(text).width + 14 * ratio;
      const x = isLeft || this.mode !== 'slide' ? left + 8 * ratio : pane.x + pane.width - width - 8 * ratio;
      context.fillStyle = ink('label');
      context.beginPath();
      context.roundRect(x, 8 * ratio, width, 22 * ratio, 5 * ratio);
      context.fill();
      context.fillStyle = ink('label-text');
      context.fillText(text, x + 7 * ratio, 23 * ratio);
    }

    // Draws the outline of a box of the picture, light on dark so that it is seen on every picture.
    outline(origin, box, colour, dash = []) {
      const {context, zoom} = this;
      const width = Math.max(Math.round(1.5 * devicePixelRatio), 1);
      const [x, y] = [origin.x + box.x * zoom, origin.y + box.y * zoom];
      const frame = [x - width / 2, y - width / 2, box.width * zoom + width, box.height * zoom + width];
      context.lineWidth = width + 2;
      context.strokeStyle = 'rgba(0, 0, 0, 0.45)';
      context.strokeRect(...frame);
      context.lineWidth = width;
      context.setLineDash(dash.map((length) => length * devicePixelRatio));
      context.strokeStyle = colour;
      context.strokeRect(...frame);
      context.setLineDash([]);
    }

    drawOver(origin) {
      const {app, flags} = this;
      const {trace, time, picture} = app;
      const windows = trace.latest('windows', time)?.windows ?? [];
      for (const [id, , x, y, width, height] of windows) {
        if (flags.outlines || id === this.hovered) this.outline(origin, {x, y, width, height}, ink('window'));
      }
      if (flags.changed) for (const patch of trace.patchesOf(picture)) this.outline(origin, patch, ink('accent'));
      if (this.mode === 'difference') {
        for (const box of app.compare.diff?.boxes ?? []) this.outline(origin, box, ink('mark'));
      }
      if (this.region) this.outline(origin, this.region, '#fff', [4, 3]);
      if (this.cursor) this.outline(origin, {...this.cursor, width: 1, height: 1}, ink('mark'));
      if (flags.overlays && !this.mode) this.drawPointer(origin);
    }

    drawPointer(origin) {
      const {context, zoom, app} = this;
      const {trace, time} = app;
      const ratio = devicePixelRatio;
      for (const {at, x, y} of trace.inputsBefore(time)) {
        if (x === undefined) continue;
        const age = (time - at) / SECOND;
        context.beginPath();
        context.arc(origin.x + (x + 0.5) * zoom, origin.y + (y + 0.5) * zoom, (7 + 14 * age) * ratio, 0, 2 * Math.PI);
        context.lineWidth = 3 * ratio;
        context.globalAlpha = 1 - age * 0.9;
        context.strokeStyle = ink('input');
        context.stroke();
        context.globalAlpha = 1;
      }
      const pointer = trace.latest('pointer', time);
      if (!pointer) return;
      context.save();
      context.translate(origin.x + (pointer.x + 0.5) * zoom, origin.y + (pointer.y + 0.5) * zoom);
      context.scale(1.2 * ratio, 1.2 * ratio);
      context.beginPath();
      for (const [x, y] of ARROW) context.lineTo(x, y);
      context.closePath();
      context.fillStyle = '#fff';
      context.strokeStyle = '#000';
      context.lineWidth = 1.2;
      context.lineJoin = 'round';
      context.fill();
      context.stroke();
      context.restore();
    }

    // ---- the pointer and the keys over it

    listen() {
      const {canvas} = this;
      let drag = null;
      canvas.addEventListener('wheel', (event) => {
        if (!this.size) return;
        event.preventDefault();
        if (event.shiftKey) this.pan(-event.deltaY, 0);
        else this.step(-event.deltaY, this.deviceAt(event));
      }, {passive: false});
      canvas.addEventListener('pointerdown', (event) => {
        if (!this.size) return;
        canvas.setPointerCapture(event.pointerId);
        const pans = this.flags.hand || event.button > 0 || event.shiftKey || event.pointerType === 'touch';
        const slides = this.mode === 'slide' && !pans;
        drag = {kind: slides ? 'slide' : pans ? 'pan' : 'choose', x: event.clientX, y: event.clientY, moved: false};
        if (drag.kind === 'choose') drag.from = this.pixelAt(event);
        if (slides) this.slideTo(event);
      });
      canvas.addEventListener('pointermove', (event) => {
        if (!this.size) return;
        this.hover = this.pixelAt(event);
        if (drag) this.drag(drag, event);
        this.app.tellPlace();
      });
      canvas.addEventListener('pointerup', (event) => {
        if (drag?.kind === 'choose' && !drag.moved) {
          const pixel = this.pixelAt(event);
          this.choose(pixel && {...pixel, width: 1, height: 1});
        }
        drag = null;
      });
      canvas.addEventListener('pointercancel', () => (drag = null));
      canvas.addEventListener('pointerleave', () => {
        this.hover = null;
        this.app.tellPlace();
      });
      canvas.addEventListener('contextmenu', (event) => event.preventDefault());
      canvas.addEventListener('keydown', (event) => this.key(event));
      canvas.addEventListener('blur', () => {
        this.cursor = this.anchor = null;
        this.draw();
      });
    }

    drag(drag, event) {
      const [dx, dy] = [event.clientX - drag.x, event.clientY - drag.y];
      if (Math.hypot(dx, dy) < 3 && !drag.moved) return;
      drag.moved = true;
      if (drag.kind === 'slide') this.slideTo(event);
      else if (drag.kind === 'pan') {
        this.pan(dx * devicePixelRatio, dy * devicePixelRatio);
        [drag.x, drag.y] = [event.clientX, event.clientY];
      } else if (drag.from) this.choose(between(drag.from, this.pixelAt(event, true)));
    }

    slideTo(event) {
      this.slide = clamp(this.pointAt(this.deviceAt(event)).x / this.size.width, 0, 1);
      $('slide').value = this.slide * 1000;
      this.draw();
    }

    choose(region) {
      this.region = region;
      this.app.tellRegion();
      this.draw();
    }

    // Moves the crosshair by the arrow keys, and chooses a region by Enter.
    key(event) {
      const moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
      if (!this.size || event.ctrlKey || event.metaKey || event.altKey) return;
      if (moves) {
        const {width, height} = this.size;
        const step = event.shiftKey ? 10 : 1;
        const from = this.cursor ?? {x: Math.floor(this.centre.x), y: Math.floor(this.centre.y)};
        const by = this.cursor ? step : 0; // the first press shows where it is
        this.cursor = {x: clamp(from.x + moves[0] * by, 0, width - 1), y: clamp(from.y + moves[1] * by, 0, height - 1)};
        if (this.anchor) this.choose(between(this.anchor, this.cursor));
        this.follow(this.cursor);
        this.app.tellPlace();
      } else if (event.key === 'Enter' && this.cursor) {
        this.choose(between(this.anchor ?? this.cursor, this.cursor));
        this.anchor = this.anchor ? null : {...this.cursor};
      } else return;
      event.preventDefault();
      event.stopPropagation();
      this.draw();
    }

    // Pans so far that a pixel is to be seen.
    follow({x, y}) {
      const pane = this.panes()[0];
      const [halfWidth, halfHeight] = [pane.width / 2 / this.zoom - 2, pane.height / 2 / this.zoom - 2];
      if (halfWidth < 1 || halfHeight < 1) return;
      this.centre.x = clamp(this.centre.x, x - halfWidth, x + halfWidth);
      this.centre.y = clamp(this.centre.y, y - halfHeight, y + halfHeight);
    }
  }

  // Returns the region from one pixel to another, both in it.
  function between(a, b) {
    const [x, y] = [Math.min(a.x, b.x), Math.min(a.y, b.y)];
    return {x, y, width: Math.abs(a.x - b.x) + 1, height: Math.abs(a.y - b.y) + 1};
  }

  // ---- The timeline ----------------------------------------------------------------------------------------------

  const STEPS = [1e3, 2e3, 5e3].flatMap((n) => [1, 10, 100, 1e3, 1e4, 1e5].map((by) => n * by))
    .concat([1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600, 86400].map((n) => n * SECOND))
    .toSorted((a, b) => a - b); // nanoseconds between two labels

  class Timeline {
    static LANES = ['log', 'input', 'window']; // each a row of ticks, from above

    constructor(app) {
      this.app = app;
      this.box = $('timeline');
      this.canvas = $('chart');
      this.from = this.to = 0; // the times at its ends
      new ResizeObserver(() => this.draw()).observe(this.box);
      this.listen();
    }

    all() {
      const {start, end} = this.app.trace;
      this.show(start, Math.max(end, start + 1e6));
    }

    // Shows from one time to another, no more than there is.
    show(from, to) {
      const {start, end} = this.app.trace;
      const whole = Math.max(end - start, 1e6);
      const length = clamp(to - from, Math.min(1e6, whole), whole);
      this.from = clamp(from, start, start + whole - length);
      this.to = this.from + length;
      this.draw();
      this.move();
    }

    get width() {
      return this.box.clientWidth;
    }

    xOf(time) {
      return ((time - this.from) / (this.to - this.from)) * this.width;
    }

    timeAt(x) {
      return this.from + (x / this.width) * (this.to - this.from);
    }

    // Puts the playhead where the time is; what is shown goes along.
    move() {
      const {time} = this.app;
      const length = this.to - this.from;
      if (time < this.from || time > this.to) this.show(time - length / 10, time + (length * 9) / 10);
      $('head').style.transform = `translateX(${this.xOf(time)}px)`;
    }

    zoom(by, at) {
      const length = (this.to - this.from) * by;
      const share = (at - this.from) / (this.to - this.from);
      this.show(at - length * share, at + length * (1 - share));
    }

    // ---- drawing

    draw() {
      const {app, canvas, box} = this;
      const {trace} = app;
      if (!trace) return;
      const ratio = devicePixelRatio;
      const [width, height] = [box.clientWidth, box.clientHeight];
      [canvas.width, canvas.height] = [Math.round(width * ratio), Math.round(height * ratio)];
      const context = canvas.getContext('2d');
      context.scale(ratio, ratio);
      const rows = {axis: 14, bars: [17, height - 42], marks: height - 33, lanes: height - 17};
      this.drawAxis(context, rows);
      this.drawBars(context, rows.bars);
      this.drawRate(context, rows.bars);
      Timeline.LANES.forEach((kind, i) => this.drawLane(context, kind, rows.lanes + i * 5));
      this.drawMarks(context, rows.marks, height);
      for (const [time, name] of [[app.compare.timeA, 'A'], [app.compare.timeB, 'B']]) {
        if (time !== null) this.drawFlag(context, time, name, height);
      }
    }

    drawAxis(context, rows) {
      const step = STEPS.find((each) => (each / (this.to - this.from)) * this.width >= 70) ?? STEPS.at(-1);
      const digits = clamp(9 - Math.floor(Math.log10(step)), 0, 6);
      context.font = '10.5px system-ui, sans-serif';
      for (let time = Math.ceil(this.from / step) * step; time <= this.to; time += step) {
        const x = Math.round(this.xOf(time)) + 0.5;
        context.fillStyle = ink('line');
        context.fillRect(x - 0.5, rows.axis, 1, rows.bars[1] - rows.axis);
        context.fillStyle = ink('quiet');
        context.fillText(`${(time / SECOND).toFixed(digits)} s`, x + 3, rows.axis - 3);
      }
    }

    // A bar for each pixel: how much of the region was painted then, and how many bytes that is, both by their roots.
    drawBars(context, [top, bottom]) {
      const {trace} = this.app;
      const height = bottom - top;
      const columns = [];
      let at = upTo(trace.at, this.from - 1);
      for (let x = 0; x < this.width; x += 2) {
        const next = upTo(trace.at, this.timeAt(x + 2));
        columns.push([x, trace.area[next] - trace.area[at], trace.bytesBefore[next] - trace.bytesBefore[at]]);
        at = next;
      }
      const [mostArea, mostBytes] = [1, 2].map((i) => Math.sqrt(Math.max(...columns.map((column) => column[i]), 1)));
      const rise = (value, most) => (value ? Math.max((Math.sqrt(value) / most) * height, 2) : 0);
      context.fillStyle = ink('area');
      for (const [x, area] of columns) context.fillRect(x, bottom, 1.5, -rise(area, mostArea));
      context.fillStyle = ink('bytes');
      for (const [x, , bytes] of columns) if (bytes) context.fillRect(x, bottom - rise(bytes, mostBytes), 1.5, 1.5);
      context.fillStyle = ink('line');
      context.fillRect(0, bottom, this.width, 1);
    }

    // Where fewer pictures were taken than usual, and none, in words if there is room.
    drawRate(context, [top, bottom]) {
      const {trace} = this.app;
      const spans = trace.of.rate.map(({at, fps}, i, all) => ({
        at, until: all[i + 1]?.at ?? trace.end, low: fps < (trace.head.fps ?? 0), text: `${fps}/s`,
      })).filter(({low}) => low);
      const gaps = trace.of.gap.map(({at}) => ({...trace.gapAt(at), text: 'no pictures', isGap: true}));
      context.font = '10.5px system-ui, sans-serif';
      for (const {at, until, text, isGap} of [...spans, ...gaps]) {
        if (until === undefined) continue;
        const [x, right] = [Math.max(this.xOf(at), 0), Math.min(this.xOf(until), this.width)];
        if (right <= x) continue;
        context.fillStyle = ink(isGap ? 'gap' : 'low');
        context.fillRect(x, top, Math.max(right - x, 1), bottom - top);
        const room = context.measureText(text).width + 6;
        if (right - x <= room) continue;
        context.fillStyle = ink('panel');
        context.fillRect(x, top, room, 14);
        context.fillStyle = ink('text');
        context.fillText(text, x + 3, top + 11);
      }
    }

    drawLane(context, kind, y) {
      const {rows, matches} = this.app.events;
      let last = -9;
      for (let i = upTo(rows, this.from - 1, timeOf); i < rows.length && rows[i].at <= this.to; i++) {
        const row = rows[i];
        if (row.kind !== kind) continue;
        const x = this.xOf(row.at);
        const isLoud = row.level || matches?.has(row);
        if (x < last + 1 && !isLoud) continue;
        context.fillStyle = ink(matches?.has(row) ? 'accent' : row.level || kind);
        context.fillRect(x - 1, isLoud ? y - 1 : y, 2, isLoud ? 5 : 4);
        last = x;
      }
    }

    drawMarks(context, y, height) {
      context.font = '11px system-ui, sans-serif';
      const {marks} = this.app.trace;
      marks.forEach((mark, i) => {
        const x = this.xOf(mark.at);
        if (x < -200 || x > this.width + 5) return;
        const failed = mark.type === 'failure';
        context.fillStyle = ink(failed ? 'failure' : 'mark');
        context.globalAlpha = 0.5;
        context.fillRect(x - 0.5, 14, 1, height - 14);
        context.globalAlpha = 1;
        context.beginPath();
        for (const [dx, dy] of [[0, -5], [5, 0], [0, 5], [-5, 0]]) context.lineTo(x + dx, y + dy);
        context.fill();
        const room = Math.min(marks[i + 1] ? this.xOf(marks[i + 1].at) : this.width, this.width) - x - 16;
        this.drawClipped(context, mark.title, x + 8, y + 4, room, failed ? 'failure' : 'text');
      });
    }

    drawClipped(context, title, x, y, room, colour) {
      let text = String(title).split('\n')[0].slice(0, 80);
      if (room < 14) return;
      while (text.length > 1 && context.measureText(text).width > room) text = `${text.slice(0, -2)}…`;
      if (text.length < 2) return;
      context.fillStyle = ink(colour);
      context.fillText(text, x, y);
    }

    drawFlag(context, time, name, height) {
      const x = this.xOf(time);
      context.fillStyle = ink('accent');
      context.fillRect(x - 0.5, 0, 1, height);
      context.beginPath();
      context.roundRect(x - 0.5, 0, 13, 13, [0, 3, 3, 0]);
      context.fill();
      context.fillStyle = ink('label-text');
      context.font = '700 10px system-ui, sans-serif';
      context.fillText(name, x + 2.5, 10);
    }

    // ---- the pointer over it

    listen() {
      const {box, app} = this;
      let held = false;
      const xOf = (event) => event.clientX - box.getBoundingClientRect().x;
      // A mark that is near is meant.
      const meant = (x) => {
        const time = clamp(this.timeAt(x), app.trace.start, app.trace.end);
        const {marks} = app.trace;
        const near = [marks[upTo(marks, time, timeOf) - 1], marks[upTo(marks, time, timeOf)]]
          .find((mark) => mark && Math.abs(this.xOf(mark.at) - x) < 5);
        return near?.at ?? time;
      };
      box.addEventListener('pointerdown', (event) => {
        if (!app.film || event.button) return;
        box.setPointerCapture(event.pointerId);
        held = true;
        app.pause();
        app.seek(meant(xOf(event)));
      });
      box.addEventListener('pointermove', (event) => {
        if (!app.film) return;
        if (held) app.seek(meant(xOf(event)));
        this.tip(xOf(event), meant(xOf(event)));
      });
      for (const name of ['pointerup', 'pointercancel']) box.addEventListener(name, () => (held = false));
      box.addEventListener('pointerleave', () => ($('tip').hidden = true));
      box.addEventListener('dblclick', () => app.film && this.all());
      box.addEventListener('wheel', (event) => {
        if (!app.film) return;
        event.preventDefault();
        const by = (this.to - this.from) / this.width;
        const across = (event.deltaX || (event.shiftKey && event.deltaY)) * by;
        if (across) this.show(this.from + across, this.to + across);
        else this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.timeAt(xOf(event)));
      }, {passive: false});
    }

    // Says what is at a time, beside the pointer.
    tip(x, time) {
      const {trace, events} = this.app;
      const reach = ((this.to - this.from) / this.width) * 4;
      const low = upTo(events.rows, time - reach, timeOf);
      const near = events.rows.slice(low, upTo(events.rows, time + reach, timeOf));
      const lines = [element('b', 'mono', seconds(time))];
      const gap = trace.gapAt(time);
      const rate = trace.latest('rate', time);
      if (gap) lines.push(element('span', '', `no pictures: ${gap.why}`));
      else if (rate && rate.fps < trace.head.fps) {
        lines.push(element('span', '', `at most ${rate.fps} pictures a second: ${rate.why}`));
      }
      const loudFirst = [...near.filter(({kind}) => kind === 'mark'), ...near.filter(({kind}) => kind !== 'mark')];
      for (const {kind, text, level: loud} of loudFirst.slice(0, 5)) {
        lines.push(element('span', classOf(kind, loud), text.slice(0, 90)));
      }
      if (near.length > 5) lines.push(element('span', 'quiet', `and ${near.length - 5} more`));
      const tip = $('tip');
      tip.replaceChildren(...lines);
      tip.hidden = false;
      tip.style.left = `${clamp(x - tip.offsetWidth / 2, 4, Math.max(this.width - tip.offsetWidth - 4, 4))}px`;
    }
  }

  // ---- The list of events ----------------------------------------------------------------------------------------

  class Events {
    static ROW = 22; // CSS pixels, as in the style sheet
    rows = []; // all
    listed = []; // those that are to be seen
    matches = null; // those that the search has found, if there is one
    hidden = new Set(); // kinds
    current = -1;

    constructor(app) {
      this.app = app;
      this.box = $('list');
      this.pattern = null;
      this.box.addEventListener('scroll', () => this.draw());
      new ResizeObserver(() => this.draw()).observe(this.box);
      this.box.addEventListener('click', (event) => {
        const row = event.target.closest('[data-row]');
        if (row) this.go(Number(row.dataset.row));
      });
      this.box.addEventListener('keydown', (event) => this.key(event));
      $('search').addEventListener('input', () => this.filter());
      $('search').addEventListener('keydown', (event) => {
        if (event.key === 'Enter') this.step(event.shiftKey ? -1 : 1);
        else if (event.key === 'ArrowDown') this.box.focus();
        else return;
        event.preventDefault();
      });
    }

    load(rows) {
      this.rows = rows;
      for (const [kind, name] of Object.entries(KINDS)) {
        const number = rows.filter((row) => row.kind === kind).length;
        const button = element('button', `k-${kind}`, name, element('small', '', number.toLocaleString('en')));
        button.type = 'button';
        button.disabled = !number;
        button.setAttribute('aria-pressed', 'true');
        button.addEventListener('click', () => {
          const hides = !this.hidden.delete(kind);
          if (hides) this.hidden.add(kind);
          button.setAttribute('aria-pressed', String(!hides));
          this.filter();
        });
        $('kinds').append(button);
      }
      this.filter();
    }

    // Lists what the search finds, of the kinds that are to be seen.
    filter() {
      const wanted = $('search').value;
      this.pattern = patternOf(wanted);
      const shown = this.rows.filter((row) => !this.hidden.has(row.kind));
      this.listed = this.pattern ? shown.filter(({text, source}) => this.isMatch(text) || this.isMatch(source)) : shown;
      this.matches = this.pattern ? new Set(this.listed) : null;
      const found = this.pattern ? `${this.listed.length.toLocaleString('en')} found` : '';
      $('found').value = wanted && !this.pattern ? 'no pattern' : found;
      this.current = -1;
      $('rows').style.height = `${this.listed.length * Events.ROW}px`;
      this.show();
      this.draw();
      if (this.app.film) this.app.timeline.draw();
    }

    isMatch(text) {
      this.pattern.lastIndex = 0;
      return this.pattern.test(text);
    }

    // To the next row that is listed, or the one before, seen from the time.
    step(by) {
      const at = by > 0
        ? upTo(this.listed, this.app.time, timeOf)
        : upTo(this.listed, this.app.time - 1, timeOf) - 1;
      if (this.listed[at]) this.go(at);
    }

    go(row) {
      this.app.pause();
      this.app.seek(this.listed[row].at);
      this.select(row);
    }

    key(event) {
      const page = Math.max(Math.floor(this.box.clientHeight / Events.ROW) - 1, 1);
      const by = {ArrowUp: -1, ArrowDown: 1, PageUp: -page, PageDown: page}[event.key];
      if (!by || !this.listed.length || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      this.go(clamp(this.current + by, 0, this.listed.length - 1));
    }

    // Marks the last row that has happened.
    show() {
      this.select(upTo(this.listed, this.app.time, timeOf) - 1);
    }

    select(row) {
      if (row === this.current) return;
      this.current = row;
      const top = row * Events.ROW;
      const {scrollTop, clientHeight} = this.box;
      if (top < scrollTop || top + Events.ROW > scrollTop + clientHeight) {
        this.box.scrollTop = Math.max(top - clientHeight / 2, 0);
      }
      this.draw();
    }

    // Makes the rows that are to be seen, and no more.
    draw() {
      const first = Math.max(Math.floor(this.box.scrollTop / Events.ROW) - 4, 0);
      const end = Math.min(first + Math.ceil(this.box.clientHeight / Events.ROW) + 8, this.listed.length);
      const made = [];
      for (let i = first; i < end; i++) made.push(this.row(i));
      if (!made.length) made.push(element('p', 'quiet', this.pattern ? 'Nothing is found.' : 'Nothing is listed.'));
      $('rows').replaceChildren(...made);
      const isSeen = this.current >= first && this.current < end;
      if (isSeen) this.box.setAttribute('aria-activedescendant', `row-${this.current}`);
      else this.box.removeAttribute('aria-activedescendant');
    }

    row(i) {
      const {at, kind, text, level: loud, source} = this.listed[i];
      const whose = source ? [element('small', '', source)] : [];
      const line = element('span', 'line', ...whose, ...this.marked(text.slice(0, 2000)));
      const row = element('div', `row ${classOf(kind, loud)}`, element('time', 'mono', (at / SECOND).toFixed(3)), line);
      row.id = `row-${i}`;
      row.dataset.row = String(i);
      row.title = text.slice(0, 4000);
      row.setAttribute('role', 'option');
      row.setAttribute('aria-selected', String(i === this.current));
      row.setAttribute('aria-posinset', String(i + 1));
      row.setAttribute('aria-setsize', String(this.listed.length));
      row.style.top = `${i * Events.ROW}px`;
      if (at > this.app.time && !this.pattern) row.classList.add('later');
      return row;
    }

    // Returns a text in pieces, what is found in it as <mark>.
    marked(text) {
      if (!this.pattern) return [text];
      const pieces = [];
      let from = 0;
      for (const match of text.matchAll(this.pattern)) {
        if (!match[0]) continue;
        pieces.push(text.slice(from, match.index), element('mark', '', match[0]));
        from = match.index + match[0].length;
      }
      return [...pieces, text.slice(from)];
    }
  }

  // Returns the pattern that a search means: /a pattern/, or any text; null for none, or a wrong one.
  function patternOf(wanted) {
    const pattern = /^\/(.+)\/$/.exec(wanted)?.[1];
    try {
      return wanted ? new RegExp(pattern ?? wanted.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'gi') : null;
    } catch {
      return null;
    }
  }

  // ---- The whole -------------------------------------------------------------------------------------------------

  const SPEEDS = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16, 32, 64];
  const BLINK = 600; // milliseconds that each of two pictures is shown
  const QUIET = SECOND; // of nothing new is passed over, where that is wished

  class App {
    trace = null;
    film = null; // the picture at the time
    time = 0;
    picture = 0; // that belongs to the time
    compare = {timeA: null, timeB: null, a: null, b: null, diff: null};
    playing = 0; // number of the running animation frame
    speed = 1;
    watch = 0; // which search for changes is the newest

    constructor() {
      document.body.append(probe);
      this.stage = new Stage(this);
      this.timeline = new Timeline(this);
      this.events = new Events(this);
      this.listen();
    }

    async open() {
      const opening = $('opening');
      const told = (share) => (opening.textContent = `Opening… ${Math.round(share * 100)} %`);
      const bytes = await bytesOf($('trace').textContent, (share) => told(share / 2));
      const trace = await Trace.read(bytes, (share) => told(0.5 + share / 2));
      this.trace = trace;
      this.time = trace.start;
      this.bitmaps = new Bitmaps(bytes);
      this.snapshots = new Snapshots(trace);
      const film = () => new Film(trace, this.bitmaps, this.snapshots);
      [this.compare.a, this.compare.b, this.film] = [film(), film(), film()];
      $('title').textContent = trace.head.title || 'Trace';
      $('source').textContent = [trace.head.source, `${trace.width}×${trace.height}`].filter(Boolean).join(' · ');
      $('duration').value = `/ ${seconds(trace.end)}`;
      this.events.load(rowsOf(trace));
      this.showAbout();
      this.showNotices();
      this.timeline.all();
      opening.hidden = trace.at.length > 0;
      opening.textContent = 'There is no picture in this trace.';
      this.stage.resize();
      await this.seek(linked() ?? trace.seen(trace.of.failure[0]) ?? trace.end);
    }

    // ---- the time

    // Goes to a time; returns when its picture is there.
    async seek(time) {
      const {trace} = this;
      this.time = clamp(Math.round(time), trace.start, trace.end);
      this.picture = trace.pictureAt(this.time);
      this.showTime();
      if (!trace.at.length) return;
      await Promise.all([this.film.show(this.picture), this.showCompared()]);
      this.stage.draw();
      if (this.bitmaps.damaged) this.showNotices();
      this.tellPlace();
    }

    by(duration) {
      this.pause();
      return this.seek(this.time + duration);
    }

    // To the next of some rising times, or the one before.
    toNext(times, by) {
      this.pause();
      const at = by > 0 ? upTo(times, this.time) : upTo(times, this.time - 1) - 1;
      if (times[at] !== undefined) this.seek(times[at]);
    }

    get frame() {
      const fps = this.trace.latest('rate', this.time)?.fps ?? this.trace.head.fps;
      return SECOND / (fps || 30);
    }

    toggle() {
      if (this.playing) return this.pause();
      if (!this.trace.at.length) return undefined;
      if (this.time >= this.trace.end) this.seek(this.trace.start);
      let last = performance.now();
      const tick = (now) => {
        const next = this.time + (now - last) * 1e6 * this.speed;
        last = now;
        this.playing = requestAnimationFrame(tick);
        this.seek($('skip').checked ? this.pastQuiet(next) : next);
        for (let ahead = 1; ahead <= 3; ahead++) this.warm(this.picture + ahead);
        if (next >= this.trace.end) this.pause();
      };
      this.playing = requestAnimationFrame(tick);
      return this.showPlaying();
    }

    pause() {
      if (!this.playing) return;
      cancelAnimationFrame(this.playing);
      this.playing = 0;
      this.showPlaying();
      this.link();
    }

    // Has the patches of a picture that comes soon decoded.
    warm(picture) {
      if (picture < this.trace.at.length) for (const patch of this.trace.patchesOf(picture)) this.bitmaps.get(patch);
    }

    // Returns a time, or the one shortly before something happens, if that is far.
    pastQuiet(time) {
      const {trace, events} = this;
      const row = events.rows[upTo(events.rows, time, timeOf)];
      const next = Math.min(trace.at[upTo(trace.at, time)] ?? trace.end, row?.at ?? trace.end);
      return next - time > QUIET ? next - QUIET / 4 : time;
    }

    setSpeed(speed) {
      this.speed = speed;
      $('speed').value = String(speed);
    }

    // ---- a pixel's past and future

    async findChange(by) {
      const {stage, trace} = this;
      const region = stage.region ?? (stage.cursor && {...stage.cursor, width: 1, height: 1});
      if (!region) return this.tell('Click a pixel, or drag over a region, to ask when it changed.');
      this.pause();
      const mine = ++this.watch;
      const gone = new Error('another search has begun');
      const progress = async (time) => {
        this.tell(`Searching at ${seconds(time)}…`);
        await breathe();
        if (mine !== this.watch) throw gone;
      };
      try {
        const watch = new Watch(trace, this.bitmaps, region, progress);
        const before = upTo(trace.at, this.time - 1) - 1;
        const found = by > 0 ? await watch.after(this.picture) : before < 0 ? -1 : await watch.before(before);
        if (mine !== this.watch) return undefined;
        if (found < 0) return this.tell(by > 0 ? 'It does not change any more.' : 'It had not changed before.');
        const away = Math.abs(trace.at[found] - this.time);
        await this.seek(trace.at[found]);
        return this.tell(`Changed at ${seconds(this.time)}, ${seconds(away)} ${by > 0 ? 'later' : 'earlier'}.`);
      } catch (error) {
        if (error === gone) return undefined;
        throw error;
      }
    }

    // ---- two instants

    // Sets one of them here, or anywhere; what is not set is the time that is shown.
    async set(name, time = this.time) {
      this.compare[`time${name}`] = time;
      $('mode').disabled = false;
      $(`set-${name.toLowerCase()}`).classList.add('set');
      this.timeline.draw();
      await this.showCompared();
      if (!this.stage.mode) this.tell(`${name} is ${seconds(time)}. Compare it by d.`);
      this.stage.draw();
    }

    unset() {
      this.compare.timeA = this.compare.timeB = null;
      $('mode').disabled = true;
      for (const id of ['set-a', 'set-b']) $(id).classList.remove('set');
      this.timeline.draw();
    }

    setMode(mode) {
      const {stage} = this;
      if (mode && this.compare.timeA === null && this.compare.timeB === null) {
        this.tell('Set A or B first, by the keys a and b.');
        mode = '';
      }
      stage.mode = mode;
      $('mode').value = mode;
      $('slide').hidden = mode !== 'slide';
      clearInterval(this.blinking);
      stage.blink = false;
      if (mode === 'blink') {
        this.blinking = setInterval(() => {
          stage.blink = !stage.blink;
          stage.draw();
        }, BLINK);
      }
      stage.refit();
      return this.showCompared().then(() => stage.draw());
    }

    // The times of A and B.
    get compared() {
      return [this.compare.timeA ?? this.time, this.compare.timeB ?? this.time];
    }

    async showCompared() {
      const {compare, stage, trace} = this;
      if (!stage.mode) return;
      const pictures = this.compared.map((time) => trace.pictureAt(time));
      await Promise.all([compare.a.show(pictures[0]), compare.b.show(pictures[1])]);
      const name = `${compare.a.picture} ${compare.b.picture} ${ink('text')}`;
      if (compare.diff?.name === name) return;
      const {width, height} = trace;
      const [one, other] = [compare.a, compare.b].map(({context}) => context.getImageData(0, 0, width, height));
      const colours = isTheme('dark') ? {base: 12, pixel: 0xff8a4dff} : {base: 176, pixel: 0xff5a00e6}; // A B G R
      const {pixels, boxes, image} = difference(one, other, colours);
      const made = canvasOf(width, height);
      made.context.putImageData(image, 0, 0);
      const number = `${count(pixels, 'pixel')} in ${count(boxes.length, 'place')}`;
      const told = pixels
        ? `${number} ${pixels === 1 ? 'differs' : 'differ'}, the largest ${place(boxes[0])}`
        : 'no pixel differs';
      compare.diff = {name, pixels, boxes, canvas: made.canvas, words: told};
      if (stage.mode !== 'difference') this.tell(told);
    }

    // ---- what is said

    // Says something over the picture, for as long as it takes to read it.
    tell(text) {
      $('told').value = text;
      $('told').classList.remove('old');
      clearTimeout(this.telling);
      this.telling = setTimeout(() => $('told').classList.add('old'), 5000);
    }

    tellPlace() {
      const {stage, film} = this;
      const pixel = stage.cursor ?? stage.hover;
      $('swatch').hidden = !pixel;
      if (!pixel || !film) {
        $('place').value = '';
        return;
      }
      const [red, green, blue] = film.context.getImageData(pixel.x, pixel.y, 1, 1).data;
      const colour = `#${[red, green, blue].map((value) => value.toString(16).padStart(2, '0')).join('')}`;
      $('place').value = `${pixel.x}, ${pixel.y}  ${colour}`;
      $('swatch').style.background = colour;
    }

    tellRegion() {
      const {region} = this.stage;
      $('chosen').hidden = !region;
      const isPixel = region && region.width * region.height === 1;
      if (region) $('region').value = isPixel ? `pixel ${region.x}, ${region.y}` : place(region);
      this.watch++; // a search for another one is given up
      this.tell('');
    }

    // ---- what is shown at a time

    showTime() {
      const {trace, time, picture} = this;
      this.timeline.move();
      const box = $('timeline');
      box.setAttribute('aria-valuemin', String(trace.start / SECOND));
      box.setAttribute('aria-valuemax', String(trace.end / SECOND));
      box.setAttribute('aria-valuenow', String(time / SECOND));
      box.setAttribute('aria-valuetext', `${seconds(time)} of ${seconds(trace.end)}`);
      if (document.activeElement !== $('time')) $('time').value = (time / SECOND).toFixed(3);
      if (trace.head.started_at) {
        const date = new Date((trace.head.started_at + time / SECOND) * 1000);
        const thousandths = String(date.getMilliseconds()).padStart(3, '0');
        $('clock').value = `${date.toLocaleDateString('en-CA')} ${date.toLocaleTimeString('en-GB')}.${thousandths}`;
      }
      if (trace.at.length) {
        const patches = trace.patchesOf(picture);
        const bytes = trace.size[picture] / 1024;
        $('state').value = `picture ${(picture + 1).toLocaleString('en')} of ${trace.at.length.toLocaleString('en')}`
          + ` · since ${seconds(trace.at[picture])} · ${count(patches.length, 'rectangle')}, ${bytes.toFixed(1)} KiB`;
      }
      this.showFailure();
      this.showBadge();
      this.showKeys();
      this.events.show();
      if (!$('windows').hidden) this.showWindows();
      if (!this.playing) this.link();
    }

    showBadge() {
      const {trace, time} = this;
      const gap = trace.gapAt(time);
      const rate = trace.latest('rate', time);
      const badge = $('badge');
      const isLow = rate && rate.fps < (trace.head.fps ?? 0);
      badge.hidden = !gap && !isLow;
      if (gap) badge.textContent = `No pictures until ${seconds(gap.until)}: ${gap.why}`;
      else if (isLow) {
        const why = rate.why ? `: ${rate.why}` : '';
        badge.textContent = `At most ${count(rate.fps, 'picture')} a second here${why}`;
      }
      badge.title = badge.textContent; // which may be cut
    }

    // The keys that were pressed, and what was typed, in the second before.
    showKeys() {
      const {trace, time, stage} = this;
      const keys = trace.inputsBefore(time).filter(({x}) => x === undefined);
      const words = keys.slice(-3).map((input) => wordsOfInput(input));
      const text = stage.flags.overlays ? words.join('\n') : '';
      if ($('keys').dataset.text === text) return;
      $('keys').dataset.text = text;
      $('keys').replaceChildren(...(text ? words.map((word) => element('kbd', '', word)) : []));
    }

    showPlaying() {
      document.body.classList.toggle('playing', this.playing > 0);
      $('play').setAttribute('aria-label', this.playing ? 'Pause' : 'Play');
    }

    // The failure that has happened last, or will happen first.
    showFailure() {
      const failure = this.trace.latest('failure', this.time) ?? this.trace.of.failure[0];
      if (!failure || failure === this.failure) return;
      this.failure = failure;
      $('failure').hidden = false;
      $('failure-title').textContent = failure.title;
      $('failure-go').textContent = seconds(this.trace.seen(failure));
      $('failure-place').textContent = failure.file ? `${failure.file}${failure.line ? `:${failure.line}` : ''}` : '';
      $('failure-text').textContent = failure.text ?? '';
      $('failure-text').hidden = !failure.text;
    }

    foldFailure() {
      const button = $('failure-fold');
      const opens = button.getAttribute('aria-expanded') === 'false';
      button.setAttribute('aria-expanded', String(opens));
      $('failure-report').hidden = !opens;
    }

    showNotices() {
      const {trace, bitmaps} = this;
      const notices = [];
      const end = trace.of.end.at(-1);
      if (end?.why) notices.push(`Ended early: ${end.why}`);
      if (!end) notices.push(`Cut off: it has no end. All until ${seconds(trace.end)} is good.`);
      else if (!trace.isWhole) notices.push(`Damaged: nothing behind ${seconds(trace.end)} can be read.`);
      if (bitmaps.damaged) notices.push(`${count(bitmaps.damaged, 'rectangle')} can not be decoded`);
      $('notices').replaceChildren(...notices.map((text) => element('span', 'notice', text)));
    }

    showWindows() {
      const {trace, stage, time} = this;
      const windows = (trace.latest('windows', time)?.windows ?? []).toReversed();
      const name = JSON.stringify(windows);
      if ($('windows').dataset.shown === name) return;
      $('windows').dataset.shown = name;
      const rows = windows.map(([id, title, x, y, width, height]) => {
        const box = {x, y, width, height};
        const button = element('button', 'window-row', element('b', title ? '' : 'quiet', title || 'no title'),
          element('span', 'mono quiet', `0x${id.toString(16)}  ${place(box)}`));
        button.type = 'button';
        button.title = 'Choose its region; twice: zoom to it';
        const hover = (value) => {
          stage.hovered = value;
          stage.draw();
        };
        for (const event of ['pointerenter', 'focus']) button.addEventListener(event, () => hover(id));
        for (const event of ['pointerleave', 'blur']) button.addEventListener(event, () => hover(null));
        button.addEventListener('click', () => stage.choose(inside(box, trace)));
        button.addEventListener('dblclick', () => stage.zoomInto(box));
        return button;
      });
      if (!rows.length) rows.push(element('p', 'quiet', 'There is no window at this instant.'));
      $('windows').replaceChildren(...rows);
    }

    showAbout() {
      const {trace} = this;
      const {head} = trace;
      const started = head.started_at ? new Date(head.started_at * 1000) : null;
      const facts = {
        Title: head.title,
        Source: head.source,
        Region: `${trace.width}×${trace.height}${head.origin ? ` at ${head.origin.join(', ')}` : ''}`,
        Started: started && `${started.toLocaleString()} (${started.toISOString()})`,
        Covers: `${seconds(trace.start)} to ${seconds(trace.end)}`,
        Pictures: `${count(trace.at.length, 'picture')}, ${count(trace.patches.length, 'rectangle')}`,
        Size: `${(trace.bytes.length / MIB).toFixed(2)} MiB`,
        'At most': head.fps && `${head.fps} pictures a second`,
        'Read by': head.how,
        Ended: trace.of.end.length ? trace.of.end.at(-1).why || 'as it was meant to' : 'not: it was cut off',
        'Not in it': leftOut(trace.of.end.at(-1)),
        'Written by': head.xshm && `xshm ${head.xshm}, format ${head.version}`,
      };
      const list = element('dl', '');
      for (const [name, value] of Object.entries(facts)) {
        if (value) list.append(element('dt', '', name), element('dd', '', String(value)));
      }
      $('about').replaceChildren(list);
    }

    // ---- the address

    link() {
      clearTimeout(this.linking);
      this.linking = setTimeout(() => {
        try {
          history.replaceState(null, '', `#t=${this.linkTime()}`);
        } catch {
          // a frame of another page may have no address of its own
        }
      }, 200);
    }

    // Returns the time as few digits that lead to the same picture.
    linkTime() {
      for (let digits = 2; digits < 9; digits++) {
        const text = (this.time / SECOND).toFixed(digits);
        const time = Math.round(Number(text) * SECOND);
        const isInside = time >= this.trace.start && time <= this.trace.end;
        const isSame = isInside && this.trace.pictureAt(time) === this.picture;
        if (isSame && Math.abs(time - this.time) < SECOND / 100) return text;
      }
      return (this.time / SECOND).toFixed(9);
    }

    async copyLink() {
      const address = `${location.href.split('#')[0]}#t=${this.linkTime()}`;
      try {
        await navigator.clipboard.writeText(address);
        this.tell('The link is copied.');
      } catch {
        this.tell(address);
      }
    }

    // ---- buttons and keys

    listen() {
      const {stage} = this;
      const flag = (name) => () => {
        stage.flags[name] = !stage.flags[name];
        $(name).setAttribute('aria-pressed', String(stage.flags[name]));
        $('viewport').classList.toggle('hand', stage.flags.hand);
        if (this.trace) this.showKeys();
        stage.draw();
      };
      const pictures = (by) => () => this.toNext(this.trace.at, by);
      const marks = (by) => () => this.toNext(this.trace.marks.map(timeOf), by);
      this.actions = {
        play: () => this.toggle(),
        'frame-back': () => this.by(-this.frame), 'frame-on': () => this.by(this.frame),
        'change-back': pictures(-1), 'change-on': pictures(1), 'mark-back': marks(-1), 'mark-on': marks(1),
        fit: () => stage.fit(), 'zoom-in': () => stage.step(1), 'zoom-out': () => stage.step(-1),
        hand: flag('hand'), changed: flag('changed'), overlays: flag('overlays'), outlines: flag('outlines'),
        'set-a': () => this.set('A'), 'set-b': () => this.set('B'),
        last: () => this.findChange(-1), next: () => this.findChange(1), clear: () => stage.choose(null),
        copy: () => this.copyLink(), theme: () => this.turnTheme(), help: () => this.showHelp(),
        'failure-go': () => this.toFailure(), 'failure-fold': () => this.foldFailure(),
      };
      for (const [id, action] of Object.entries(this.actions)) {
        $(id).addEventListener('click', (event) => {
          event.preventDefault();
          if (event.detail) event.currentTarget.blur(); // after the mouse, the space bar plays again
          if (this.film || id === 'theme' || id === 'help') action();
        });
      }
      for (const speed of SPEEDS) {
        $('speed').append(new Option(speed < 1 ? `1/${1 / speed}×` : `${speed}×`, String(speed)));
      }
      this.setSpeed(1);
      $('speed').addEventListener('change', () => this.setSpeed(Number($('speed').value)));
      $('mode').addEventListener('change', () => this.setMode($('mode').value));
      $('slide').addEventListener('input', () => {
        stage.slide = $('slide').value / 1000;
        stage.draw();
      });
      $('time').addEventListener('keydown', (event) => this.typeTime(event));
      $('time').addEventListener('blur', () => this.trace && this.showTime());
      this.listenToTabs();
      document.addEventListener('keydown', (event) => this.key(event));
      window.addEventListener('hashchange', () => {
        const time = linked();
        if (time === null || !this.film) return;
        this.pause();
        this.seek(time);
      });
      matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.repaint());
    }

    listenToTabs() {
      const tabs = ['events', 'windows', 'about'];
      this.openTab = (name) => {
        for (const each of tabs) {
          const isOpen = each === name;
          $(each).hidden = !isOpen;
          $(`tab-${each}`).setAttribute('aria-selected', String(isOpen));
          $(`tab-${each}`).tabIndex = isOpen ? 0 : -1;
        }
        if (this.trace && name === 'windows') this.showWindows();
      };
      tabs.forEach((name, i) => {
        $(`tab-${name}`).addEventListener('click', () => this.openTab(name));
        $(`tab-${name}`).addEventListener('keydown', (event) => {
          const by = {ArrowLeft: tabs.length - 1, ArrowRight: 1}[event.key];
          if (!by) return;
          event.stopPropagation();
          const next = tabs[(i + by) % tabs.length];
          this.openTab(next);
          $(`tab-${next}`).focus();
        });
      });
    }

    typeTime(event) {
      event.stopPropagation();
      if (event.key === 'Escape') $('timeline').focus();
      if (event.key !== 'Enter' || !this.film) return;
      const parts = $('time').value.replace(/s$/, '').split(':').map(Number);
      const time = parts.reduce((sum, part) => sum * 60 + part, 0);
      if (Number.isNaN(time)) return;
      this.pause();
      $('timeline').focus();
      this.seek(time * SECOND);
    }

    toFailure() {
      this.pause();
      if (this.failure) this.seek(this.trace.seen(this.failure));
      else this.tell('There is no failure in this trace.');
    }

    speedBy(by) {
      this.setSpeed(SPEEDS[clamp(SPEEDS.indexOf(this.speed) + by, 0, SPEEDS.length - 1)]);
      this.tell(`Speed ${$('speed').selectedOptions[0].text}`);
    }

    escape() {
      this.watch++;
      if (this.stage.mode) this.setMode('');
      else if (this.stage.region) this.stage.choose(null);
      else this.unset();
    }

    nextMode() {
      const modes = [...$('mode').options].map((option) => option.value);
      this.setMode(modes[(modes.indexOf(this.stage.mode) + 1) % modes.length]);
    }

    // Of each key: what it does, and what the help says of it (keys that belong together say it once).
    get bindings() {
      const {actions} = this;
      const press = (name) => actions[name];
      return this.bound ??= new Map([
        [' ', [press('play'), 'Space|k', 'Play, pause']], ['k', [press('play')]],
        ['j', [() => this.by(-10 * SECOND), 'j|l', 'Ten seconds back, on']], ['l', [() => this.by(10 * SECOND)]],
        ['ArrowLeft', [() => this.by(-SECOND), '←|→', 'A second back, on (with Shift: five)']],
        ['ArrowRight', [() => this.by(SECOND)]],
        ['Shift ArrowLeft', [() => this.by(-5 * SECOND)]], ['Shift ArrowRight', [() => this.by(5 * SECOND)]],
        [',', [press('frame-back'), ',|.', 'A frame back, on']], ['.', [press('frame-on')]],
        ['[', [press('change-back'), '[|]', 'Change before, next']], [']', [press('change-on')]],
        ['m', [press('mark-on'), 'm|Shift+m', 'Next mark, mark before']], ['M', [press('mark-back')]],
        ['e', [press('failure-go'), 'e', 'To the failure']],
        ['Home', [() => this.by(-Infinity), 'Home|End', 'Start, end']], ['End', [() => this.by(Infinity)]],
        ['0', [() => undefined, '0|…|9', 'Tenths of the whole']],
        ['<', [() => this.speedBy(-1), '<|>', 'Slower, faster']], ['>', [() => this.speedBy(1)]],
        ['i', [() => $('skip').click(), 'i', 'Pass over what is quiet']],
        ['@', [() => $('time').select(), '@', 'Go to an instant: 12.34 or 1:02.5']],
        ['+', [press('zoom-in'), '+|−', 'Larger, smaller (wheel)']],
        ['=', [press('zoom-in')]], ['-', [press('zoom-out')]],
        ['f', [press('fit'), 'f', 'All of the picture, or pixel by pixel']],
        ['v', [() => $('view').focus(), 'v|then ← ↑ → ↓', 'A crosshair (Shift: ten); Enter begins and ends a region']],
        ['p', [press('last'), 'p|n', 'When the pixel or region changed last, changes next']], ['n', [press('next')]],
        ['a', [press('set-a'), 'a|b', 'Compare from here, to here']], ['b', [press('set-b')]],
        ['d', [() => this.nextMode(), 'd', 'Side by side, difference, blink, slide']],
        ['r', [press('changed'), 'r', 'Outline what the change has painted']],
        ['h', [press('overlays'), 'h', 'Pointer, clicks and keys']],
        ['w', [press('outlines'), 'w', 'Outline all windows']],
        ['g', [press('hand'), 'g', 'Drag moves the picture (also with Shift, or the right button)']],
        ['/', [() => (this.openTab('events'), $('search').select()), '/', 'Search; Enter: next, Shift+Enter: before']],
        ['z', [() => this.timeline.zoom(0.5, this.time), 'z|Shift+z', 'Timeline nearer, farther (wheel; twice: all)']],
        ['Z', [() => this.timeline.zoom(2, this.time)]],
        ['c', [press('copy'), 'c', 'Copy a link to this instant']],
        ['t', [press('theme'), 't', 'Light or dark']],
        ['Escape', [() => this.escape(), 'Escape', 'One picture again; no region; no A and B']],
        ['?', [press('help'), '?', 'This list']],
      ]);
    }

    key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey || $('keyboard').open || !this.film) return;
      const {target, key} = event;
      const isText = target.matches('input[type=search], input:not([type]), select');
      if (isText) {
        if (key === 'Escape') $('timeline').focus();
        return;
      }
      if (target.matches('input[type=range]') && /^(Arrow|Home|End|Page)/.test(key)) return;
      if (target.matches('button, summary, input') && key === ' ') return; // a press of that
      if (/^[0-9]$/.test(key)) this.by(this.trace.start + ((this.trace.end - this.trace.start) * key) / 10 - this.time);
      else {
        const isShifted = event.shiftKey && key.startsWith('Arrow');
        const bound = this.bindings.get(isShifted ? `Shift ${key}` : key);
        if (!bound) return;
        bound[0]();
      }
      event.preventDefault();
    }

    showHelp() {
      const list = element('dl', '');
      for (const [, keys, text] of this.bindings.values()) {
        if (!keys) continue;
        const caps = keys.split('|').map((key) => element('kbd', '', key));
        list.append(element('dt', '', ...caps), element('dd', '', text));
      }
      $('keyboard-list').replaceChildren(list);
      $('keyboard').showModal();
    }

    turnTheme() {
      document.documentElement.dataset.theme = isTheme('dark') ? 'light' : 'dark';
      this.repaint();
    }

    repaint() {
      if (!this.film) return;
      this.timeline.draw();
      this.showCompared();
      this.stage.draw();
    }
  }

  // Whether the page is dark (or light) now.
  function isTheme(theme) {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === theme : matchMedia(`(prefers-color-scheme: ${theme})`).matches;
  }

  // Returns what of a box is in the picture; null for nothing.
  function inside(box, {width, height}) {
    const [x, y] = [Math.max(box.x, 0), Math.max(box.y, 0)];
    const [right, bottom] = [Math.min(box.x + box.width, width), Math.min(box.y + box.height, height)];
    return right > x && bottom > y ? {x, y, width: right - x, height: bottom - y} : null;
  }

  // Returns the time that the address names, if it does.
  function linked() {
    const found = /[#&]t=([0-9.]+)/.exec(location.hash);
    return found && Number.isFinite(Number(found[1])) ? Math.round(Number(found[1]) * SECOND) : null;
  }

  const app = new App();
  const ready = app.open().catch((error) => {
    $('opening').hidden = false;
    $('opening').textContent = `This trace can not be shown: ${error.message}`;
    throw error;
  });
  globalThis.xshm = {
    ready,
    seek: (time) => app.seek(time * SECOND),
    get seconds() {
      return app.time / SECOND;
    },
    get canvas() {
      return app.film.canvas;
    },
    app,
  };
})();
