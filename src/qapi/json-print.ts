/** Printing values as QEMU prints them: members in dictionary order, ASCII only. */
import { dictOrder } from './dict-order';
import { Real, type QmpObject, type QmpValue } from './value';

const SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

/** A string with its quotes. Everything outside printable ASCII is \uXXXX, upper case; a lone surrogate is U+FFFD. */
function quoteJson(text: string): string {
  let out = '"';
  for (let i = 0; i < text.length; i++) {
    const character = text.charAt(i);
    const short = SHORT[character];
    if (short !== undefined) {
      out += short;
      continue;
    }
    let code = text.charCodeAt(i);
    if (code >= 0x20 && code < 0x7f) {
      out += character;
      continue;
    }
    if (code >= 0xd800 && code <= 0xdfff) {
      const pair = (text.codePointAt(i) ?? 0) > 0xffff;
      if (pair) out += `\\u${hex(code)}\\u${hex(text.charCodeAt(++i))}`;
      if (pair) continue;
      code = 0xfffd;
    }
    out += `\\u${hex(code)}`;
  }
  return `${out}"`;
}

const hex = (code: number): string => code.toString(16).toUpperCase().padStart(4, '0');

/** A number that is no integer, with 17 significant digits and no needless zeros (C's %.17g). */
function printReal(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? '1e+400' : value < 0 ? '-1e+400' : 'null';
  const [mantissa = '', exponent = ''] = value.toExponential(16).split('e');
  const power = Number(exponent);
  const strip = (digits: string): string => (digits.includes('.') ? digits.replace(/\.?0+$/, '') : digits);
  if (Object.is(value, -0)) return '-0';
  if (power < -4 || power >= 17) {
    const sign = power < 0 ? '-' : '+';
    return `${strip(mantissa)}e${sign}${String(Math.abs(power)).padStart(2, '0')}`;
  }
  return strip(value.toFixed(16 - power));
}

function printNumber(value: number | bigint): string {
  if (typeof value === 'bigint') return value.toString();
  return Number.isSafeInteger(value) ? String(value + 0) : printReal(value);
}

/** How {@link toJson} lays the text out. */
interface JsonStyle {
  /** One member or element a line, four blanks a level; an empty list or object takes two lines. Default: one line. */
  pretty?: boolean;
}

/** The text of a value. Members that are undefined are left out. */
export function toJson(value: QmpValue, style: JsonStyle = {}): string {
  return print(value, style.pretty ? '\n' : null);
}

/** @param newline line feed and the indentation of this level, or null for one line. */
function print(value: QmpValue, newline: string | null): string {
  switch (typeof value) {
    case 'string':
      return quoteJson(value);
    case 'number':
    case 'bigint':
      return printNumber(value);
    case 'boolean':
      return value ? 'true' : 'false';
    default:
  }
  if (value === null) return 'null';
  if (value instanceof Real) return printReal(value.value);
  const inner = newline === null ? null : `${newline}    `;
  if (Array.isArray(value))
    return enclose(
      '[',
      value.map((item) => print(item, inner)),
      ']',
      newline,
    );
  return enclose('{', printMembers(value, inner), '}', newline);
}

function printMembers(object: QmpObject, newline: string | null): string[] {
  const keys = Object.keys(object).filter((key) => object[key] !== undefined);
  return dictOrder(keys).map((key) => `${quoteJson(key)}: ${print(object[key] ?? null, newline)}`);
}

function enclose(open: string, items: string[], close: string, newline: string | null): string {
  if (newline === null) return open + items.join(', ') + close;
  const inner = `${newline}    `;
  return open + (items.length ? inner : '') + items.join(`,${inner}`) + newline + close;
}
