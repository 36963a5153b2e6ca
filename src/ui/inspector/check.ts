/** Checks an image, and shows what a repair would do before anybody does it. */
import type { CheckMode, CheckState, FileRange, Inspection, Overview } from '../../client';
import { button, h, setText } from '../dom';

/** What the panel asks for. */
export interface CheckActions {
  bytes(range: FileRange): void;
  /** Puts a line into the console. */
  propose(command: string): void;
}

const TITLES: Readonly<Record<CheckMode, string>> = {
  look: 'Check',
  leaks: 'Preview: repair leaks',
  all: 'Preview: repair all',
};

export class CheckPanel {
  readonly element: HTMLElement;
  private readonly buttons: HTMLButtonElement[];
  private readonly progress = h('progress', { max: 1, hidden: true, 'aria-label': 'Check' });
  private readonly result = h('div', { class: 'result', role: 'status' });
  private readonly details = h('div', { class: 'findings' });
  private inspection: Inspection | null = null;
  private overview: Overview | null = null;
  private turn = 0;

  constructor(private readonly actions: CheckActions) {
    this.buttons = (Object.keys(TITLES) as CheckMode[]).map((mode) =>
      button({ 'data-mode': mode }, () => void this.run(mode), TITLES[mode]),
    );
    this.element = h(
      'div',
      { class: 'check' },
      h(
        'p',
        { class: 'meaning' },
        'A check counts how often each cluster is used, and compares that with the counts in the image. Nothing is written here, also not by a preview.',
      ),
      h('div', { class: 'bar' }, ...this.buttons),
      this.progress,
      this.result,
      this.details,
    );
  }

  show(inspection: Inspection, overview: Overview): void {
    if (this.inspection !== inspection) {
      this.result.replaceChildren();
      this.details.replaceChildren();
    }
    this.turn++;
    this.inspection = inspection;
    this.overview = overview;
    this.progress.hidden = true;
    const able = overview.format === 'qcow2' && overview.clusterSize > 0 && overview.diskSize !== null;
    for (const one of this.buttons) one.disabled = !able;
    if (!able) this.result.replaceChildren('This image format does not support checks.');
  }

  end(): void {
    this.turn++;
  }

  private async run(mode: CheckMode): Promise<void> {
    const { inspection } = this;
    if (!inspection) return;
    const turn = ++this.turn;
    const findings: string[] = [];
    this.details.replaceChildren();
    this.result.replaceChildren('Checking…');
    this.progress.hidden = false;
    this.progress.value = 0;
    try {
      await inspection.beginCheck(mode);
      for (;;) {
        const state = await inspection.check();
        if (turn !== this.turn) return;
        findings.push(...state.findings);
        this.progress.value = state.progress;
        if (!state.done) continue;
        this.progress.hidden = true;
        this.tell(mode, state, findings);
        return;
      }
    } catch (error) {
      if (turn !== this.turn) return;
      this.progress.hidden = true;
      setText(this.result, error instanceof Error ? error.message : String(error));
    }
  }

  private tell(mode: CheckMode, state: CheckState, findings: readonly string[]): void {
    const { counts, after, changes, failure } = state;
    const words: string[] = [];
    const found = (count: number, one: string, many: string): void => {
      if (count > 0) words.push(`${count} ${count === 1 ? one : many}`);
    };
    if (counts) {
      const fixed = mode !== 'look';
      found(fixed ? counts.corruptionsFixed : counts.corruptions, 'error', 'errors');
      found(fixed ? counts.leaksFixed : counts.leaks, 'leaked cluster', 'leaked clusters');
      found(counts.checkErrors, 'thing that could not be checked', 'things that could not be checked');
    }
    const list = words.join(', ') || 'nothing';
    const text =
      mode === 'look'
        ? words.length === 0 && failure === ''
          ? 'No errors were found.'
          : `Found: ${list}.`
        : `It would repair: ${list}.${after ? ` Then there would be ${after.corruptions + after.leaks === 0 ? 'nothing wrong' : `${after.corruptions} errors and ${after.leaks} leaked clusters`}.` : ''}`;
    this.result.replaceChildren(
      h('strong', {}, text),
      ...(failure === '' ? [] : [h('p', { class: 'problem' }, `Check failed: ${failure}`)]),
    );
    const parts: HTMLElement[] = [];
    if (mode !== 'look' && words.length > 0) parts.push(this.repair(mode));
    if (changes.length > 0)
      parts.push(
        h('h3', {}, 'What it would write'),
        h(
          'ul',
          { class: 'changes' },
          ...changes.map((change) =>
            h(
              'li',
              {},
              button({ class: 'name' }, () => this.actions.bytes(change), `0x${change.offset.toString(16)}`),
              ` ${change.length} ${change.length === 1 ? 'byte' : 'bytes'}: ${change.what}`,
            ),
          ),
        ),
      );
    if (findings.length > 0)
      parts.push(
        h('h3', {}, 'Findings'),
        h('ul', { class: 'lines' }, ...findings.map((line) => h('li', {}, h('code', {}, line)))),
        ...(state.more > 0 ? [h('p', { class: 'meaning' }, `and ${state.more} more`)] : []),
      );
    this.details.replaceChildren(...parts);
  }

  private repair(mode: 'leaks' | 'all'): HTMLElement {
    const path = this.overview?.path ?? null;
    if (path === null)
      return h(
        'p',
        { class: 'meaning' },
        'The image is only read here. Import it into the sandbox to repair it.',
      );
    const name = /^[\w./+-]+$/.test(path) ? path : `"${path.replace(/["\\]/g, '\\$&')}"`;
    const command = `qemu-img check -r ${mode} ${name}`;
    return h(
      'p',
      { class: 'repair' },
      button(
        { title: 'Put it into the console, to be read, changed and entered' },
        () => this.actions.propose(command),
        'Repair…',
      ),
      ' ',
      h('code', {}, command),
      h(
        'span',
        { class: 'meaning' },
        ' An image that the daemon has open must be closed before (blockdev-del).',
      ),
    );
  }
}
