/** qemu-img snapshot */
import { BlockError } from '../../engine/contract';
import { Errno, strerror } from '../../files/contract';
import { listSnapshots, type BlockUser } from '../../graph';
import type { SnapshotInfo } from '../../qapi/types.generated';
import { step, ToolFailure } from '../failure';
import { snapshotTable } from '../imageinfo';
import { COMMON, usageFailure, type Verb, type VerbSession } from './verb';

/** Lists, makes, applies and deletes internal snapshots of an image. */
export const snapshot: Verb = {
  name: 'snapshot',
  summary: 'List, make, apply and delete internal snapshots of an image',
  operands: 'FILE',
  options: [
    COMMON.help,
    COMMON.imageOpts,
    { short: 'l', long: ['list'], help: 'list the snapshots' },
    { short: 'c', long: ['create'], value: 'NAME', help: 'take a snapshot' },
    {
      short: 'a',
      long: ['apply'],
      value: 'NAME',
      help: 'make the disk what it was at this snapshot (id or name)',
    },
    { short: 'd', long: ['delete'], value: 'NAME', help: 'delete the snapshot of this name' },
    COMMON.forceShare,
    COMMON.object,
    COMMON.quiet,
  ],
  run: async (session) => {
    let imageOpts = false;
    let forceShare = false;
    let action: { code: string; value: string } | undefined;
    for await (const { code, value } of session.options()) {
      if (code === 'image-opts') imageOpts = true;
      else if (code === 'U') forceShare = true;
      else if (code !== 'q') {
        if (action) throw usageFailure("Cannot mix '-l', '-a', '-c', '-d'");
        action = { code, value };
      }
    }
    const name = session.oneFile();
    const user = await session.open(
      session.graph(),
      { name, imageOpts },
      { readOnly: action?.code === 'l', forceShare },
    );
    if (action) await ACTIONS[action.code]?.(session, user, action.value);
    await user.close();
    return 0;
  },
};

type Action = (session: VerbSession, user: BlockUser, name: string) => void | Promise<void>;

const ACTIONS: Readonly<Record<string, Action>> = { l: list, c: create, a: apply, d: remove };

async function list(session: VerbSession, user: BlockUser): Promise<void> {
  const found = (await listOf(user)) ?? [];
  if (found.length === 0) return;
  session.context.stdout(`Snapshot list:\n${snapshotTable(found).join('\n')}\n`);
}

/** The snapshots of an image; null: it cannot have any. */
async function listOf(user: BlockUser): Promise<SnapshotInfo[] | null> {
  const snapshots = user.snapshots();
  return snapshots && user.present(() => listSnapshots(snapshots));
}

async function create(_session: VerbSession, user: BlockUser, name: string): Promise<void> {
  await step(`Could not create snapshot '${name}': `, () => {
    const snapshots = user.snapshots();
    if (!snapshots) throw new ToolFailure(strerror(Errno.ENOTSUP));
    // QEMU's tool records no clock and an instruction count of 0.
    return withErrno(user, () => snapshots.create(name, 'zero', 0));
  });
}

async function apply(_session: VerbSession, user: BlockUser, name: string): Promise<void> {
  await step(`Could not apply snapshot '${name}': `, async () => {
    const snapshots = user.snapshots();
    if (!snapshots) throw new ToolFailure('Block driver does not support snapshots');
    snapshots.checkApply();
    const failure = 'Failed to load snapshot: ';
    const found = await listOf(user);
    if (!found) throw new ToolFailure(failure + strerror(Errno.ENOTSUP));
    const index = findSnapshot(found, name);
    if (index < 0) throw new ToolFailure(failure + strerror(Errno.ENOENT));
    return step(failure, () => withErrno(user, () => snapshots.apply(index)));
  });
}

async function remove(_session: VerbSession, user: BlockUser, name: string): Promise<void> {
  const prefix = `Could not delete snapshot '${name}': `;
  const snapshots = user.snapshots();
  const index = (await listOf(user))?.findIndex((found) => found.name === name) ?? -1;
  if (!snapshots || index < 0) throw new ToolFailure(`${prefix}snapshot not found`);
  await step(prefix, () => user.present(() => snapshots.delete(index)));
}

/** Index of the snapshot with this id, else of the first one with this name; -1: none. */
export function findSnapshot(snapshots: readonly SnapshotInfo[], text: string): number {
  const byId = snapshots.findIndex(({ id }) => id === text);
  return byId >= 0 ? byId : snapshots.findIndex(({ name }) => name === text);
}

/** Runs a request whose failures are shown as strerror's text. */
async function withErrno(user: BlockUser, request: () => void): Promise<void> {
  try {
    await user.present(request);
  } catch (error) {
    throw error instanceof BlockError ? new ToolFailure(strerror(error.errno)) : error;
  }
}
