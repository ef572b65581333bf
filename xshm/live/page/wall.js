// The Wall: all screens as tiles, as large as they go; a click, or Enter, shows one of them alone.
//
// Always true:
// 1. Each screen has one tile, in the order of the hub's channels; while one is shown alone its tile is empty.
// 2. Only tiles that are to be seen are `visible`.

import {sentence} from './words.js';

// CSS pixels: of a tile's width, between tiles, of the line below a picture, of the lines left and right of one.
const [LEAST, GAP, CAPTION, BORDERS] = [220, 12, 30, 2];

export class Wall {
  tiles = new Map(); // by screen: {item, button, frame, title, state}
  visible = new Set(); // screens

  // `open(screen)` is called for the one that was chosen, `changed()` after other tiles are to be seen.
  constructor(element, {open, changed}) {
    Object.assign(this, {element, open, changed});
    new ResizeObserver(() => this.place()).observe(element);
    this.observer = new IntersectionObserver((entries) => this.see(entries), {root: element});
    element.addEventListener('keydown', (event) => this.key(event));
  }

  // Has exactly these screens; tiles of others go.
  set(screens) {
    for (const [screen, {item}] of this.tiles) {
      if (screens.includes(screen)) continue;
      this.observer.unobserve(item);
      this.tiles.delete(screen);
      this.visible.delete(screen);
      item.remove();
    }
    screens.forEach((screen, i) => {
      if (!this.tiles.has(screen)) this.tiles.set(screen, this.make(screen));
      const {item} = this.tiles.get(screen);
      if (this.element.children[i] !== item) this.element.insertBefore(item, this.element.children[i] ?? null);
      this.describe(screen);
    });
    this.place();
  }

  make(screen) {
    const [item, button, frame, caption, dot, title, state] = ['li', 'button', 'span', 'span', 'i', 'b', 'span'].map(
      (name) => document.createElement(name),
    );
    button.type = 'button';
    button.className = 'tile';
    frame.className = 'frame';
    caption.className = 'caption';
    dot.className = 'dot';
    state.className = 'quiet';
    caption.append(dot, title, state);
    button.append(frame, caption);
    item.append(button);
    button.addEventListener('click', () => this.open(screen));
    this.observer.observe(item);
    return {item, button, frame, title, state};
  }

  // Has a screen's tile say what its channel is.
  describe(screen) {
    const tile = this.tiles.get(screen);
    if (!tile) return;
    const {title, state, words, width, height} = screen.channel;
    tile.button.dataset.kind = state;
    tile.title.textContent = title;
    tile.state.textContent = state === 'live' ? `${width}×${height}` : sentence(words || state);
    const said = `${title}: ${state === 'live' ? 'live' : words || state}`;
    tile.button.setAttribute('aria-label', said);
    tile.button.title = said;
  }

  // Takes all screens into their tiles.
  gather() {
    for (const [screen, {frame}] of this.tiles) {
      if (screen.element.parentElement !== frame) frame.append(screen.element);
    }
    this.place();
  }

  place() {
    const {element} = this;
    if (element.hidden || !this.tiles.size) return;
    const {width, columns} = this.best(element.clientWidth, element.clientHeight);
    this.columns = columns;
    element.style.gridTemplateColumns = `repeat(${columns}, ${width}px)`;
    for (const [screen, {frame}] of this.tiles) {
      const inner = width - BORDERS;
      const height = inner * this.shape;
      frame.style.height = `${height}px`;
      screen.show(Math.min(inner / screen.width, height / screen.height, 1 / devicePixelRatio));
    }
    this.changed();
  }

  // Returns how many columns make the tiles largest, and how wide they are then.
  best(room, height) {
    const screens = [...this.tiles.keys()];
    // Half of them are as high, or less: one upright screen among others does not make all tiles upright.
    this.shape = screens.map((screen) => screen.height / screen.width).toSorted((a, b) => a - b)[(screens.length - 1) >> 1];
    let found = {width: 0, columns: 1};
    for (let columns = 1; columns <= screens.length; columns++) {
      const rows = Math.ceil(screens.length / columns);
      const across = (room - GAP * (columns + 1)) / columns;
      const down = (height - GAP * (rows + 1)) / rows - CAPTION;
      const width = Math.floor(Math.min(across, down / this.shape));
      if (width > found.width) found = {width, columns};
    }
    if (found.width >= LEAST) return found;
    const columns = Math.max(Math.floor((room - GAP) / (LEAST + GAP)), 1); // the wall is scrolled then
    return {columns, width: Math.floor((room - GAP * (columns + 1)) / columns)};
  }

  // The device pixels that a tile's screen is wide.
  widthOf(screen) {
    return Math.ceil(screen.width * screen.scale * devicePixelRatio);
  }

  see(entries) {
    if (this.element.hidden) return; // the same ones are to be seen when it is shown again
    for (const {target, isIntersecting} of entries) {
      const [screen] = [...this.tiles].find(([, {item}]) => item === target) ?? [];
      if (screen && isIntersecting) this.visible.add(screen);
      else this.visible.delete(screen);
    }
    this.changed();
  }

  // Moves the focus to a screen's tile.
  focus(screen) {
    const tile = this.tiles.get(screen) ?? this.tiles.values().next().value;
    tile?.button.focus();
  }

  // The screen whose tile has the focus.
  get focused() {
    return [...this.tiles].find(([, {button}]) => button === document.activeElement)?.[0] ?? null;
  }

  key(event) {
    const buttons = Array.from(this.tiles.values(), ({button}) => button);
    const at = buttons.indexOf(document.activeElement);
    const by = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns}[event.key];
    const to = {Home: 0, End: buttons.length - 1}[event.key] ?? at + by;
    if (at < 0 || !(to in buttons) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    buttons[to].focus();
  }
}
