/** Bytes of an image file, and how they are read and told. */
import type { Field, FileRange } from './contract';

/** What is inspected: read synchronously, in small pieces. A `BlockFile` is one. Failures are thrown with a text for the user. */
export interface ByteSource {
  size(): number;
  /** Answers the number of bytes read: less than asked for only at the end. */
  read(into: Uint8Array, at: number): number;
  /** How far what is at an offset goes on, and whether it is data or a hole. Absent: all is data. */
  extent?(at: number): { data: boolean; bytes: number };
}

/** The bytes are elsewhere, and are asked for: the same work, done again when they have come, finds them. */
export class Absent extends Error {
  override readonly name = 'Absent';
}

/** Bytes of a range; short where the file ends. */
export function readBytes(source: ByteSource, offset: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(Math.max(0, Math.min(length, source.size() - offset)));
  const count = bytes.length === 0 ? 0 : source.read(bytes, offset);
  return count === bytes.length ? bytes : bytes.slice(0, count);
}

/** The same, filled up with zeros, as a view. */
export function readView(source: ByteSource, offset: number, length: number): DataView<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  bytes.set(readBytes(source, offset, length));
  return new DataView(bytes.buffer);
}

/** A number of 64 bits as far as a number can hold it: what is larger is only said to be too large by its size. */
export function u64(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4);
}

/** Text of a field, up to its first zero byte. */
export function textOf(bytes: Uint8Array): string {
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'];

/** `64 KiB`, `1.5 GiB`, `592 bytes`. */
export function sizeText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toPrecision(Math.max(3, Math.trunc(value).toString().length))} ${UNITS[unit]}`;
}

/** A range that an offset in the file leads to; none for 0. */
export function targetOf(offset: number, length: number): { target?: FileRange } {
  return offset === 0 ? {} : { target: { offset, length } };
}

/** Those of some fields that overlap a range. */
export function overlapping(fields: Iterable<Field>, offset: number, length: number): Field[] {
  return [...fields].filter(
    (field) => field.offset < offset + length && offset < field.offset + field.length,
  );
}
