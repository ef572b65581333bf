// Figures of what is shown: pictures a second, latency, bytes a second; counted always, shown and asked for on demand.

const WINDOW = 2000; // milliseconds that are looked back
const [EVERY, PING] = [500, 1000]; // milliseconds: between two renewals, between two pings, while they are shown
const NAMES = ['PNG', 'JPEG', 'H.264', 'H.264'];

const ms = (value) => (value === undefined ? '…' : `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`);
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

export class Facts {
  drawn = []; // of the last WINDOW: {at, latency, codecs}
  bytes = []; // [instant, bytes that had been received]
  newest = 0; // when the newest pixels that were counted had been captured

  constructor(list, connection) {
    this.list = list;
    this.connection = connection;
  }

  // Counts an Update of the screen that is shown; what only makes an older picture exact is none of its own.
  count(update, arrived) {
    const now = performance.now();
    const isNew = update.changed > this.newest;
    this.newest = Math.max(this.newest, update.changed);
    const clock = this.connection.clock;
    const latency = isNew && clock ? now + clock[1] - update.changed / 1e6 : undefined;
    this.drawn.push({at: now, isNew, latency, spent: now - arrived, codecs: update.parts.map(({codec}) => codec)});
    this.forget(now);
  }

  forget(now) {
    while (this.drawn.length && this.drawn[0].at < now - WINDOW) this.drawn.shift();
    while (this.bytes.length > 1 && this.bytes[0][0] < now - WINDOW) this.bytes.shift();
  }

  // Begins anew: another screen is shown.
  clear() {
    this.drawn = [];
    this.newest = 0;
  }

  // What was measured in the last two seconds; milliseconds, bytes a second.
  get now() {
    const now = performance.now();
    this.forget(now);
    const latencies = this.drawn.map(({latency}) => latency).filter((latency) => latency !== undefined);
    const [from, before] = this.bytes[0] ?? [now, this.connection.bytes];
    return {
      fps: (this.drawn.filter(({isNew}) => isNew).length * 1000) / WINDOW,
      latency: median(latencies),
      worst: latencies.length ? Math.max(...latencies) : undefined,
      spent: median(this.drawn.map(({spent}) => spent)),
      rate: now > from ? ((this.connection.bytes - before) * 1000) / (now - from) : 0,
      trip: this.connection.clock?.[0],
      codecs: [...new Set(this.drawn.flatMap(({codecs}) => codecs).map((codec) => NAMES[codec]))],
    };
  }

  get isShown() {
    return !this.list.hidden;
  }

  // Shows or hides them.
  toggle() {
    this.list.hidden = !this.list.hidden;
    clearInterval(this.renewing);
    clearInterval(this.pinging);
    if (!this.isShown) return;
    this.bytes = [];
    this.connection.ping();
    this.renew();
    this.renewing = setInterval(() => this.renew(), EVERY);
    this.pinging = setInterval(() => document.hidden || this.connection.ping(), PING);
  }

  renew() {
    if (document.hidden) return;
    const {fps, latency, worst, spent, rate, trip, codecs} = this.now;
    this.bytes.push([performance.now(), this.connection.bytes]);
    const rows = {
      'Pictures': `${fps.toFixed(1)} a second`,
      'Latency': latency === undefined ? 'nothing changes' : `${ms(latency)}, at most ${ms(worst)}`,
      'Decode and draw': spent === undefined ? '–' : ms(spent),
      'Round trip': ms(trip),
      'Received': `${(rate / 1000).toFixed(rate < 10_000 ? 1 : 0)} kB/s`,
      'Sent as': codecs.join(', ') || '–',
    };
    if (!this.cells) {
      this.cells = Object.keys(rows).map((name) => {
        const [term, value] = [document.createElement('dt'), document.createElement('dd')];
        term.textContent = name;
        this.list.append(term, value);
        return value;
      });
      this.list.title = 'Latency is from the capture on the hub to the canvas here';
    }
    Object.values(rows).forEach((text, i) => {
      if (this.cells[i].textContent !== text) this.cells[i].textContent = text;
    });
  }
}
