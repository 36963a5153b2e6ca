/** qemu-nbd -s: what clients write goes to a temporary file and is gone with the program. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { BlockGraph, BlockUser } from '../../graph/index';
import { temporaryDirectory } from '../temporary';

/**
 * Puts a new image over one that is open.
 * @param base the image, which is only read from now on; it is closed here
 * @param permissions that the user of the overlay gets
 */
export async function overTemporaryFile(
  graph: BlockGraph,
  base: BlockUser,
  readOnly: boolean,
  permissions: { perm: number; shared: number },
): Promise<BlockUser> {
  const directory = temporaryDirectory();
  try {
    const filename = join(directory, 'overlay.qcow2');
    await graph.createImage({ filename, format: 'qcow2', values: { size: base.length() } });
    await graph.blockdevAdd({
      driver: 'qcow2',
      'node-name': 'overlay',
      file: { driver: 'file', filename },
      backing: base.node.name,
      'read-only': readOnly,
      // Nothing of it is to outlive the program.
      cache: { 'no-flush': true },
    });
    const user = await graph.attach({ nodeName: 'overlay' }, permissions);
    await base.close();
    return user;
  } finally {
    // It stays as long as it is open.
    rmSync(directory, { recursive: true });
  }
}
