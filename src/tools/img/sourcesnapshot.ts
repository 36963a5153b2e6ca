/** The option -l of convert and measure: a snapshot of the source in place of its disk. */
import type { BlockUser } from '../../graph';
import { step, ToolFailure } from '../failure';
import { splitOptions } from '../optionlist';
import { findSnapshot } from './snapshot';
import { PROGRAM } from './verb';

/** The snapshot that -l names: by id or else by name, or by what of the two is given. */
export type SnapshotName = string | { id?: string; name?: string };

/** Reads what stands behind -l. */
export function readSnapshot(text: string): SnapshotName {
  if (!text.startsWith('snapshot.')) return text;
  const wanted: { id?: string; name?: string } = {};
  for (const { key, value } of splitOptions(text)) {
    if (key !== 'snapshot.id' && key !== 'snapshot.name') {
      throw new ToolFailure(`Invalid parameter '${key}'`, [
        `${PROGRAM}: Failed in parsing snapshot param '${text}'`,
      ]);
    }
    wanted[key === 'snapshot.id' ? 'id' : 'name'] = value ?? 'on';
  }
  return wanted;
}

/** Lets the source show a snapshot instead of its disk. */
export async function showSnapshot(sources: readonly BlockUser[], wanted: SnapshotName): Promise<void> {
  const [source] = sources;
  if (sources.length > 1 || !source) throw new ToolFailure('No support for concatenating multiple snapshot');
  const { driver } = source.node;
  const snapshots = driver === 'qcow2' ? source.snapshots() : null;
  if (!snapshots) {
    throw new ToolFailure(
      `Failed to load snapshot: Block format '${driver}' used by device '' does not support temporarily loading internal snapshots`,
    );
  }
  const list = await source.present(() => snapshots.list());
  const index =
    typeof wanted === 'string'
      ? findSnapshot(list, wanted)
      : list.findIndex(({ id, name }) => (wanted.id ?? id) === id && (wanted.name ?? name) === name);
  if (index < 0) throw new ToolFailure("Failed to load snapshot: Can't find snapshot");
  await step('Failed to load snapshot: ', () => source.present(() => snapshots.show(index)));
}
