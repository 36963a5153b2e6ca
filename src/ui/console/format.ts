/** Replies and events as the console shows them: JSON, indented, coloured, without changing a digit. */
import { paint, type Colour } from './paint';

/** Values that fit into so many columns stay on one line. */
const INLINE = 60;

/** A value; `length` is that of its text on one line, without colours. */
type Node =
  | { kind: 'scalar'; length: number; text: string; colour: Colour }
  | { kind: 'object'; length: number; members: { key: string; value: Node }[] }
  | { kind: 'list'; length: number; items: Node[] };

/**
 * Formats one JSON value. The text must be JSON as the daemon writes it (or `JSON.stringify`); what is no JSON comes
 * back as it is. Numbers and strings keep their spelling, escapes of readable characters excepted.
 *
 * @param width columns of the screen; short objects and lists stay on one line.
 * @param strings the colour of strings.
 */
export function formatJson(text: string, width = 80, strings: Colour = 'string'): string {
  const tokens = text.match(/"(?:\\.|[^"\\])*"|[{}[\]:,]|[^\s{}[\]:,"]+/g);
  if (!tokens) return text;
  const reader: Reader = { tokens, at: 0, strings };
  const node = read(reader);
  return node && reader.at === tokens.length ? print(node, '', Math.min(width, INLINE + 20), 0) : text;
}

interface Reader {
  tokens: string[];
  at: number;
  strings: Colour;
}

function read(reader: Reader): Node | null {
  const token = reader.tokens[reader.at++];
  if (token === undefined || /^[}\]:,]$/.test(token)) return null;
  if (token === '{') {
    const members: { key: string; value: Node }[] = [];
    let length = 2;
    if (reader.tokens[reader.at] === '}') reader.at++;
    else {
      for (;;) {
        const key = reader.tokens[reader.at++];
        if (!key?.startsWith('"') || reader.tokens[reader.at++] !== ':') return null;
        const value = read(reader);
        if (!value) return null;
        members.push({ key, value });
        length += key.length + value.length + 4;
        const next = reader.tokens[reader.at++];
        if (next === '}') break;
        if (next !== ',') return null;
      }
    }
    return { kind: 'object', length, members };
  }
  if (token === '[') {
    const items: Node[] = [];
    let length = 2;
    if (reader.tokens[reader.at] === ']') reader.at++;
    else {
      for (;;) {
        const item = read(reader);
        if (!item) return null;
        items.push(item);
        length += item.length + 2;
        const next = reader.tokens[reader.at++];
        if (next === ']') break;
        if (next !== ',') return null;
      }
    }
    return { kind: 'list', length, items };
  }
  if (token.startsWith('"')) return scalar(readable(token), reader.strings);
  return scalar(token, /^[-\d]/.test(token) ? 'number' : 'constant');
}

function scalar(text: string, colour: Colour): Node {
  return { kind: 'scalar', length: text.length, text, colour };
}

/** \uXXXX escapes of printable characters as the characters; control characters stay escaped. */
function readable(token: string): string {
  if (!token.includes('\\')) return token;
  return token.replace(/\\\\|\\u([0-9a-fA-F]{4})/g, (whole, hex: string | undefined) => {
    if (hex === undefined) return whole;
    const code = parseInt(hex, 16);
    // Also what would steer the terminal or turn the direction of writing stays visible as an escape.
    if (code < 0xa0 || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e)) return whole;
    return String.fromCharCode(code);
  });
}

function print(node: Node, indent: string, width: number, used: number): string {
  if (node.kind === 'scalar') return paint(node.colour, node.text);
  const braces = node.kind === 'object' ? '{}' : '[]';
  const [open, close] = [braces.charAt(0), braces.charAt(1)];
  const parts =
    node.kind === 'object'
      ? node.members.map(({ key, value }) => ({
          label: `${paint('key', readable(key))}: `,
          length: key.length + 2,
          value,
        }))
      : node.items.map((value) => ({ label: '', length: 0, value }));
  if (parts.length === 0) return braces;
  const deeper = indent + '    ';
  const inline = indent.length + used + node.length <= width;
  const body = parts.map(
    ({ label, length, value }) => label + print(value, deeper, width, inline ? 0 : length),
  );
  if (inline) return `${open}${body.join(', ')}${close}`;
  return `${open}\n${body.map((line) => deeper + line).join(',\n')}\n${indent}${close}`;
}
