// The page of a live view: connects to its hub, shows one screen or all as a wall, and does what keys and buttons say.
//
// Always true:
// 1. What the hub says comes into the page as text or as pixels, never as markup.
// 2. Only what is to be seen is watched: a page that is hidden watches nothing, and catches up at once when it is shown.
// 3. A picture that is not live is dimmed, with words over it that say why.
//
// Its parts, in reading order: `updates` and `screen` bring messages onto a canvas, `connection` has the WebSocket and
// the hub's clock, `view` and `wall` lay screens out, `facts` counts, `words` says what is not live, `keys` are the
// keyboard. Two are loaded when they are needed: `video` for a frame of H.264 (`new VideoPictures()`, with
// `decode(part)`, a promise of a VideoFrame, in the order of the calls, and `close()`), and `input` where the hub allows
// it (`new Input({element, view, channel, send, leave})` takes mouse and keys of the element until `close()`).
//
// For scripts there is `xshm`: `await xshm.ready` (something is on a canvas), `xshm.canvas` and `xshm.screen` of what is
// shown, `xshm.screens` by id, `xshm.status` of the connection, `xshm.facts.now`, and `xshm.drawn`, a function of
// theirs that is called as (screen, update, arrived) when an Update has been drawn.

import {Connection} from './connection.js';
import {Facts} from './facts.js';
import {Keys} from './keys.js';
import {H264_KEY} from './updates.js';
import {Screen} from './screen.js';
import {View} from './view.js';
import {Wall} from './wall.js';
import {condition, say, sayWait} from './words.js';

const $ = (id) => document.getElementById(id);
const TOLD = 3500; // milliseconds that a remark is shown

class App {
  screens = new Map(); // by id, in the hub's order
  shown = null; // the screen that is shown alone; null: the wall
  welcome = {title: '', input: false, video: false, channels: []};
  mode = 'auto';
  watched = '{}'; // what the hub was last told that is watched

  constructor() {
    this.ready = new Promise((resolve) => {
      this.becomeReady = resolve;
    });
    this.connection = new Connection({
      changed: () => this.connectionChanged(),
      message: (message) => this.read(message),
      update: (update, arrived) => this.screens.get(update.channel)?.take(update, arrived),
    });
    this.facts = new Facts($('facts'), this.connection);
    this.view = new View($('scroller'), () => this.showZoom());
    this.wall = new Wall($('wall'), {open: (screen) => this.open(screen), changed: () => this.watch()});
    this.listen();
  }

  // ---- what the hub says

  read(message) {
    const screen = this.screens.get(message.channel);
    if (message.type === 'welcome') this.begin(message);
    else if (message.type === 'channels') this.setChannels(message.channels);
    else if (message.type === 'channel') this.describe(message.channel);
    else if (message.type === 'pointer') screen?.point(message);
    else if (message.type === 'cursor') screen?.setCursor(message).catch(() => undefined); // the last one stays
  }

  begin(welcome) {
    this.welcome = welcome;
    this.watched = '{}';
    $('control').hidden = !welcome.input;
    const canPlay = 'VideoDecoder' in globalThis;
    const option = $('mode').querySelector('[value=video]');
    option.disabled = !welcome.video || !canPlay;
    this.aboutVideo ??= option.title;
    const why = canPlay
      ? 'This live view has none: PyAV is not installed there, or it was turned off'
      : 'Browsers have none without https, but from their own machine';
    option.title = option.disabled ? why : this.aboutVideo;
    if (option.disabled && this.mode === 'video') this.setMode('auto');
    this.setChannels(welcome.channels);
  }

  setChannels(channels) {
    const before = this.screens;
    this.screens = new Map(channels.map((channel) => [channel.id, before.get(channel.id) ?? this.make(channel)]));
    for (const [id, screen] of before) if (!this.screens.has(id)) screen.remove();
    for (const channel of channels) this.screens.get(channel.id).describe(channel);
    const all = [...this.screens.values()];
    this.wall.set(all);
    $('wall-button').hidden = all.length < 2;
    const isAdded = before.size === 1 && all.includes(this.shown); // beside the only one, which stays
    this.show(all.length === 1 ? all[0] : isAdded ? this.shown : this.named());
  }

  make(channel) {
    return new Screen(channel, {
      tell: (message) => this.connection.send(message),
      drawn: (screen, update, arrived) => this.drawn(screen, update, arrived),
      resized: (screen) => this.resized(screen),
      refused: (screen, update, why) => this.refused(update, why),
    });
  }

  describe(channel) {
    const screen = this.screens.get(channel.id);
    if (!screen) return;
    screen.describe(channel);
    this.wall.describe(screen);
    this.say();
  }

  drawn(screen, update, arrived) {
    if (screen === this.shown && update.parts.length) this.facts.count(update, arrived);
    if (document.body.dataset.kind === 'opening') this.say();
    this.becomeReady();
    globalThis.xshm.drawn?.(screen, update, arrived);
  }

