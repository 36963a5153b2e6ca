/** `qemu-img amend` of key slots: of a LUKS container, and of one inside another format. */
import type { QCryptoBlockAmendOptionsLUKS } from '../../qapi/types.generated';
import type { CreateOption, CreateValues, ImageAmendment } from '../api';
import { GraphError } from '../errors';

/** What can be said of key slots. */
export const AMEND_OPTIONS: readonly CreateOption[] = [
  { name: 'state', type: 'str', help: 'Select new state of affected keyslots (active/inactive)' },
  {
    name: 'new-secret',
    type: 'str',
    help: 'New secret to set in the matching keyslots. Empty string to erase',
  },
  { name: 'old-secret', type: 'str', help: 'Select all keyslots that match this password' },
  { name: 'keyslot', type: 'num', help: 'Select a single keyslot to modify explicitly' },
  { name: 'iter-time', type: 'num', help: 'Time to spend in PBKDF in milliseconds' },
];

/**
 * The options of a command line in the names of QMP, with the texts of its validation.
 * @param prefix in front of the names on the command line
 */
export function amendValues(values: CreateValues, prefix = ''): QCryptoBlockAmendOptionsLUKS {
  const state = values[`${prefix}state`];
  if (state === undefined) throw new GraphError("Parameter 'state' is missing");
  if (state !== 'active' && state !== 'inactive') {
    throw new GraphError(`Parameter 'state' does not accept value '${state}'`);
  }
  const text = (name: 'new-secret' | 'old-secret') => {
    const value = values[prefix + name];
    return value === undefined ? {} : { [name]: String(value) };
  };
  const number = (name: 'keyslot' | 'iter-time') => {
    const value = values[prefix + name];
    return value === undefined ? {} : { [name]: Number(value) };
  };
  return {
    state,
    ...text('new-secret'),
    ...text('old-secret'),
    ...number('keyslot'),
    ...number('iter-time'),
  };
}

/** An amendment of key slots; it is one step. */
export function keyAmendment(
  options: QCryptoBlockAmendOptionsLUKS,
  change: (options: QCryptoBlockAmendOptionsLUKS) => Promise<void>,
): ImageAmendment {
  return {
    async step() {
      await change(options);
      return false;
    },
    // The real tool tells of nothing between the start and the end.
    progress: () => ({ before: 0, done: 0, total: 0, left: 0 }),
    end: () => undefined,
  };
}
