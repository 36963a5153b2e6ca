/** How convert takes the dirty bitmaps along that an image keeps. */
import type { BitmapState, EngineBitmaps } from '../../engine/bitmaps';
import type { BlockUser } from '../../graph';
import type { GraphBitmaps } from '../../graph/bitmaps';
import { step, ToolFailure } from '../failure';

/** Whether an image can keep bitmaps. */
export async function keepsBitmaps(user: BlockUser): Promise<boolean> {
  const { 'format-specific': specific } = await user.present(() => user.graphInfo());
  return specific?.type === 'qcow2' && specific.data.compat !== '0.10';
}

/** The bitmaps that an image keeps, newest first. */
export function keptBitmaps(engine: EngineBitmaps, { node }: BlockUser): BitmapState[] {
  return engine
    .of(node.handle)
    .map((bitmap) => engine.state(bitmap))
    .filter(({ persistent }) => persistent);
}

/** Refuses sources whose bitmaps cannot be copied. */
export async function checkSourceBitmaps(
  engine: EngineBitmaps,
  sources: readonly BlockUser[],
  skipBroken: boolean,
): Promise<void> {
  const [source, ...more] = sources;
  if (source === undefined || more.length > 0) {
    throw new ToolFailure('Copying bitmaps only possible with single source');
  }
  if (!(await keepsBitmaps(source))) throw new ToolFailure('Source lacks bitmap support');
  const broken = keptBitmaps(engine, source).find(({ inconsistent }) => inconsistent);
  if (broken && !skipBroken) {
    throw new ToolFailure(`Cannot copy inconsistent bitmap '${broken.name}'`, [
      "Try --skip-broken-bitmaps, or use 'qemu-img bitmap --remove' to delete it",
    ]);
  }
}

/**
 * Makes the bitmaps of the source in the target too, with what they hold; those that are not consistent are left out.
 * One that cannot be filled is removed again; the ones before it stay.
 */
export async function copyBitmaps(
  engine: EngineBitmaps,
  bitmaps: GraphBitmaps,
  source: BlockUser,
  target: BlockUser,
  warn: (text: string) => void,
): Promise<void> {
  const [from, node] = [source.node.name, target.node.name];
  for (const { name, granularity, enabled, inconsistent } of keptBitmaps(engine, source)) {
    if (inconsistent) {
      warn(`Skipping inconsistent bitmap '${name}'`);
      continue;
    }
    const addition = await step(`Failed to create bitmap ${name}: `, () =>
      bitmaps.add({ node, name, granularity, persistent: true, disabled: !enabled }),
    );
    addition.commit();
    try {
      await step(`Failed to populate bitmap ${name}: `, () =>
        bitmaps.merge(node, name, [{ node: from, name }]).commit(),
      );
    } catch (error) {
      (await bitmaps.remove(node, name)).commit();
      throw error;
    }
  }
}