  resized(screen) {
    if (screen === this.shown) this.view.place();
    else this.wall.place();
    this.say();
  }

  refused({parts}, why) {
    if (!parts.some(({codec}) => codec >= H264_KEY)) return;
    this.setMode('auto');
    this.tell(`This browser can not show the video (${why}): pictures are sent instead.`);
  }

  connectionChanged() {
    const {status} = this.connection;
    if (status.kind !== 'open') for (const screen of this.screens.values()) screen.drop();
    this.say();
    clearInterval(this.counting);
    sayWait(status);
    if (status.retryAt) this.counting = setInterval(() => sayWait(status), 250);
  }

  // ---- what is shown

  // Returns the screen that the address names, if it names one.
  named() {
    const id = /&screen=(\d+)$/.exec(location.hash)?.[1];
    return this.screens.get(Number(id)) ?? null;
  }

  // Shows one screen alone; null shows the wall.
  show(screen) {
    const before = this.shown;
    const isOther = screen !== before;
    this.shown = screen;
    const isWall = !screen;
    $('scroller').hidden = isWall;
    $('wall').hidden = !isWall;
    $('wall-button').setAttribute('aria-pressed', String(isWall));
    for (const id of ['zooming', 'save', 'facts-button', 'control']) $(id).toggleAttribute('inert', isWall);
    if (isOther) {
      this.control(false);
      this.facts.clear();
    }
    this.view.set(screen);
    if (isWall) {
      this.wall.gather();
      if (before) this.wall.focus(before);
    } else if (isOther && this.screens.size > 1) $('scroller').focus({preventScroll: true});
    this.say();
    this.watch();
  }

  // Shows one screen, or the wall, and has the address say so: the browser's way back leads to the other.
  open(screen) {
    if (screen === this.shown || (!screen && this.screens.size < 2)) return;
    const token = location.hash.replace(/&screen=\d+$/, '');
    history.pushState(null, '', screen ? `${token}&screen=${screen.id}` : token);
    this.show(screen);
  }

  // Shows the next, or the last, of all screens.
  turn(by) {
    const all = [...this.screens.values()];
    if (all.length < 2) return;
    const at = this.shown ? all.indexOf(this.shown) + by : 0;
    this.open(all[(at + all.length) % all.length]);
  }

  // Tells the hub what is to be seen now.
  watch() {
    if (this.connection.status.kind !== 'open') return;
    const channels = {};
    if (!document.hidden) {
      if (this.shown) channels[this.shown.id] = {width: null, mode: this.mode};
      else for (const screen of this.wall.visible) channels[screen.id] = {width: this.wall.widthOf(screen), mode: 'auto'};
    }
    const watched = JSON.stringify(channels);
    if (watched === this.watched) return;
    this.watched = watched;
    this.connection.send({type: 'watch', channels});
  }

  say() {
    const {shown, connection, welcome, screens} = this;
    const isMany = screens.size > 1;
    const name = (shown && isMany ? shown.channel.title : welcome.title || shown?.channel.title) || 'Live view';
    $('title').textContent = name;
    const many = isMany ? `${screens.size} screens` : '';
    $('size').textContent = shown ? `${shown.width}×${shown.height}` : many;
    say(condition(connection.status, shown, screens.size > 0), name);
  }

  showZoom() {
    const percent = this.view.zoom * 100;
    $('zoom').value = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
    $('fit').setAttribute('aria-pressed', String(this.view.isFit));
  }

  // Says something for a moment.
  tell(text) {
    const told = $('told');
    told.value = text;
    told.classList.remove('old');
    clearTimeout(this.telling);
    this.telling = setTimeout(() => told.classList.add('old'), TOLD);
  }

  // ---- what its user does

  setMode(mode) {
    this.mode = mode;
    $('mode').value = mode;
    this.watch();
  }

  nextMode() {
    const modes = [...$('mode').options].filter(({disabled}) => !disabled);
    const next = modes[(modes.findIndex(({value}) => value === this.mode) + 1) % modes.length];
    this.setMode(next.value);
    this.tell(`${next.text}: ${next.title}`);
  }

  // Has mouse and keys go to the screen, or no longer.
  async control(isOn = !this.input) {
    this.input?.close();
    this.input = null;
    this.view.isHand = true;
    $('control').setAttribute('aria-pressed', 'false');
    this.view.place();
    const {view, shown, connection} = this;
    if (!isOn || !shown || !this.welcome.input) return;
    const {Input} = await import('./input.js');
    if (this.input || shown !== this.shown) return; // while it was loaded
    view.isHand = false;
    view.place();
    $('scroller').focus({preventScroll: true});
    this.input = new Input({
      element: $('scroller'),
      view,
      channel: shown.id,
      send: (message) => connection.send(message),
      leave: () => {
        this.control(false);
        $('control').focus();
      },
    });
    $('control').setAttribute('aria-pressed', 'true');
    this.tell('Mouse and keys go to the screen now. Ctrl+Alt+Shift gives them back.');
  }

