/** "Making" an image where there is one already: protocols that make nothing new take what is there, and empty it. */
import { RequestFlag } from '../../engine/contract';
import { Permission } from '../../files/locks';
import type { ImageMaker } from '../drivers/driver';
import { explain } from '../errors';

/** Bytes at the start that are made zeros: nothing is to be found there that was a format before. */
const START = 512;

/** Takes the existing image `filename` of a protocol for a new one of `size` bytes. */
export async function takeExisting(
  maker: ImageMaker,
  driver: string,
  filename: string,
  size: number,
): Promise<void> {
  const refused =
    `Protocol driver '${driver}' does not support creating new images, so an existing image must be selected ` +
    'as the target; however, opening the given target as an existing image failed: ';
  const node = await explain(
    () => maker.openFile(filename),
    (error) => error.prefixed(refused),
  );
  const use = await maker.use(node, Permission.WRITE | Permission.RESIZE);
  try {
    await use.present(() => {
      if (size > use.length()) use.truncate(size);
      const bytes = Math.min(START, use.length());
      if (bytes > 0) use.writeZeroes(0, bytes, RequestFlag.MAY_UNMAP);
    });
  } finally {
    await use.closeNow();
  }
}
