/** Replies and events as the console shows them: JSON, indented, coloured, without changing a digit. */
import { paint, type Colour } from './paint';

/** Values that fit into so many columns stay on one line. */
const INLINE = 60;

type Node =
  | { kind: 'scalar'; text: string; colour: Colour }
  | { kind: 'object'; members: { key: string; value: Node }[] }
  | { kind: 'list'; items: Node[] };

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
    if (reader.tokens[reader.at] === '}') reader.at++;
    else {
      for (;;) {
        const key = reader.tokens[reader.at++];
        if (!key?.startsWith('"') || reader.tokens[reader.at++] !== ':') return null;
        const value = read(reader);
        if (!value) return null;
        members.push({ key, value });
        const next = reader.tokens[reader.at++];
        if (next === '}') break;
        if (next !== ',') return null;
      }
    }
    return { kind: 'object', members };
  }
  if (token === '[') {
    const items: Node[] = [];
    if (reader.tokens[reader.at] === ']') reader.at++;
    else {
      for (;;) {
        const item = read(reader);
        if (!item) return null;
        items.push(item);
        const next = reader.tokens[reader.at++];
        if (next === ']') break;
        if (next !== ',') return null;
      }
    }
    return { kind: 'list', items };
  }
  if (token.startsWith('"')) return { kind: 'scalar', text: readable(token), colour: reader.strings };
  return { kind: 'scalar', text: token, colour: /^[-\d]/.test(token) ? 'number' : 'constant' };
}

/** \uXXXX escapes of printable characters as the characters; control characters stay escaped. */
function readable(token: string): string {
  return token.replace(/\\\\|\\u([0-9a-fA-F]{4})/g, (whole, hex: string | undefined) => {
    if (hex === undefined) return whole;
    const code = parseInt(hex, 16);
    // Also what would steer the terminal or turn the direction of writing stays visible as an escape.
    if (code < 0xa0 || (code >= 0x200b && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e)) return whole;
    return String.fromCharCode(code);
  });
}

function plainLength(node: Node): number {
  switch (node.kind) {
    case 'scalar':
      return node.text.length;
    case 'object':
      return node.members.reduce((sum, { key, value }) => sum + key.length + plainLength(value) + 4, 2);
    case 'list':
      return node.items.reduce((sum, item) => sum + plainLength(item) + 2, 2);
  }
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
  const inline = indent.length + used + plainLength(node) <= width;
  const body = parts.map(
    ({ label, length, value }) => label + print(value, deeper, width, inline ? 0 : length),
  );
  if (inline) return `${open}${body.join(', ')}${close}`;
  return `${open}\n${body.map((line) => deeper + line).join(',\n')}\n${indent}${close}`;
}
