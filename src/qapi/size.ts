/** Numbers as the command lines of QEMU read them. All results are exact. */

const SUFFIXES = 'bkmgtpe';
const MAX_U64 = (1n << 64n) - 1n;

/** Why a text is no size: no number at all, or one below 0 or from 2^64 on. */
export type SizeMistake = 'invalid' | 'range';

/**
 * A size in bytes: decimal, or `0x` hexadecimal without suffix; one suffix of b, k, M, G, T, P, E (powers of 1024, either
 * case); a decimal fraction other than zero only with a suffix above b, rounded to the nearest byte. Leading blanks and
 * `+` are allowed.
 */
export function readSize(text: string): bigint | SizeMistake {
  if (/^[ \t\n\v\f\r]*-\.?[0-9]+$/.test(text)) return 'range';
  const match = /^[ \t\n\v\f\r]*\+?(?:(0[xX][0-9a-fA-F]+)|([0-9]*)(\.[0-9]*)?([a-zA-Z])?)$/.exec(text);
  if (!match) return 'invalid';
  const [, hex, whole = '', fraction, suffix = 'b'] = match;
  if (hex !== undefined) return within(BigInt(hex));
  if (whole === '' && (fraction ?? '.') === '.') return 'invalid';
  // A number that is too big already is looked at no further: what follows it makes it no number.
  if (BigInt(whole || '0') > MAX_U64 && /[^0-9]$/.test(text)) return 'invalid';
  const exponent = SUFFIXES.indexOf(suffix.toLowerCase());
  // The fraction goes through a double, as in the real tools.
  const part = fraction === undefined ? 0 : Number(`0${fraction}0`);
  if (exponent < 0 || (part !== 0 && exponent === 0)) return 'invalid';
  const unit = 1n << BigInt(10 * exponent);
  return within(BigInt(whole || '0') * unit + BigInt(Math.floor(part * Number(unit) + 0.5)));
}

const within = (value: bigint): bigint | SizeMistake => (value > MAX_U64 ? 'range' : value);

/** {@link readSize} for those who do not ask why: null if the text is no size. */
export function parseSize(text: string): bigint | null {
  const value = readSize(text);
  return typeof value === 'bigint' ? value : null;
}

/**
 * An integer as C's strtoll and strtoull read it: leading blanks, a sign, then decimal, `0x` hexadecimal or `0` octal
 * digits, nothing behind. Null if the text is none. The range is the caller's business.
 */
export function parseInteger(text: string): bigint | null {
  const match = /^[ \t\n\v\f\r]*([+-]?)(?:(0[xX][0-9a-fA-F]+)|0([0-7]+)|(0|[1-9][0-9]*))$/.exec(text);
  if (!match) return null;
  const [, sign, hex, octal, decimal = '0'] = match;
  const value =
    hex !== undefined ? BigInt(hex) : octal !== undefined ? BigInt(`0o${octal}`) : BigInt(decimal);
  return sign === '-' ? -value : value;
}

/** A finite number as C's strtod reads it, nothing behind; null if the text is none. */
export function parseNumber(text: string): number | null {
  if (!/^[ \t\n\v\f\r]*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(text)) return null;
  const value = Number(text);
  return Number.isFinite(value) ? value : null;
}
