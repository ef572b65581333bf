// Input: mouse, touch, wheel and keys of the screen that is shown, sent to the hub (see `xshm.live.input`).
//
// Always true:
// 1. What was pressed here is released here: when the pointer or the keyboard is lost (another tab, another window, a
//    cancelled touch), and at `close`. A modifier that an event says is not pressed is released, whatever came before.
// 2. A key goes as what it means (KeyboardEvent.key), and by its place is known when it is released.
// 3. What a browser or an input method composes (dead keys, AltGr, Option, Chinese) goes as text, once it is complete:
//    the focus is in a text field that is not seen, without which browsers compose nothing.
// 4. Between two motions that are sent are EVERY milliseconds at least; the last one is always sent, and before a press.
//
// Caps Lock and Num Lock do their work here, since what comes is characters. Ctrl+Alt+Shift, pressed and let go of, gives
// the keyboard back to the page.

const EVERY = 8; // milliseconds
const [NOTCH, LINES] = [100, 3]; // pixels and lines of a wheel's notch
const MOST_NOTCHES = 50;
const MOST_TEXT = 200; // characters of one message
const BUTTONS = [[1, 1], [4, 2], [2, 3], [8, 8], [16, 9]]; // bits of MouseEvent.buttons, X's numbers
const LEFT_OUT = new Set(['AltGraph', 'CapsLock', 'NumLock', 'Compose', 'Fn', 'FnLock']);
const MODIFIERS = [['ctrlKey', 'Control'], ['shiftKey', 'Shift'], ['altKey', 'Alt'], ['metaKey', 'Meta']];
const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

export class Input {
  keys = new Map(); // those that are pressed, by their place: their meaning
  buttons = 0;
  wheel = {x: 0, y: 0};
  motion = null; // the last point, if it was not sent yet
  sentAt = 0;

  // `leave()` is called when its user wants the keyboard back.
  constructor({element, view, channel, send, leave = () => undefined}) {
    Object.assign(this, {element, view, leave});
    this.send = (message) => send({...message, channel});
    this.ending = new AbortController();
    this.field = document.createElement('textarea');
    this.field.setAttribute('aria-label', 'Keys for the screen. Ctrl+Alt+Shift gives the keyboard back.');
    for (const [name, value] of Object.entries({name: 'keys', autocomplete: 'off', autocorrect: 'off', autocapitalize: 'off'})) {
      this.field.setAttribute(name, value);
    }
    this.field.name = 'keys';
    this.field.spellcheck = false;
    const style = {position: 'fixed', left: '0', top: '0', width: '1px', height: '1px', opacity: '0', padding: '0'};
    Object.assign(this.field.style, style, {border: '0', resize: 'none', pointerEvents: 'none', zIndex: '-1'});
    element.after(this.field);
    this.touchAction = element.style.touchAction;
    element.style.touchAction = 'none';
    this.listen();
    this.field.focus({preventScroll: true});
  }

  listen() {
    const {element, field} = this;
    const {signal} = this.ending;
    const on = (target, name, hear) => target.addEventListener(name, hear, {signal, capture: true, passive: false});
    for (const name of ['pointerdown', 'pointermove', 'pointerup']) on(element, name, (event) => this.point(event));
    for (const name of ['pointercancel', 'lostpointercapture']) on(element, name, () => this.setButtons(0));
    on(element, 'wheel', (event) => this.turn(event));
    on(element, 'mousedown', (event) => event.preventDefault()); // which would take the focus
    on(element, 'contextmenu', (event) => event.preventDefault());
    on(element, 'focus', () => field.focus({preventScroll: true}));
    on(field, 'keydown', (event) => this.press(event));
    on(field, 'keyup', (event) => this.lift(event));
    on(field, 'compositionend', (event) => this.type(event.data));
    on(field, 'input', (event) => this.compose(event));
    on(field, 'blur', () => this.releaseKeys());
    on(globalThis, 'blur', ({target}) => target === globalThis && this.release());
    on(document, 'visibilitychange', () => document.hidden && this.release());
  }

  // Ends it, and releases all.
  close() {
    this.release();
    clearTimeout(this.moving);
    this.ending.abort();
    this.element.style.touchAction = this.touchAction;
    this.field.remove();
  }

  release() {
    this.setButtons(0);
    this.releaseKeys();
  }

  // ---- the pointer

  point(event) {
    const isPress = event.type === 'pointerdown';
    if (event.pointerType === 'touch' && !event.isPrimary) return;
    if (!this.buttons && !this.isOver(event)) return; // the margin; but what is dragged may leave the screen
    if (isPress) {
      this.field.focus({preventScroll: true});
      this.element.setPointerCapture(event.pointerId);
    }
    this.alignModifiers(event);
    this.motion = this.view.pixelAt(event);
    this.last = this.motion;
    if (event.buttons === this.buttons) this.moveSoon();
    else this.setButtons(event.buttons);
  }

  isOver({clientX, clientY}) {
    const box = this.view.screen.canvas.getBoundingClientRect();
    return clientX >= box.left && clientX < box.right && clientY >= box.top && clientY < box.bottom;
  }

