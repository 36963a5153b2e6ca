/** How a job looks: one card, made once, and changed where something has changed. */
import { button, h, s, setText } from '../dom';
import { formatBytes } from '../units';
import { Machine } from './machine';
import { throughput, verbsOf, type JobMoment, type JobRecord } from './model';
import { sparkline } from './sparkline';

/** What the card asks for. */
export interface JobActions {
  /** Do it, where the user sees it. */
  run: (command: string) => void;
  /** Let the user change it first. */
  propose: (command: string) => void;
}

/** Samples that one point of the curve is the average of: jobs with a limit work in bursts. */
const SMOOTH = 6;
const SPARK = { width: 150, height: 30 };

export class JobCard {
  readonly element: HTMLElement;
  private readonly title = h('h3');
  private readonly type = h('span', { class: 'type' });
  private readonly status = h('span', { class: 'status' });
  private readonly progress = h('progress', { max: 1, value: 0 });
  private readonly numbers = h('p', { class: 'numbers' });
  private readonly error = h('p', { class: 'error' });
  private readonly spark = {
    area: s('path', { class: 'area' }),
    line: s('path', { class: 'line' }),
    text: h('span'),
  };
  private readonly verbs = h('div', { class: 'verbs' });
  private readonly reason = h('p', { class: 'reason', role: 'status' });
  private readonly machine = new Machine();
  private readonly strip = h('div', { class: 'strip', 'aria-hidden': 'true' });
  private readonly history = h('ol', { class: 'history' });
  private shownVerbs = '';
  private shownMoments = '';

  constructor(
    private readonly actions: JobActions,
    id: string,
  ) {
    setText(this.title, id);
    this.progress.setAttribute('aria-label', `Progress of ${id}`);
    const spark = s(
      'svg',
      {
        class: 'spark',
        viewBox: `0 0 ${SPARK.width} ${SPARK.height}`,
        preserveAspectRatio: 'none',
        'aria-hidden': 'true',
      },
      this.spark.area,
      this.spark.line,
    );
    this.element = h(
      'article',
      { class: 'job', 'aria-label': `Job ${id}`, 'data-id': id },
      h('header', {}, this.title, this.type, this.status),
      h(
        'div',
        { class: 'how-far' },
        h('div', { class: 'far' }, this.progress, this.numbers),
        h('div', { class: 'rate' }, spark, this.spark.text),
      ),
      this.error,
      this.verbs,
      this.reason,
      h(
        'div',
        { class: 'scroll', tabindex: 0, role: 'group', 'aria-label': `States of ${id}` },
        this.machine.element,
      ),
      this.strip,
      h('details', {}, h('summary', {}, 'Time line'), this.history),
    );
  }

  update(record: JobRecord): void {
    setText(this.type, record.type);
    setText(this.status, record.status === 'null' ? 'gone' : record.status);
    this.element.dataset.status = record.status;
    const part = record.total > 0 ? Math.min(1, record.done / record.total) : 0;
    if (this.progress.value !== part) this.progress.value = part;
    setText(this.numbers, numbersOf(record, part));
    setText(this.error, record.error);
    this.error.hidden = record.error === '';
    const rates = throughput(record.samples, SMOOTH);
    const { line, area, top } = sparkline(rates.slice(-60), SPARK.width, SPARK.height);
    this.spark.line.setAttribute('d', line);
    this.spark.area.setAttribute('d', area);
    setText(this.spark.text, speedText(record, rates.at(-1) ?? 0, top));
    this.updateVerbs(record);
    this.machine.update(record);
    this.updateMoments(record);
  }

  private updateVerbs(record: JobRecord): void {
    const verbs = record.status === 'null' ? [] : verbsOf(record);
    const shown = JSON.stringify(verbs);
    if (shown === this.shownVerbs) return;
    this.shownVerbs = shown;
    const root = this.element.getRootNode() as ShadowRoot;
    const focused = this.verbs.contains(root.activeElement)
      ? root.activeElement?.getAttribute('data-verb')
      : null;
    this.verbs.replaceChildren(
      ...verbs.map(({ verb, title, command, refusal }) =>
        button(
          {
            'data-verb': verb,
            title: refusal ?? command,
            'aria-disabled': refusal === null ? undefined : 'true',
            'aria-description': refusal ?? undefined,
          },
          () => {
            setText(this.reason, refusal ?? '');
            if (refusal !== null) return;
            if (title.endsWith('…')) this.actions.propose(command);
            else this.actions.run(command);
          },
          title,
        ),
      ),
    );
    setText(this.reason, '');
    if (focused) this.verbs.querySelector<HTMLElement>(`[data-verb="${focused}"]`)?.focus();
  }

  private updateMoments({ moments, status }: JobRecord): void {
    const last = moments.at(-1);
    const shown = `${moments.length} ${last?.at ?? 0}`;
    // The last state of a job that goes on grows.
    if (status !== 'null' || shown !== this.shownMoments) this.updateStrip(moments, status);
    if (shown === this.shownMoments) return;
    this.shownMoments = shown;
    const begin = moments[0]?.at ?? 0;
    this.history.replaceChildren(
      ...moments.map(({ at, status: began, text }) =>
        h(
          'li',
          { class: began === null ? 'happened' : '' },
          h('time', {}, `+${((at - begin) / 1000).toFixed(3)} s`),
          ` ${text}`,
        ),
      ),
    );
  }

  /** The statuses as pieces of a strip, as long as they lasted; events as marks. */
  private updateStrip(moments: readonly JobMoment[], status: string): void {
    const begin = moments[0]?.at ?? 0;
    const end = status === 'null' ? (moments.at(-1)?.at ?? begin) : Math.max(Date.now(), begin);
    const length = Math.max(1, end - begin);
    const changes = moments.filter((moment) => moment.status !== null && moment.status !== 'null');
    const pieces = changes.map((moment, index) => {
      const until = changes[index + 1]?.at ?? (status === 'null' ? (moments.at(-1)?.at ?? end) : end);
      const piece = h('span', { class: `piece ${moment.status ?? ''}`, title: moment.text });
      piece.style.left = `${((moment.at - begin) / length) * 100}%`;
      piece.style.width = `${((until - moment.at) / length) * 100}%`;
      return piece;
    });
    const marks = moments
      .filter((moment) => moment.status === null)
      .map((moment) => {
        const mark = h('span', { class: 'mark', title: moment.text });
        mark.style.left = `${((moment.at - begin) / length) * 100}%`;
        return mark;
      });
    this.strip.replaceChildren(...pieces, ...marks);
  }
}

function numbersOf({ done, total, type, status }: JobRecord, part: number): string {
  if (total === 0) return '';
  // Jobs that make or change an image count in units of their own.
  if (type === 'create' || type === 'amend' || type.startsWith('snapshot'))
    return `${Math.floor(part * 100)} %`;
  const share = status === 'concluded' || part === 1 ? '100 %' : `${(part * 100).toFixed(1)} %`;
  return `${share} · ${formatBytes(done)} of ${formatBytes(total)}`;
}

function speedText({ speed, status }: JobRecord, rate: number, top: number): string {
  const limit = speed !== null && speed > 0 ? `limit ${formatBytes(speed)}/s` : '';
  const now = status === 'null' ? (top > 0 ? `at most ${formatBytes(top)}/s` : '') : `${formatBytes(rate)}/s`;
  return [now, limit].filter((text) => text !== '').join(' · ');
}
