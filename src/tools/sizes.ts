/** Numbers as the tools of QEMU take them on their command lines and print them. */
import { readSize, type SizeMistake } from '../qapi/size';

/** 2^63 - 1, the largest size. */
export const INT64_MAX = 0x7fffffffffffffffn;

/** A size from 0 to 2^63 - 1 with an optional suffix (tools.md 0.2), or why the text is none. */
export function cvtnum(text: string): bigint | SizeMistake {
  const value = readSize(text);
  return typeof value === 'bigint' && value > INT64_MAX ? 'range' : value;
}

/** A number of bytes in decimal digits, exact also above 2^53 where JavaScript's own text is not. */
export function decimal(value: number | bigint): string {
  return Number.isSafeInteger(value) ? String(value) : BigInt(value).toString();
}
