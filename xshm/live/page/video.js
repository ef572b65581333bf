// VideoPictures: frames of H.264, one after another, by the browser's own decoder (WebCodecs).
//
// Always true:
// 1. Frames come out in the order of the calls, each as soon as it is decoded: none is held back for the next.
// 2. Decoding begins with a key, and again with one after an error; what comes in between is refused.
// 3. What the stream is (profile, level) is read from its own parameters, which each key brings.
// 4. A promise is always settled: a decoder that keeps a frame for HELD has it taken from it, which it can not go on
//    after; so the next frame is refused, unless it is a key.
//
// `description` is left out, by which a decoder knows Annex B. Without a duration Firefox gives up. The colours' tags are
// in the stream, but browsers differ in what they make of them: they are said here as well.

import {H264_KEY} from './updates.js';

const DURATION = 16_667; // microseconds
const HELD = 2000; // milliseconds
const SPS = 7; // the type of a unit that has the stream's parameters
const COLOURS = {matrix: 'smpte170m', primaries: 'bt709', transfer: 'bt709', fullRange: false};

export class VideoPictures {
  waiting = new Map(); // by timestamp: what a decoded frame is given to
  frames = 0;
  parameters = ''; // of the stream

  // Returns a promise of a part's VideoFrame, which whoever has it closes.
  decode({codec, bytes}) {
    const isKey = codec === H264_KEY;
    try {
      if (isKey) this.configure(parametersOf(bytes));
      if (this.decoder?.state !== 'configured') throw new Error('the video does not begin with a key frame');
      return this.give(isKey, bytes);
    } catch (error) {
      this.close(error);
      return Promise.reject(error);
    }
  }

  configure(parameters) {
    if (parameters === this.parameters && this.decoder?.state === 'configured' && !this.isFlushed) return;
    if (this.decoder?.state !== 'configured') {
      const decoder = new VideoDecoder({
        output: (frame) => this.take(frame),
        error: (error) => decoder === this.decoder && this.close(error),
      });
      this.decoder = decoder;
    }
    this.parameters = parameters;
    this.isFlushed = false;
    const codec = `avc1.${parameters.slice(0, 6)}`; // profile, constraints, level
    this.decoder.configure({codec, optimizeForLatency: true, colorSpace: COLOURS});
  }

  give(isKey, data) {
    if (this.isFlushed && !isKey) throw new Error('the decoder holds frames back');
    const timestamp = this.frames++ * DURATION;
    const entry = {};
    const promise = new Promise((resolve, reject) => {
      Object.assign(entry, {resolve, reject});
    });
    this.waiting.set(timestamp, entry);
    entry.timer = setTimeout(() => this.flush(), HELD);
    const type = isKey ? 'key' : 'delta';
    try {
      this.decoder.decode(new EncodedVideoChunk({type, timestamp, duration: DURATION, data}));
    } catch (error) { // it looks for the parameters, and for the picture
      this.close(error);
    }
    return promise;
  }

  take(frame) {
    const entry = this.waiting.get(frame.timestamp);
    this.waiting.delete(frame.timestamp);
    clearTimeout(entry?.timer);
    if (entry) entry.resolve(frame);
    else frame.close();
  }

  async flush() {
    if (this.isFlushed) return;
    const {decoder} = this;
    this.isFlushed = true;
    await decoder.flush().catch(() => undefined); // the error is told by itself
    if (decoder === this.decoder && this.waiting.size) this.close(new Error('the decoder keeps frames'));
  }

  // Frees the decoder; what it has not decoded is refused.
  close(error = new Error('the video has ended')) {
    const {decoder, waiting} = this;
    this.decoder = null;
    this.parameters = '';
    this.waiting = new Map();
    for (const {timer, reject} of waiting.values()) {
      clearTimeout(timer);
      reject(error);
    }
    if (decoder && decoder.state !== 'closed') decoder.close();
  }
}

// Returns the parameters of the stream that a key frame in Annex B begins, in hexadecimal.
function parametersOf(bytes) {
  const isStart = (at) => bytes[at] === 0 && bytes[at + 1] === 0 && bytes[at + 2] <= 1;
  for (let at = 0; at + 6 < bytes.length; at++) {
    if (!isStart(at) || bytes[at + 2] !== 1 || (bytes[at + 3] & 31) !== SPS) continue;
    let end = at + 4;
    while (end < bytes.length && !isStart(end)) end++;
    return [...bytes.subarray(at + 4, end)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }
  throw new Error('a key frame lacks its parameters');
}
