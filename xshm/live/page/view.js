// The View of one screen: how large it is seen, and which part of it.
//
// Always true:
// 1. A zoom is in device pixels a pixel: at 1 each pixel of the screen is one of the monitor.
// 2. Fit shows all of the screen, as large as it goes; where that is a little more than a whole zoom, it is that one,
//    so that nothing is blurred for a narrow edge.

const ZOOMS = [1 / 16, 1 / 8, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 3 / 4, 1, 1.25, 1.5, 2, 3, 4, 6, 8, 12, 16];
const NARROW = 1.15; // how much more than a whole zoom fits, at most, where that is taken
const STEP = 60; // CSS pixels that an arrow key moves the screen
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export class View {
  screen = null;
  isFit = true;
  zoom = 1;

  // `changed()` is called after each change of the zoom.
  constructor(scroller, changed) {
    this.scroller = scroller;
    this.changed = changed;
    this.isHand = true; // dragging moves the picture
    new ResizeObserver(() => this.place()).observe(scroller);
    scroller.addEventListener('wheel', (event) => this.wheel(event), {passive: false});
    scroller.addEventListener('pointerdown', (event) => this.grab(event));
  }

  // Shows another screen; null shows none.
  set(screen) {
    if (this.screen === screen) return;
    this.screen = screen;
    this.scroller.replaceChildren(...(screen ? [screen.element] : []));
    this.place();
  }

  // Lays the screen out anew: it, or its room, has another size.
  place() {
    const {screen, scroller} = this;
    if (!screen || scroller.hidden) return; // what is hidden has no room
    scroller.classList.toggle('fit', this.isFit);
    if (this.isFit) this.zoom = this.fitting();
    screen.show(this.zoom / devicePixelRatio);
    scroller.classList.toggle('hand', this.isHand && !this.isFit);
    this.changed();
  }

  fitting() {
    const {width, height} = this.screen;
    const room = this.scroller.getBoundingClientRect();
    const most = Math.min(room.width / width, room.height / height) * devicePixelRatio;
    const whole = Math.floor(most);
    return whole >= 1 && most / whole < NARROW ? whole : Math.max(most, ZOOMS[0]);
  }

  fit() {
    if (this.isFit) this.zoomTo(1);
    else {
      this.isFit = true;
      this.place();
    }
  }

  step(by, at) {
    const next = by > 0 ? ZOOMS.find((zoom) => zoom > this.zoom * 1.001) : ZOOMS.findLast((zoom) => zoom < this.zoom * 0.999);
    if (next) this.zoomTo(next, at);
  }

  // Zooms so that a point of the window, or the middle, stays over the same point of the screen.
  zoomTo(zoom, at) {
    const {screen, scroller} = this;
    if (!screen) return;
    const room = scroller.getBoundingClientRect();
    const [x, y] = at ?? [room.x + room.width / 2, room.y + room.height / 2];
    const before = screen.element.getBoundingClientRect();
    const [across, down] = [(x - before.x) / before.width, (y - before.y) / before.height];
    this.isFit = false;
    this.zoom = clamp(zoom, ZOOMS[0], ZOOMS.at(-1));
    this.place();
    const after = screen.element.getBoundingClientRect();
    scroller.scrollLeft += after.x + across * after.width - x;
    scroller.scrollTop += after.y + down * after.height - y;
  }

  // Moves the part that is seen.
  scroll(across, down) {
    this.scroller.scrollBy(across * STEP, down * STEP);
  }

  // The wheel scrolls; with Ctrl, as by two fingers on a pad, it zooms.
  wheel(event) {
    if (!event.ctrlKey || !this.screen) return;
    event.preventDefault();
    this.turned = (this.turned ?? 0) + event.deltaY;
    if (Math.abs(this.turned) < 30) return;
    this.step(-Math.sign(this.turned), [event.clientX, event.clientY]);
    this.turned = 0;
  }

  // A mouse drags the picture; fingers scroll it by themselves.
  grab(event) {
    const {scroller} = this;
    if (!this.isHand || this.isFit || event.pointerType !== 'mouse' || event.button !== 0) return;
    const from = [event.clientX + scroller.scrollLeft, event.clientY + scroller.scrollTop];
    const move = ({clientX, clientY}) => scroller.scrollTo(from[0] - clientX, from[1] - clientY);
    const done = () => {
      scroller.removeEventListener('pointermove', move);
      scroller.classList.remove('moving');
    };
    scroller.setPointerCapture(event.pointerId);
    scroller.classList.add('moving');
    scroller.addEventListener('pointermove', move);
    scroller.addEventListener('lostpointercapture', done, {once: true});
  }

  // Returns the pixel of the screen that a pointer's event is over; outside of it the nearest one.
  pixelAt({clientX, clientY}) {
    const {canvas, width, height} = this.screen;
    const box = canvas.getBoundingClientRect();
    return {
      x: clamp(Math.floor(((clientX - box.x) / box.width) * width), 0, width - 1),
      y: clamp(Math.floor(((clientY - box.y) / box.height) * height), 0, height - 1),
    };
  }
}
