/** Messages of NBD clients, byte by byte, also such as no sane client sends. */
import { ByteWriter } from '../../src/nbd/stream';
import { EXTENDED_REQUEST_MAGIC, OPTION_MAGIC, REQUEST_MAGIC } from '../../src/nbd/wire';

const EMPTY = new Uint8Array(0);

/** What a client says first. */
export function hello(flags = 3): Uint8Array {
  return new ByteWriter().u32(flags).done();
}

export function option(number: number, data: Uint8Array = EMPTY, length = data.length): Uint8Array {
  return new ByteWriter().u64(OPTION_MAGIC).u32(number).u32(length).bytes(data).done();
}

/** A text behind its length. */
function counted(text: string): Uint8Array {
  const bytes = new TextEncoder().encode(text);
  return new ByteWriter().u32(bytes.length).bytes(bytes).done();
}

/** The data of INFO and GO. */
export function infoData(name: string, infos: number[] = [], count = infos.length): Uint8Array {
  const writer = new ByteWriter().bytes(counted(name)).u16(count);
  for (const info of infos) writer.u16(info);
  return writer.done();
}

/** The data of LIST_META_CONTEXT and SET_META_CONTEXT. */
export function contextData(name: string, queries: string[] = [], count = queries.length): Uint8Array {
  const writer = new ByteWriter().bytes(counted(name)).u32(count);
  for (const query of queries) writer.bytes(counted(query));
  return writer.done();
}

/** A request of the older form. */
export interface RequestFields {
  type: number;
  flags?: number;
  offset?: number | bigint;
  length?: number;
  cookie?: bigint;
  data?: Uint8Array;
}

export function request({
  type,
  flags = 0,
  offset = 0,
  length = 0,
  cookie = 7n,
  data = EMPTY,
}: RequestFields): Uint8Array {
  const writer = new ByteWriter().u32(REQUEST_MAGIC).u16(flags).u16(type).u64(cookie);
  return writer.u64(offset).u32(length).bytes(data).done();
}

/** A request with an extended header. */
export function longRequest({
  type,
  flags = 0,
  offset = 0,
  length = 0n,
  cookie = 7n,
  data = EMPTY,
}: Omit<RequestFields, 'length'> & { length?: number | bigint }): Uint8Array {
  const writer = new ByteWriter().u32(EXTENDED_REQUEST_MAGIC).u16(flags).u16(type).u64(cookie);
  return writer.u64(offset).u64(length).bytes(data).done();
}
