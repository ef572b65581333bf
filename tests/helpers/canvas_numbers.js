// Notes when a number is readable on the page: in its canvas after each drawing, or in an image at each frame.
//
// A number is some black or white squares in a row, the highest bit first, and below it the same again, inverted, as
// counter_screen.py has it. `numbers.seen` has [number, milliseconds of performance.now()] for each new one.

{
  const BITS = 16; // at most
  const EDGE = 16; // pixels of a square
  const CONTRAST = 100; // between a bit and its inverse: less is a picture that is torn, or none
  const scratch = document.createElement("canvas");
  scratch.width = BITS * EDGE;
  scratch.height = 2 * EDGE;
  const aside = scratch.getContext("2d", { willReadFrequently: true });
  const readImageData = CanvasRenderingContext2D.prototype.getImageData;
  const drawPicture = CanvasRenderingContext2D.prototype.drawImage;

  const numbers = {
    seen: [],
    at: null, // [x, y, bits] of the number in the picture
    note(context, x, y, bits) {
      const { data } = readImageData.call(context, x, y + EDGE / 2, bits * EDGE, EDGE + 1);
      let number = 0;
      for (let bit = 0; bit < bits; bit += 1) {
        const upper = 4 * (EDGE / 2 + bit * EDGE) + 1; // green
        const lower = upper + 4 * bits * EDGE * EDGE;
        const difference = data[upper] - data[lower];
        if (Math.abs(difference) < CONTRAST) return;
        number = 2 * number + (difference > 0);
      }
      const last = this.seen.at(-1);
      if (!last || last[0] !== number) this.seen.push([number, performance.now()]);
    },
    follow(image) {
      const look = () => {
        if (this.at && image.naturalWidth) {
          const [x, y, bits] = this.at;
          drawPicture.call(aside, image, x, y, scratch.width, scratch.height, 0, 0, scratch.width, scratch.height);
          this.note(aside, 0, 0, bits);
        }
        requestAnimationFrame(look);
      };
      look();
    },
  };

  const pending = new Set();
  const watched = (prototype, name) => {
    const draw = prototype[name];
    prototype[name] = function drawAndLook(...what) {
      const result = draw.apply(this, what);
      // What is drawn aside is not shown; a small one is no screen.
      if (numbers.at && this.canvas.width > 300 && this.canvas.isConnected && !pending.has(this)) {
        pending.add(this);
        queueMicrotask(() => {
          pending.delete(this);
          numbers.note(this, ...numbers.at);
        });
      }
      return result;
    };
  };
  for (const name of ["drawImage", "putImageData"]) watched(CanvasRenderingContext2D.prototype, name);
  window.numbers = numbers;
}
