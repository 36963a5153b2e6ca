/** What a terminal sends when keys are pressed (xterm's sequences), taken apart into keys, text and pastes. */

/** The keys that the console knows, by what they do in a line editor. */
export type Key =
  | 'enter'
  | 'tab'
  | 'escape'
  | 'backspace'
  | 'delete'
  | 'left'
  | 'right'
  | 'up'
  | 'down'
  | 'home'
  | 'end'
  | 'page-up'
  | 'page-down'
  | 'word-left'
  | 'word-right'
  | 'delete-word-left'
  | 'delete-word-right'
  | 'ctrl-a'
  | 'ctrl-b'
  | 'ctrl-c'
  | 'ctrl-d'
  | 'ctrl-e'
  | 'ctrl-f'
  | 'ctrl-g'
  | 'ctrl-k'
  | 'ctrl-l'
  | 'ctrl-n'
  | 'ctrl-p'
  | 'ctrl-r'
  | 'ctrl-s'
  | 'ctrl-t'
  | 'ctrl-u'
  | 'ctrl-w'
  | 'ctrl-y';

/** One thing the user did. */
export type Input =
  { kind: 'key'; key: Key } | { kind: 'text'; text: string } | { kind: 'paste'; text: string };

const CONTROL: Readonly<Record<string, Key>> = {
  '\r': 'enter',
  '\n': 'enter',
  '\t': 'tab',
  '\x7f': 'backspace',
  '\b': 'backspace',
  '\x01': 'ctrl-a',
  '\x02': 'ctrl-b',
  '\x03': 'ctrl-c',
  '\x04': 'ctrl-d',
  '\x05': 'ctrl-e',
  '\x06': 'ctrl-f',
  '\x07': 'ctrl-g',
  '\x0b': 'ctrl-k',
  '\x0c': 'ctrl-l',
  '\x0e': 'ctrl-n',
  '\x10': 'ctrl-p',
  '\x12': 'ctrl-r',
  '\x13': 'ctrl-s',
  '\x14': 'ctrl-t',
  '\x15': 'ctrl-u',
  '\x17': 'ctrl-w',
  '\x19': 'ctrl-y',
};

/** Without the leading ESC. Modifier 3 is Alt, 5 is Ctrl: both move by words. */
const ESCAPED: Readonly<Record<string, Key>> = {
  '[A': 'up',
  '[B': 'down',
  '[C': 'right',
  '[D': 'left',
  OA: 'up',
  OB: 'down',
  OC: 'right',
  OD: 'left',
  '[H': 'home',
  '[F': 'end',
  OH: 'home',
  OF: 'end',
  '[1~': 'home',
  '[4~': 'end',
  '[3~': 'delete',
  '[5~': 'page-up',
  '[6~': 'page-down',
  '[1;3C': 'word-right',
  '[1;3D': 'word-left',
  '[1;5C': 'word-right',
  '[1;5D': 'word-left',
  '[3;3~': 'delete-word-right',
  '[3;5~': 'delete-word-right',
  b: 'word-left',
  f: 'word-right',
  d: 'delete-word-right',
  '\x7f': 'delete-word-left',
  '\b': 'delete-word-left',
};

const PASTE_BEGIN = '\x1b[200~';
const PASTE_END = '\x1b[201~';

/** Takes the data of a terminal apart. Keeps a paste that comes in several pieces until it is whole. */
export class KeyDecoder {
  private pasted: string | null = null;

  /** @param data what the terminal sent; sequences that the console does not know are dropped. */
  decode(data: string): Input[] {
    const inputs: Input[] = [];
    let rest = data;
    while (rest !== '') {
      if (this.pasted !== null) {
        // The end mark itself may be cut in two, so look for it in all that came.
        const whole = this.pasted + rest;
        const end = whole.indexOf(PASTE_END);
        if (end < 0) {
          this.pasted = whole;
          break;
        }
        this.pasted = null;
        inputs.push({ kind: 'paste', text: whole.slice(0, end).replace(/\r\n?/g, '\n') });
        rest = whole.slice(end + PASTE_END.length);
      } else if (rest.startsWith(PASTE_BEGIN)) {
        this.pasted = '';
        rest = rest.slice(PASTE_BEGIN.length);
      } else if (rest.startsWith('\x1b')) {
        // eslint-disable-next-line no-control-regex -- these are the terminal's control sequences
        const match = /^\x1b(?:\[[0-?]*[ -/]*[@-~]|O[A-Za-z]|[^[O\x1b])/.exec(rest);
        const sequence = match ? match[0] : '\x1b';
        const key = sequence === '\x1b' ? 'escape' : ESCAPED[sequence.slice(1)];
        if (key) inputs.push({ kind: 'key', key });
        rest = rest.slice(sequence.length);
      } else {
        // eslint-disable-next-line no-control-regex -- see above
        const text = /^[^\x00-\x1f\x7f]+/.exec(rest)?.[0];
        if (text !== undefined) {
          inputs.push({ kind: 'text', text });
          rest = rest.slice(text.length);
        } else {
          const key = CONTROL[rest.charAt(0)];
          if (key) inputs.push({ kind: 'key', key });
          rest = rest.slice(1);
        }
      }
    }
    return inputs;
  }
}
