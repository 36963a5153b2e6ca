/** Where in a piece of JSON, perhaps unfinished or faulty, a cursor stands: what Tab can complete there. */

/** What is known of an object that is being typed: strings and objects; other values are of no use for completion. */
export type PartialObject = Map<string, string | PartialObject>;

/** The cursor's place. */
export interface JsonCursor {
  /** Names of members (and indices of list elements) from the outermost object to the cursor's one. */
  path: string[];
  /** `key`: a member's name is expected; `value`: the value of the last name in `path`; `none`: punctuation. */
  expects: 'key' | 'value' | 'none';
  /** What is typed of it, without the quote. */
  prefix: string;
  /** The quote that was typed, or empty. */
  quote: '' | '"' | "'";
  /** Index at which the word, with its quote, begins. */
  from: number;
  /** Members that the cursor's object has before the cursor. */
  present: Set<string>;
}

interface Frame {
  list: boolean;
  /** key -> colon -> value -> comma -> key; lists know only the last two. */
  state: 'key' | 'colon' | 'value' | 'comma';
  name: string;
  index: number;
  names: Set<string>;
  object: PartialObject;
}

interface Scan {
  frames: Frame[];
  root: PartialObject | null;
  /** The token that touches the end of the text, if it may go on. */
  open: { from: number; prefix: string; quote: '' | '"' | "'" } | null;
}

/** Reads as much as can be made sense of. */
function scan(text: string): Scan {
  const frames: Frame[] = [];
  let root: PartialObject | null = null;
  let open: Scan['open'] = null;
  let at = 0;

  const begin = (list: boolean): void => {
    const object: PartialObject = new Map();
    const parent = frames.at(-1);
    if (parent) parent.object.set(parent.list ? String(parent.index) : parent.name, object);
    else root ??= object;
    frames.push({ list, state: list ? 'value' : 'key', name: '', index: 0, names: new Set(), object });
  };
  const scalar = (value: string): void => {
    const frame = frames.at(-1);
    if (!frame) return;
    if (frame.state === 'key') {
      frame.name = value;
      frame.state = 'colon';
    } else if (frame.state === 'value') {
      frame.names.add(frame.name);
      frame.object.set(frame.list ? String(frame.index) : frame.name, value);
      frame.state = 'comma';
    }
  };

  while (at < text.length) {
    const character = text.charAt(at);
    const frame = frames.at(-1);
    if (character === '{' || character === '[') {
      begin(character === '[');
      at++;
    } else if (character === '}' || character === ']') {
      frames.pop();
      const outer = frames.at(-1);
      if (outer) {
        outer.names.add(outer.name);
        outer.state = 'comma';
      }
      at++;
    } else if (character === ':') {
      if (frame?.state === 'colon') frame.state = 'value';
      at++;
    } else if (character === ',') {
      if (frame) {
        frame.index++;
        frame.state = frame.list ? 'value' : 'key';
      }
      at++;
    } else if (character === '"' || character === "'") {
      const from = at;
      let value = '';
      at++;
      while (at < text.length && text.charAt(at) !== character) {
        if (text.charAt(at) === '\\') at++;
        value += text.charAt(at);
        at++;
      }
      if (at >= text.length) open = { from, prefix: value, quote: character };
      else scalar(value);
      at++;
    } else if (/\s/.test(character)) at++;
    else {
      const word = /^[^\s{}[\]:,"']+/.exec(text.slice(at))?.[0] ?? character;
      if (at + word.length === text.length) open = { from: at, prefix: word, quote: '' };
      else scalar(word);
      at += word.length;
    }
  }
  return { frames, root, open };
}

/** The members that can be made out in a text that begins with a brace. */
export function partialObject(text: string): PartialObject {
  return scan(text).root ?? new Map<string, string | PartialObject>();
}

/** The place of the cursor at the end of `before`, the text up to it. */
export function jsonCursor(before: string): JsonCursor {
  const { frames, open } = scan(before);
  const frame = frames.at(-1);
  const path = frames.slice(0, -1).map((outer) => (outer.list ? String(outer.index) : outer.name));
  const expects = frame?.state === 'key' ? 'key' : frame?.state === 'value' ? 'value' : 'none';
  if (frame && expects === 'value') path.push(frame.list ? String(frame.index) : frame.name);
  return {
    path,
    expects,
    prefix: open?.prefix ?? '',
    quote: open?.quote ?? '',
    from: open?.from ?? before.length,
    present: frame?.names ?? new Set(),
  };
}
