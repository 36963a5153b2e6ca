/** How the handlers of commands are typed and found. */
import type { BlockGraph } from '../../graph/index';
import type { CommandName, Commands } from '../../qapi/index';
import type { ChardevTable } from '../chardevs/table';
import type { DaemonEnvironment } from '../environment';
import type { ExportTable } from '../exports/table';
import type { JobTable } from '../jobs/table';
import type { ObjectTable } from '../objects/table';
import type { ObjectTree } from '../objects/tree';

/** What a handler works with. */
export interface CommandContext {
  readonly environment: DaemonEnvironment;
  readonly graph: BlockGraph;
  readonly jobs: JobTable;
  readonly exports: ExportTable;
  readonly objects: ObjectTable;
  readonly chardevs: ChardevTable;
  /** The objects and character devices by their paths. */
  readonly tree: ObjectTree;
  /** Closes everything; the daemon ends when the reply has been sent. */
  quit(): Promise<void>;
}

/** Does a command. The arguments have passed the schema; a refusal is thrown as `QmpError`. */
type Handler<N extends CommandName> = (
  args: Commands[N]['arguments'],
  context: CommandContext,
) => Commands[N]['return'] | Promise<Commands[N]['return']>;

/** The handlers of a chapter of the reference. */
export type Handlers = { readonly [N in CommandName]?: Handler<N> };
