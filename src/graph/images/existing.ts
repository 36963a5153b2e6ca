/** "Making" an image where there is one already: protocols that make nothing new take what is there, and empty it. */
import { RequestFlag } from '../../engine/contract';
import { Permission } from '../../files/locks';
import { explain } from '../errors';
import { Options } from '../options';
import { NodeUser } from '../user';
import type { Creator } from './create';

/** Bytes at the start that are made zeros: nothing is to be found there that was a format before. */
const START = 512;

/** Takes the existing image `filename` of a protocol for a new one of `size` bytes. */
export async function takeExisting(
  { host }: Creator,
  driver: string,
  filename: string,
  size: number,
): Promise<void> {
  const refused =
    `Protocol driver '${driver}' does not support creating new images, so an existing image must be selected ` +
    'as the target; however, opening the given target as an existing image failed: ';
  const { opener } = host;
  const node = await explain(
    () => opener.open({ filename, protocol: true, options: new Options() }),
    (error) => error.prefixed(refused),
  );
  let user: NodeUser;
  try {
    const perm = Permission.WRITE | Permission.RESIZE;
    user = await NodeUser.attach(host, node, { name: '', perm, shared: Permission.ALL, writeThrough: false });
  } finally {
    await opener.unref(node);
  }
  try {
    await user.present(() => {
      if (size > user.length()) user.truncate(size);
      const bytes = Math.min(START, user.length());
      if (bytes > 0) user.writeZeroes(0, bytes, RequestFlag.MAY_UNMAP);
    });
  } finally {
    await user.closeNow();
  }
}
