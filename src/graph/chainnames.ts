/** Finding an image of a backing chain by a file name. */
import { backingOf, skipFilters } from './chain';
import { resolveStored } from './stored-name';
import type { BlockNode } from './node';
import type { Opener } from './open';

/**
 * The image below `top` that a user calls `name`: as stored in the image above it, as opened, or by another name of the same
 * file. Names are relative to the image above. Null: there is none.
 */
export async function findBacking(
  { environment: { files } }: Opener,
  top: BlockNode,
  name: string,
): Promise<BlockNode | null> {
  const found = findKnown(top, name);
  if (found) return found;
  const identity = (file: string): Promise<string | null> => files.identity(file).catch(() => null);
  for (let at = skipFilters(top); at; at = backingOf(at)) {
    const below = backingOf(at);
    if (!below || below.exactFilename === '' || at.exactFilename === '') continue;
    const wanted = await identity(resolveStored(at, name));
    if (wanted !== null && wanted === (await identity(below.exactFilename))) return below;
  }
  return null;
}

/** The image below `top` whose file has this name, as stored in the image above it or as opened. */
function findKnown(top: BlockNode, filename: string): BlockNode | null {
  for (let at = skipFilters(top); at; at = backingOf(at)) {
    const below = backingOf(at);
    if (!below) continue;
    if (below.filename === filename || at.backingFile === filename) return below;
    if (at.exactFilename !== '' && below.filename === resolveStored(at, filename)) return below;
  }
  return null;
}
