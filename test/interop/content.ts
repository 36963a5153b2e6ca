/** Reads whole images through the graph, in the terms of {@link MadeImage}. Runs under Node.js and in a worker. */
import type { Engine, IoBuffer } from '../../src/engine/contract';
import { Status } from '../../src/engine/contract';
import type { BlockUser, NodeView } from '../../src/graph';
import type { MapEntry } from './images';

const PIECE = 2 ** 20;

/** Calls `take` with all the guest content, piece by piece; a piece is only valid in the call. */
export function readAll(engine: Engine, user: BlockUser, take: (piece: Uint8Array) => void): void {
  const length = user.length();
  const buffer: IoBuffer = engine.alloc(PIECE);
  try {
    for (let at = 0; at < length; at += PIECE) {
      const bytes = Math.min(PIECE, length - at);
      user.read(at, bytes, buffer);
      take(buffer.view(0, bytes));
    }
  } finally {
    buffer.free();
  }
}

/** The block status of all the chain as `qemu-img map --output=json` puts it. */
export function mapOf(engine: Engine, user: BlockUser): MapEntry[] {
  const length = user.length();
  const entries: (MapEntry & { file: number | null })[] = [];
  let at = 0;
  do {
    const entry = entryAt(engine, user.node, at, length);
    const last = entries.at(-1);
    if (
      last?.depth === entry.depth &&
      last.present === entry.present &&
      last.zero === entry.zero &&
      last.data === entry.data &&
      last.compressed === entry.compressed &&
      last.file === entry.file &&
      (last.offset === undefined ? undefined : last.offset + last.length) === entry.offset
    ) {
      last.length += entry.length;
    } else {
      entries.push(entry);
    }
    if (entry.length <= 0 && length > 0) throw new Error(`no progress at ${at}`);
    at += entry.length;
  } while (at < length);
  return entries.map(({ file: _file, ...entry }) => entry);
}

/** Goes down the chain until a node says what is there. */
function entryAt(
  engine: Engine,
  top: NodeView,
  start: number,
  end: number,
): MapEntry & { file: number | null } {
  let bytes = end - start;
  let node = top;
  for (let depth = 0; ; depth++) {
    const status = engine.blockStatus(node.handle, start, bytes);
    bytes = status.bytes;
    const { backing } = node;
    if (backing && !(status.flags & (Status.DATA | Status.ZERO))) {
      node = backing;
      continue;
    }
    const has = (flag: Status): boolean => (status.flags & flag) !== 0;
    return {
      start,
      length: bytes,
      depth,
      present: has(Status.ALLOCATED),
      zero: has(Status.ZERO),
      data: has(Status.DATA),
      compressed: has(Status.COMPRESSED),
      ...(has(Status.OFFSET_VALID) ? { offset: status.map } : {}),
      file: has(Status.OFFSET_VALID) ? status.file : null,
    };
  }
}
