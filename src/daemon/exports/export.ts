/** What the table of exports knows of one of any type. */
import type { BlockUser } from '../../graph/index';
import type { BlockExportType } from '../../qapi/index';

export interface BlockExport {
  readonly id: string;
  readonly type: BlockExportType;
  /** Belongs to the table, which closes it last. */
  readonly user: BlockUser;
  /** Somebody is connected who would be cut off. */
  inUse(): boolean;
  /** A node of the same daemon is connected: it needs this export to be closed itself. */
  inUseByOwn(): boolean;
  /** Lets nobody in any more. */
  shut(): void;
  /** Cuts off who is there, and gives back what it holds but for the user of the node. */
  end(): Promise<void>;
}
