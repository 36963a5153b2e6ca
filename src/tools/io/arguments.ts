/** Arguments that several commands of qemu-io take. */
import { parseInteger } from '../../qapi/size';
import { cvtnum } from '../sizes';
import { CommandFailure } from './command';

/** The longest request, bytes. */
export const MAX_REQUEST = 2147483136;
const SECTOR = 512;

/** A size or an offset. Throws the texts of the real tool. */
export function readNumber(text: string): number {
  const value = cvtnum(text);
  if (value === 'invalid') {
    throw new CommandFailure(
      `Parsing error: non-numeric argument, or extraneous/unrecognized suffix -- ${text}`,
    );
  }
  if (value === 'range') throw new CommandFailure(`Parsing error: argument too large -- ${text}`);
  return Number(value);
}

/** A byte to fill with or to look for. */
export function readPattern(text: string): number {
  const value = parseInteger(text);
  if (value === null || value < 0n || value > 255n)
    throw new CommandFailure(`${text} is not a valid pattern byte`);
  return Number(value);
}

/** The lengths of a vectored request; answers their sum. */
export function readLengths(texts: readonly string[]): number {
  let sum = 0;
  for (const text of texts) {
    const length = readNumber(text);
    if (length > MAX_REQUEST)
      throw new CommandFailure(`Argument '${text}' exceeds maximum size ${MAX_REQUEST}`);
    sum += length;
    if (sum > MAX_REQUEST) {
      throw new CommandFailure(`The total number of bytes exceed the maximum size ${MAX_REQUEST}`);
    }
  }
  return sum;
}

/** Offset and length must be whole sectors. */
export function needSectors(offset: number, count: number): void {
  if (offset % SECTOR !== 0) throw new CommandFailure(`${offset} is not a sector-aligned value for 'offset'`);
  if (count % SECTOR !== 0) throw new CommandFailure(`${count} is not a sector-aligned value for 'count'`);
}
