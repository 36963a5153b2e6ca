/** How verbs of qemu-img are called: one declaration for the parser and for the help. */

/** An option of a verb. */
export interface VerbOption {
  /** A letter. */
  short?: string;
  /** Long names; the first one is shown. */
  long?: readonly string[];
  /** What the value is, in capitals; absent: no value. */
  value?: string;
  help: string;
}

/** How a verb is called: what its help tells. */
export interface VerbDeclaration {
  name: string;
  /** One line for the list of verbs. */
  summary: string;
  /** What stands behind the options. */
  operands: string;
  options: readonly VerbOption[];
}