  togglePointer() {
    const isHidden = $('stage').classList.toggle('no-pointer');
    $('pointer').setAttribute('aria-pressed', String(!isHidden));
  }

  toggleFacts() {
    if (!this.shown && !this.facts.isShown) return;
    this.facts.toggle();
    $('facts-button').setAttribute('aria-pressed', String(this.facts.isShown));
  }

  // Saves the picture that is on the canvas.
  save() {
    const screen = this.shown ?? this.wall.focused;
    if (!screen?.isDrawn) return;
    const at = new Date();
    const local = new Date(at - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
    const name = `${screen.channel.title} ${local}`.replaceAll(/[^\p{L}\p{N}_.-]+/gu, '-').replace(/^[-.]+/, '');
    screen.canvas.toBlob((blob) => {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(blob);
      link.download = `${name}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
      this.tell(`Saved as ${link.download}`);
    }, 'image/png');
  }

  async toggleFull() {
    try {
      if (document.fullscreenElement) await document.exitFullscreen();
      else await $('stage').requestFullscreen();
    } catch {
      this.tell('The browser does not allow full screen here.');
    }
  }

  turnTheme() {
    const {dataset} = document.documentElement;
    const isDark = dataset.theme ? dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    dataset.theme = isDark ? 'light' : 'dark';
  }

  listen() {
    const {view} = this;
    const actions = {
      'wall-button': () => this.open(null), fit: () => view.fit(),
      'zoom-in': () => view.step(1), 'zoom-out': () => view.step(-1),
      pointer: () => this.togglePointer(), 'facts-button': () => this.toggleFacts(), control: () => this.control(),
      save: () => this.save(), full: () => this.toggleFull(), theme: () => this.turnTheme(),
      help: () => this.keys.help(), again: () => this.connection.tryNow(true),
    };
    for (const [id, action] of Object.entries(actions)) {
      $(id).addEventListener('click', (event) => {
        if (event.detail) $('scroller').focus({preventScroll: true}); // after the mouse, arrow keys scroll again
        action();
      });
    }
    $('mode').addEventListener('change', () => this.setMode($('mode').value));
    document.addEventListener('visibilitychange', () => this.watch());
    addEventListener('popstate', () => this.screens.size > 1 && this.show(this.named()));
    const only = (id) => () => $(id).hidden || $(id).inert || actions[id]();
    this.keys = new Keys([
      ['f', [() => this.shown && view.fit(), 'f', 'All of the screen, or pixel by pixel']],
      ['+', [only('zoom-in'), '+|−', 'Larger, smaller (Ctrl and wheel)']], ['=', [only('zoom-in')]], ['-', [only('zoom-out')]],
      ['ArrowLeft', [() => view.scroll(-1, 0), '← ↑ → ↓', 'Move what is larger than the window (or drag it); from tile to tile']],
      ['ArrowRight', [() => view.scroll(1, 0)]], ['ArrowUp', [() => view.scroll(0, -1)]], ['ArrowDown', [() => view.scroll(0, 1)]],
      ['F', [actions.full, 'Shift+f', 'Full screen']],
      ['w', [actions['wall-button'], 'w|Escape', 'All screens']], ['Escape', [actions['wall-button']]],
      ['Enter', [() => this.wall.focused && this.open(this.wall.focused), 'Enter', 'Show the chosen screen alone']],
      ['[', [() => this.turn(-1), '[|]', 'Screen before, next screen']], [']', [() => this.turn(1)]],
      ['0', [() => this.open(null), '1|…|9', 'That screen (0: all)']],
      ['m', [() => this.nextMode(), 'm', 'How pictures are sent: auto, exact, video']],
      ['p', [actions.pointer, 'p', "Show the screen's pointer, or not"]],
      ['i', [actions['facts-button'], 'i', 'Pictures a second, latency, bytes']],
      ['s', [actions.save, 's', 'Save the picture as PNG']],
      ['c', [only('control'), 'c', 'Mouse and keys go to the screen, where that is allowed, until Ctrl+Alt+Shift']],
      ['r', [actions.again, 'r', 'Try to connect again, now']],
      ['t', [actions.theme, 't', 'Light or dark']],
      ['?', [actions.help, '?', 'This list']],
    ], (digit) => this.screens.size > 1 && this.open([...this.screens.values()][digit - 1] ?? this.shown));
  }
}

const app = new App();
globalThis.xshm = {
  ready: app.ready,
  drawn: null,
  app,
  facts: app.facts,
  get status() {
    return app.connection.status;
  },
  get screens() {
    return app.screens;
  },
  get screen() {
    return app.shown;
  },
  get canvas() {
    return app.shown?.canvas ?? null;
  },
};
app.connection.start();
