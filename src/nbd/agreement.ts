/** What both ends of a connection have agreed upon. */
import type { MetaContext } from './contexts';
import type { NbdExport } from './export';

/** How replies look. */
export type HeaderStyle = 'simple' | 'structured' | 'extended';

/** What was agreed upon when the transmission begins. */
export interface Agreement {
  readonly target: NbdExport;
  readonly style: HeaderStyle;
  readonly contexts: readonly MetaContext[];
}
