// What is said to a person about a screen that is not simply live: over its picture, in the tab's title and its icon.

const $ = (id) => document.getElementById(id);

const TITLES = {
  connecting: 'Connecting…',
  lost: 'Connection lost',
  refused: 'This link is not valid',
  tokenless: 'This link is not whole',
  full: 'No place left',
  ended: 'The live view has ended',
  hidden: 'Not to be seen now',
  stopped: 'The server does not answer',
  gone: 'Ended',
  waiting: 'Waiting until it is back',
  empty: 'No screen',
  opening: 'Waiting for the first picture…',
};

// A colour for each kind, as good on a light tab as on a dark one.
const [GOOD, BAD, SOME, NONE] = ['#2fa35b', '#e0465e', '#d98a1c', '#8a92a0'];
const COLOURS = {live: GOOD, lost: BAD, refused: BAD, tokenless: BAD, stopped: BAD, full: BAD};
const QUIET = new Set(['gone', 'ended', 'empty']);

// Returns {kind, title, words} of a connection and the screen that it shows; kind "live": there is nothing to say.
export function condition(status, screen, hasScreens) {
  if (status.kind !== 'open') return {kind: status.kind, title: TITLES[status.kind], words: status.words};
  if (!screen && !hasScreens) return {kind: 'empty', title: TITLES.empty, words: 'Nothing is shown by this live view now.'};
  if (!screen) return {kind: 'live', title: '', words: ''};
  const {state, words} = screen.channel;
  if (state !== 'live') return {kind: state, title: TITLES[state] ?? state, words};
  if (!screen.isDrawn) return {kind: 'opening', title: TITLES.opening, words: ''};
  return {kind: 'live', title: '', words: ''};
}

// Says a condition: over the picture, in the top line, in the tab.
export function say({kind, title, words}, name) {
  document.body.dataset.kind = kind;
  $('words').hidden = kind === 'live';
  put('words-title', title);
  put('words-text', sentence(words));
  const state = $('state');
  state.dataset.kind = kind;
  const [, text] = state.children;
  const short = kind === 'live' ? 'Live' : title.replace('…', '');
  if (text.textContent !== short) text.textContent = short;
  const tab = kind === 'live' ? `${name} – live` : `${short} – ${name}`;
  if (document.title !== tab) document.title = tab;
  showIcon(COLOURS[kind] ?? (QUIET.has(kind) ? NONE : SOME), kind === 'live');
}

// Says how long it is until another try.
export function sayWait({retryAt, isTrying, isFinal}) {
  const left = Math.ceil((retryAt - performance.now()) / 1000);
  put('words-wait', isTrying ? 'Trying again…' : left > 0 ? `Next try in ${left} s` : '');
  $('again').hidden = !(retryAt || isTrying || isFinal);
}

// The hub's words may be part of a sentence.
export function sentence(words) {
  return words && words[0].toUpperCase() + words.slice(1) + (/[.!?…]$/.test(words) ? '' : '.');
}

// Writes only what is new, so that a screen reader does not say it again.
function put(id, text) {
  const element = $(id);
  if (element.textContent !== text) element.textContent = text;
  element.hidden = !text;
}

let icon = '';

// The tab's icon: a screen with a dot, which is full while it is live.
function showIcon(colour, isLive) {
  const dot = isLive ? `fill="${colour}"` : `fill="none" stroke="${colour}" stroke-width="2"`;
  const drawn =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect x="2" y="4" width="28" height="19" rx="3" ' +
    `fill="#20242c" stroke="${colour}" stroke-width="3"/><circle cx="16" cy="13.5" r="${isLive ? 5 : 4}" ${dot}/>` +
    `<path d="M10 29h12" stroke="${colour}" stroke-width="3" stroke-linecap="round"/></svg>`;
  if (drawn === icon) return;
  icon = drawn;
  $('icon').href = `data:image/svg+xml,${encodeURIComponent(drawn)}`;
}
