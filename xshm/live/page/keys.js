// Keys of the page, and the list of them: each is said once, for all that belong to it.

const $ = (id) => document.getElementById(id);

// `bindings`: of each key what it does, then, where the list says it, the caps of the row and its text.
export class Keys {
  constructor(bindings, digit) {
    this.bindings = new Map(bindings);
    this.digit = digit;
    document.addEventListener('keydown', (event) => this.press(event));
  }

  press(event) {
    const {target, key} = event;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || $('keyboard').open) return;
    if (target.matches('select') && key !== '?' && key !== 'Escape') return; // letters choose in its list
    if (target.matches('button') && (key === ' ' || key === 'Enter')) return; // a press of that
    const bound = this.bindings.get(key);
    if (bound) bound[0]();
    else if (/^[0-9]$/.test(key)) this.digit(Number(key));
    else return;
    event.preventDefault();
  }

  help() {
    const list = document.createElement('dl');
    for (const [, caps, text] of this.bindings.values()) {
      if (!caps) continue;
      const [term, value] = [document.createElement('dt'), document.createElement('dd')];
      for (const cap of caps.split('|')) term.append(Object.assign(document.createElement('kbd'), {textContent: cap}));
      value.textContent = text;
      list.append(term, value);
    }
    $('keyboard-list').replaceChildren(list);
    $('keyboard').showModal();
  }
}