  setButtons(buttons) {
    for (const [bit, button] of BUTTONS) {
      if ((buttons ^ this.buttons) & bit) this.send({type: 'button', ...this.last, button, down: Boolean(buttons & bit)});
    }
    if (buttons !== this.buttons) this.motion = null; // it was sent with the button
    this.buttons = buttons;
  }

  moveSoon() {
    if (this.moving !== undefined) return;
    const wait = this.sentAt + EVERY - performance.now();
    if (wait <= 0) this.move();
    else this.moving = setTimeout(() => this.move(), wait);
  }

  move() {
    clearTimeout(this.moving);
    this.moving = undefined;
    if (!this.motion) return;
    this.send({type: 'pointer', ...this.motion});
    this.motion = null;
    this.sentAt = performance.now();
  }

  turn(event) {
    event.preventDefault();
    event.stopImmediatePropagation(); // with Ctrl the page would zoom
    if (!this.isOver(event)) return;
    this.alignModifiers(event);
    const unit = [1 / NOTCH, 1 / LINES, 10][event.deltaMode];
    const {wheel} = this;
    wheel.x += event.deltaX * unit;
    wheel.y += event.deltaY * unit;
    const [dx, dy] = [wheel.x, wheel.y].map((turned) => Math.max(Math.min(Math.trunc(turned), MOST_NOTCHES), -MOST_NOTCHES));
    if (!dx && !dy) return;
    wheel.x = (wheel.x - dx) % 1;
    wheel.y = (wheel.y - dy) % 1;
    this.last = this.view.pixelAt(event);
    this.motion = null;
    this.send({type: 'scroll', ...this.last, dx: dx || 0, dy: dy || 0});
  }

  // ---- the keyboard

  press(event) {
    const {key, code, repeat} = event;
    event.stopPropagation(); // the page's own keys do nothing meanwhile
    if (event.isComposing || key === 'Process' || key === 'Dead' || key === 'Unidentified') return; // text comes of it
    this.chord = this.isChord(event);
    if (this.isComposed(event)) {
      event.preventDefault();
      this.move();
      this.type(key);
      return;
    }
    event.preventDefault();
    if (LEFT_OUT.has(key)) return;
    this.alignModifiers(event);
    this.move();
    const place = code || key;
    this.keys.set(place, key);
    this.send({type: 'key', key, code: place, down: true, repeat});
    // Where the command key is held, macOS says nothing of the release of others.
    if (isMac && event.metaKey && key !== 'Meta') this.liftKey(place);
  }

  lift(event) {
    event.stopPropagation();
    event.preventDefault();
    this.liftKey(event.code || event.key);
    if (event.key === 'Meta' && isMac) this.releaseKeys();
    if (this.chord && !event.ctrlKey && !event.altKey && !event.shiftKey) {
      this.chord = false;
      this.leave();
    }
  }

  liftKey(place) {
    const key = this.keys.get(place);
    if (key === undefined) return;
    this.keys.delete(place);
    this.send({type: 'key', key, code: place, down: false, repeat: false});
  }

  releaseKeys() {
    this.chord = false;
    for (const place of [...this.keys.keys()].toReversed()) this.liftKey(place);
  }

  // Whether a character was made with AltGr, or Option: the keys that were held for it are not the screen's concern.
  isComposed(event) {
    if ([...event.key].length !== 1) return false;
    const isAltGr = event.getModifierState('AltGraph') || (isMac && event.altKey && !event.ctrlKey);
    return !event.metaKey && (isAltGr || event.key.length > 1);
  }

  // Whether Ctrl, Alt and Shift are pressed, and nothing else: that ends this when they are let go of.
  isChord({key, ctrlKey, altKey, shiftKey}) {
    return ['Control', 'Alt', 'Shift', 'Meta'].includes(key) && ctrlKey && altKey && shiftKey;
  }

  // Has the modifiers be as an event says: the page does not see those that are pressed or released elsewhere.
  alignModifiers(event) {
    if (event.getModifierState('AltGraph')) return; // which Windows says is Ctrl and Alt
    for (const [name, key] of MODIFIERS) {
      const held = [...this.keys].filter(([, meaning]) => meaning === key).map(([place]) => place);
      if (!event[name]) held.forEach((place) => this.liftKey(place));
      else if (!held.length && event.key !== key) {
        this.keys.set(`${key}Left`, key);
        this.send({type: 'key', key, code: `${key}Left`, down: true, repeat: false});
      }
    }
  }

  // Sends what an input method has put into the field, and did not say by keys.
  compose(event) {
    if (event.isComposing) return;
    if (event.inputType === 'insertText' || event.inputType === 'insertFromPaste') this.type(event.data ?? this.field.value);
    this.field.value = '';
  }

  type(text) {
    this.field.value = '';
    // Tabs and line ends are keys; other control characters are nothing that could be typed.
    const clean = [...(text ?? '').replaceAll(/(?![\n\t])\p{Cc}|\p{Cs}/gu, '')];
    for (let at = 0; at < clean.length; at += MOST_TEXT) {
      this.send({type: 'key', text: clean.slice(at, at + MOST_TEXT).join('')});
    }
  }
}
