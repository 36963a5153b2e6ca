/** From the name of a command and its arguments to its handler and the reply. */
import {
  findCommand,
  orderOutput,
  QmpError,
  visitArguments,
  type QmpValue,
  type CommandName,
} from '../qapi/index';
import { bitmaps } from './commands/bitmaps';
import { blockCore } from './commands/block-core';
import { blockJobs } from './commands/block-jobs';
import { mirrors } from './commands/mirror';
import { chardev } from './commands/chardev';
import { control } from './commands/control';
import { exports } from './commands/exports';
import { jobs } from './commands/jobs';
import { objects } from './commands/objects';
import { snapshots } from './commands/snapshots';
import { transactions } from './commands/transactions';
import type { CommandContext, Handlers } from './commands/registry';

const HANDLERS: Handlers = {
  // A monitor negotiates for itself; what comes here has been negotiated.
  qmp_capabilities: () => {
    throw new QmpError('Capabilities negotiation is already complete, command ignored', 'CommandNotFound');
  },

  ...control,
  ...blockCore,
  ...bitmaps,
  ...snapshots,
  ...transactions,
  ...blockJobs,
  ...mirrors,
  ...jobs,
  ...exports,
  ...objects,
  ...chardev,
};

/** Whether a text is the name of a command of the schema. */
export function isCommand(name: string): name is CommandName {
  return findCommand(name) !== undefined;
}

/**
 * Does one command; its reply's `return` member, with members in the order of the schema. Throws {@link QmpError} for
 * what is refused: an unknown command, wrong arguments, and what the command itself refuses.
 */
export async function dispatch(
  name: string,
  args: QmpValue | undefined,
  context: CommandContext,
): Promise<QmpValue> {
  const definition = findCommand(name);
  if (!definition || !isCommand(name))
    throw new QmpError(`The command ${name} has not been found`, 'CommandNotFound');
  return orderOutput(definition.returns, await run(name, args, context));
}

async function run<N extends CommandName>(
  name: N,
  args: QmpValue | undefined,
  context: CommandContext,
): Promise<unknown> {
  const visited = visitArguments(name, args ?? {});
  const handler = HANDLERS[name];
  if (!handler) throw new TypeError(`nobody does the command ${name}`);
  return handler(visited, context);
}
