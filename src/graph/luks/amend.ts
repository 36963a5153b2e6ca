/** Changes of key slots: what x-blockdev-amend and `qemu-img amend` may ask for, with the texts of QEMU (luks.md A.8). */
import type { QCryptoBlockAmendOptionsLUKS } from '../../qapi/types.generated';
import { GraphError } from '../errors';
import type { Secrets } from '../secrets';
import type { LuksContainer } from './container';
import { SLOTS } from './header';

/** Milliseconds that a new passphrase is to take, unless something else is said. */
export const ITER_TIME = 2000;

/** What amending works with. */
export interface AmendContext {
  container: LuksContainer;
  secrets: Secrets;
  /** The id of the secret that the container was opened with. */
  openedWith: string | null;
  /** Allows what can make data unreadable. */
  force: boolean;
}

/** Adds or erases keys. */
export async function amendKeys(context: AmendContext, options: QCryptoBlockAmendOptionsLUKS): Promise<void> {
  const { keyslot } = options;
  if (options.state === 'active') await addKey(context, options);
  else if (keyslot !== undefined) await eraseSlot(context, options, keyslot);
  else await eraseMatching(context, options);
}

function checkSlot(keyslot: number): void {
  if (keyslot < 0 || keyslot >= SLOTS) {
    throw new GraphError(`Invalid keyslot ${keyslot >>> 0} specified, must be between 0 and ${SLOTS - 1}`);
  }
}

async function addKey(
  { container, secrets, openedWith, force }: AmendContext,
  options: QCryptoBlockAmendOptionsLUKS,
): Promise<void> {
  const newSecret = options['new-secret'];
  const { keyslot } = options;
  if (newSecret === undefined) throw new GraphError("'new-secret' is required to activate a keyslot");
  if (options['old-secret'] !== undefined) {
    throw new GraphError("'old-secret' must not be given when activating keyslots");
  }
  if (keyslot !== undefined) {
    checkSlot(keyslot);
    if (container.slot(keyslot).active && !force) {
      throw new GraphError(`Refusing to overwrite active keyslot ${keyslot} - please erase it first`);
    }
  }
  const free = keyslot ?? container.header.slots.findIndex(({ active }) => !active);
  if (free < 0) throw new GraphError("Can't add a keyslot - all keyslots are in use");
  const unlockWith = options.secret ?? openedWith;
  // What the container was opened with is known even where its secret is gone; only its id is kept, not the key.
  if (unlockWith === null) throw new GraphError("Parameter 'key-secret' is required for cipher");
  const old = secrets.lookupText(unlockWith);
  let masterKey: Uint8Array;
  try {
    masterKey = await container.unlock(old);
  } catch (error) {
    if (!(error instanceof GraphError)) throw error;
    throw new GraphError(error.desc, {
      ...error,
      hints: [...error.hints, 'Failed to retrieve the master key'],
    });
  }
  try {
    await container.addKey(free, masterKey, secrets.lookupText(newSecret), options['iter-time'] ?? ITER_TIME);
  } finally {
    masterKey.fill(0);
  }
}

/** What is only for adding keys. */
function checkErasing(options: QCryptoBlockAmendOptionsLUKS): void {
  for (const name of ['new-secret', 'iter-time', 'secret'] as const) {
    if (options[name] !== undefined) {
      throw new GraphError(`'${name}' must not be given when erasing keyslots`);
    }
  }
}

async function eraseSlot(
  { container, secrets, force }: AmendContext,
  options: QCryptoBlockAmendOptionsLUKS,
  keyslot: number,
): Promise<void> {
  const oldSecret = options['old-secret'];
  checkErasing(options);
  const old = oldSecret === undefined ? null : secrets.lookupText(oldSecret);
  checkSlot(keyslot);
  if (old) {
    const key = container.slot(keyslot).active ? await container.tryUnlock(keyslot, old) : null;
    key?.fill(0);
    if (!key) {
      throw new GraphError(
        `Given keyslot ${keyslot} doesn't contain the given old password for erase operation`,
      );
    }
  }
  const { active } = container.slot(keyslot);
  if (!force && !active) {
    throw new GraphError(`Given keyslot ${keyslot} is already erased (inactive) `);
  }
  if (!force && active && container.activeSlots.length === 1) {
    throw new GraphError(
      `Attempt to erase the only active keyslot ${keyslot} which will erase all the data in the image ` +
        'irreversibly - refusing operation',
    );
  }
  await container.erase(keyslot);
}

/** Erases all slots that a passphrase opens. */
async function eraseMatching(
  { container, secrets, force }: AmendContext,
  options: QCryptoBlockAmendOptionsLUKS,
): Promise<void> {
  const oldSecret = options['old-secret'];
  checkErasing(options);
  if (oldSecret === undefined) {
    throw new GraphError(
      'To erase keyslot(s), either explicit keyslot index or the password currently contained in them must be given',
    );
  }
  const old = secrets.lookupText(oldSecret);
  const matching: number[] = [];
  for (const index of container.activeSlots) {
    const key = await container.tryUnlock(index, old);
    if (!key) continue;
    key.fill(0);
    matching.push(index);
  }
  if (matching.length === 0) {
    throw new GraphError('No keyslots match given (old) password for erase operation');
  }
  if (!force && matching.length === container.activeSlots.length) {
    throw new GraphError(
      'All the active keyslots match the (old) password that was given and erasing them will erase all the data in ' +
        'the image irreversibly - refusing operation',
    );
  }
  for (const index of matching) await container.erase(index);
}
