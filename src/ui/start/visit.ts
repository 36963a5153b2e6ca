/** What was entered in a visit, for a script that does it again, and for undo. */
import { asLine, changesSomething } from './script';

/** Tasks that bring what no line can bring again: files of the user. */
const BRINGS = /^(?:import(?!\s+https?:)|open)(?:\s|$)/;

export class Visit {
  private readonly entered: string[] = [];
  /** Why the lines alone do not lead to the present state; null: they do. */
  private obstacle: string | null;

  /** @param empty whether the sandbox had no files when it began */
  constructor(empty: boolean) {
    this.obstacle = empty ? null : 'there were files when this page was opened';
  }

  /** The lines that changed something, in their order. */
  get lines(): readonly string[] {
    return this.entered;
  }

  /** Why the last line cannot be taken back; null: it can. */
  get cannotUndo(): string | null {
    if (this.obstacle !== null) return this.obstacle;
    return this.entered.length === 0 ? 'nothing was changed yet' : null;
  }

  /** A command has ended. One that failed changed nothing that a script could need. */
  record(line: string, code: number): void {
    if (BRINGS.test(line)) this.obstacle = 'files were brought in from outside';
    else if (line === '') this.obstacle = 'a line with a secret was entered, which is not kept';
    else if (code === 0 && changesSomething(line)) this.entered.push(asLine(line));
  }

  /** A file or more came from outside by a way that is no line. */
  brought(what: string): void {
    this.obstacle = what;
  }

  /** The sandbox is empty again. */
  restart(): void {
    this.entered.length = 0;
    this.obstacle = null;
  }
}
