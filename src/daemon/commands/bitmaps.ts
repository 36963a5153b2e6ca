/** The commands on dirty bitmaps. */
import { createSHA256 } from 'hash-wasm';
import type { NodeBitmap } from '../../graph/bitmaps';
import type { Handlers } from './registry';

/** Bytes of bits that are hashed at a time, a multiple of 8. */
const PIECE = 1 << 20;
/** The bits are kept in words of so many bytes; the hash is about whole words. */
const WORD = 8;

async function hashOf({ node, handle }: NodeBitmap): Promise<string> {
  const hash = await createSHA256();
  const { engine } = node;
  const bytes = Math.ceil(engine.bitmaps.serialBytes(handle) / WORD) * WORD;
  const buffer = engine.alloc(Math.min(bytes, PIECE));
  try {
    for (let at = 0; at < bytes; at += PIECE) {
      const n = Math.min(PIECE, bytes - at);
      engine.bitmaps.serialize(handle, at, n, buffer);
      hash.update(buffer.view(0, n));
    }
  } finally {
    buffer.free();
  }
  return hash.digest('hex');
}

export const bitmaps: Handlers = {
  'block-dirty-bitmap-add': async (args, { graph }) => {
    (await graph.bitmaps.add(args)).commit();
    return {};
  },

  'block-dirty-bitmap-remove': async ({ node, name }, { graph }) => {
    (await graph.bitmaps.remove(node, name)).commit();
    return {};
  },

  'block-dirty-bitmap-clear': ({ node, name }, { graph }) => {
    graph.bitmaps.clear(node, name).commit();
    return {};
  },

  'block-dirty-bitmap-enable': ({ node, name }, { graph }) => {
    graph.bitmaps.setEnabled(node, name, true).commit();
    return {};
  },

  'block-dirty-bitmap-disable': ({ node, name }, { graph }) => {
    graph.bitmaps.setEnabled(node, name, false).commit();
    return {};
  },

  'block-dirty-bitmap-merge': (args, { graph }) => {
    graph.bitmaps.merge(args.node, args.target, args.bitmaps).commit();
    return {};
  },

  'x-debug-block-dirty-bitmap-sha256': async ({ node, name }, { graph }) => ({
    sha256: await hashOf(graph.bitmaps.lookup(node, name)),
  }),
};
