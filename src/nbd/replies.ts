/** Replies to requests in the three styles of headers. */
import type { Extent, MetaContext } from './contexts';
import type { HeaderStyle } from './agreement';
import type { Message } from './outbox';
import { ByteWriter, encodeText } from './stream';
import {
  Chunk,
  CHUNK_DONE,
  EXTENDED_REPLY_MAGIC,
  SIMPLE_REPLY_MAGIC,
  STRUCTURED_REPLY_MAGIC,
  WireError,
} from './wire';
import type { Request } from './request';

/** Makes the replies of one connection. */
export class Replies {
  constructor(private readonly style: HeaderStyle) {}

  /** Success without data. */
  done(request: Request): Message {
    return this.style === 'extended'
      ? [this.chunk(request, CHUNK_DONE, Chunk.NONE, 0).done()]
      : this.simple(request, WireError.OK);
  }

  /** @param text for a person; only the newer styles have room for it */
  error(request: Request, error: WireError, text: string): Message {
    if (this.style === 'simple') return this.simple(request, error);
    const message = encodeText(text);
    const header = this.chunk(request, CHUNK_DONE, Chunk.ERROR, 6 + message.length);
    return [header.u32(error).u16(message.length).bytes(message).done()];
  }

  /** The data of a read in the simple style: all of it at once. */
  simple(request: Request, error: WireError, data?: Uint8Array): Message {
    const header = new ByteWriter().u32(SIMPLE_REPLY_MAGIC).u32(error).u64(request.cookie).done();
    return data ? [header, data] : [header];
  }

  /** A read of no bytes. */
  nothing(request: Request): Message {
    return [this.chunk(request, CHUNK_DONE, Chunk.NONE, 0).done()];
  }

  /** Some data of a read. */
  data(request: Request, offset: number, data: Uint8Array, last: boolean): Message {
    const header = this.chunk(request, last ? CHUNK_DONE : 0, Chunk.OFFSET_DATA, 8 + data.length);
    return [header.u64(offset).done(), data];
  }

  /** A range of a read that is zero. */
  hole(request: Request, offset: number, bytes: number, last: boolean): Message {
    const header = this.chunk(request, last ? CHUNK_DONE : 0, Chunk.OFFSET_HOLE, 12);
    return [header.u64(offset).u32(bytes).done()];
  }

  /** What one context has for a range. */
  status(request: Request, context: MetaContext, extents: readonly Extent[], last: boolean): Message {
    const flags = last ? CHUNK_DONE : 0;
    if (this.style === 'extended') {
      const writer = this.chunk(request, flags, Chunk.BLOCK_STATUS_EXT, 8 + 16 * extents.length);
      writer.u32(context.id).u32(extents.length);
      for (const { bytes, value } of extents) writer.u64(bytes).u64(value);
      return [writer.done()];
    }
    const writer = this.chunk(request, flags, Chunk.BLOCK_STATUS, 4 + 8 * extents.length);
    writer.u32(context.id);
    for (const { bytes, value } of extents) writer.u32(bytes).u32(value);
    return [writer.done()];
  }

  private chunk(request: Request, flags: number, type: Chunk, length: number): ByteWriter {
    const { cookie, exact } = request;
    return this.style === 'extended'
      ? new ByteWriter()
          .u32(EXTENDED_REPLY_MAGIC)
          .u16(flags)
          .u16(type)
          .u64(cookie)
          .u64(exact().offset)
          .u64(length)
      : new ByteWriter().u32(STRUCTURED_REPLY_MAGIC).u16(flags).u16(type).u64(cookie).u32(length);
  }
}
