/**
 * Transactions: several actions of which all are done or none. Actions are begun in their order; if one cannot be, those
 * before it are taken back, the last first; if all could, they are made to last, the last first too, as QEMU does it.
 */
import type { TransactionAction, TransactionProperties } from '../qapi/types.generated';
import { QmpError } from '../qapi/index';
import type { CommandContext } from './commands/registry';
import { JobTransaction } from './jobs/transaction';

/** The end of an action that was begun: `commit` or `abort` is called, then `clean`. None of them may fail. */
export interface BegunAction {
  commit?: () => void | Promise<void>;
  abort?: () => void | Promise<void>;
  clean?: () => void | Promise<void>;
}

/** What an action works with. */
export interface ActionContext extends CommandContext {
  /** With completion-mode grouped: the transaction that the jobs of all actions are in; null: each has its own. */
  readonly group: JobTransaction | null;
}

type Kind = TransactionAction['type'];
type DataOf<K extends Kind> = Extract<TransactionAction, { type: K }>['data'];

/** Begins an action. If it throws it has taken back what it did itself. */
type Begin<K extends Kind> = (data: DataOf<K>, context: ActionContext) => Promise<BegunAction>;

/** How actions are begun, by type. */
export type Actions = { readonly [K in Kind]?: Begin<K> };

/** The actions whose jobs can end together. */
const GROUPABLE: readonly Kind[] = ['blockdev-backup', 'drive-backup'];

/** Does a list of actions. The first refusal is thrown when everything is as it was before. */
export async function runTransaction(
  actions: Actions,
  list: readonly TransactionAction[],
  properties: TransactionProperties,
  context: CommandContext,
): Promise<void> {
  const grouped = properties['completion-mode'] === 'grouped';
  const alone = grouped ? list.find(({ type }) => !GROUPABLE.includes(type)) : undefined;
  if (alone) {
    throw new QmpError(
      `Action '${alone.type}' does not support transaction property completion-mode = grouped`,
    );
  }
  const inside: ActionContext = { ...context, group: grouped ? new JobTransaction() : null };
  const begun: BegunAction[] = [];
  let failure: { error: unknown } | null = null;
  context.graph.drain();
  try {
    for (const action of list) {
      begun.push(await begin(actions, action.type, action.data, inside));
    }
  } catch (error) {
    failure = { error };
  }
  begun.reverse();
  for (const { commit, abort } of begun) await (failure ? abort : commit)?.();
  for (const { clean } of begun) await clean?.();
  if (failure) throw failure.error;
}

function begin<K extends Kind>(
  actions: Actions,
  type: K,
  data: DataOf<K>,
  context: ActionContext,
): Promise<BegunAction> {
  const start = actions[type];
  if (!start) throw new QmpError(`Not available yet: action '${type}' of a transaction`);
  return start(data, context);
}
