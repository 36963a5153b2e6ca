/** Checks of a qcow2 image that write nothing: a repair works on a shadow of the file. */
import { BlockError, type CheckResult, type Engine, type NodeHandle } from '../engine/contract';
import type { ByteSource } from './bytes';
import type { CheckMode, CheckState, FileRange, RepairChange } from './contract';
import { ShadowFile } from './shadow';

/** Lines and changed ranges that are told. */
const MOST_FINDINGS = 500;
const MOST_CHANGES = 200;

/** One check under way. */
export class CheckRun {
  private readonly shadow: ShadowFile;
  private readonly nodes: NodeHandle[] = [];
  private readonly image: NodeHandle;
  private findings: string[] = [];
  private told = 0;
  private more = 0;
  private first: CheckResult | null = null;
  private counted: CheckResult | null = null;
  private failure = '';
  private ended = false;
  private changes: FileRange[] = [];

  /**
   * @param engine one for this check alone
   * @param expected bytes that the check is going to read, estimated
   * @param external the data is in another file, which is not needed
   */
  constructor(
    private readonly engine: Engine,
    source: ByteSource,
    private readonly mode: CheckMode,
    private readonly expected: number,
    external: boolean,
  ) {
    this.shadow = new ShadowFile(source);
    const readOnly = mode === 'look';
    const file = engine.openFile(this.shadow, { readOnly });
    this.nodes.push(file);
    this.image = engine.openQcow2(file, { readOnly, check: true, ...(external && { noIo: true }) });
    this.nodes.unshift(this.image);
    engine.onFinding = (text) => this.note(text);
    this.begin();
  }

  private begin(): void {
    const repair = {
      leaks: this.mode !== 'look' && this.first === null,
      errors: this.mode === 'all' && this.first === null,
    };
    this.engine.checkStart(this.image, repair);
  }

  private note(text: string): void {
    // The second look after a repair finds what is left, which is only counted.
    if (this.first !== null) return;
    if (this.told >= MOST_FINDINGS) this.more++;
    else {
      this.told++;
      this.findings.push(text);
    }
  }

  /** Works on until a moment of `performance.now()`. */
  run(until: number): CheckState {
    try {
      while (!this.ended && performance.now() < until) {
        if (this.engine.checkStep(this.image)) continue;
        const result = this.engine.checkEnd(this.image);
        if (this.mode !== 'look' && this.first === null) {
          this.first = result;
          this.engine.flush(this.image);
          this.changes = this.shadow.changes(MOST_CHANGES);
          this.begin();
        } else {
          this.counted = result;
          this.ended = true;
        }
      }
    } catch (error) {
      if (!(error instanceof BlockError)) throw error;
      this.failure = error.message;
      this.counted ??= this.engine.checkEnd(this.image);
      this.ended = true;
    }
    return this.state();
  }

  private state(): CheckState {
    const findings = this.findings;
    this.findings = [];
    const counts = this.first ?? this.counted;
    const rounds = this.mode === 'look' ? 1 : 2;
    return {
      done: this.ended,
      progress: this.ended
        ? 1
        : Math.min(0.98, this.shadow.bytesRead / (rounds * Math.max(1, this.expected))),
      findings,
      more: this.more,
      counts: this.ended && counts ? { ...picked(counts) } : null,
      changes: this.ended ? this.changes.map((range): RepairChange => ({ ...range, what: '' })) : [],
      after:
        this.ended && this.first && this.counted
          ? { corruptions: this.counted.corruptions, leaks: this.counted.leaks }
          : null,
      failure: this.failure,
    };
  }

  /** Gives everything back. */
  close(): void {
    this.ended = true;
    this.engine.onFinding = null;
    for (const node of this.nodes.splice(0)) {
      try {
        this.engine.close(node);
      } catch (error) {
        // What the image still wanted to write has no place to go to.
        if (!(error instanceof BlockError)) throw error;
      }
    }
  }
}

function picked({
  corruptions,
  leaks,
  checkErrors,
  corruptionsFixed,
  leaksFixed,
}: CheckResult): NonNullable<CheckState['counts']> {
  return { corruptions, leaks, checkErrors, corruptionsFixed, leaksFixed };
}
