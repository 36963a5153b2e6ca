/** `<qsd-jobs>`: the jobs of a daemon with their progress, states and verbs. */
import type { Client } from '../../client';
import { button, h, setText } from '../dom';
import { sharedClient } from '../shared-client';
import { DaemonWatch } from '../watch/watch';
import { JobCard } from './card';
import styles from './jobs.css?inline';
import { JobsModel, type JobRecord } from './model';

/**
 * Set `client` before it is put into a document to share a daemon; else it starts one of its own. A verb sends a
 * `qsd-command` event with `detail.command`, a line for a console, and `detail.run`: to be entered at once. If nobody
 * prevents its default, the element runs the command itself. `qsd-jobs` events tell the number of jobs (`detail.active`).
 */
export class QsdJobs extends HTMLElement {
  /** The daemon. */
  client: Client | null = null;
  private readonly model = new JobsModel();
  private readonly list = h('div', { class: 'list' });
  private readonly empty = h(
    'p',
    { class: 'empty' },
    'No jobs. A backup, mirror, stream or commit shows here: choose a node of the graph for its commands.',
  );
  private readonly count = h('p', { class: 'count', role: 'status' });
  private readonly failure = h('p', { class: 'failure', role: 'alert' });
  private readonly cards = new Map<JobRecord, JobCard>();
  private readonly cleanups: (() => void)[] = [];
  private active = 0;
  private frame: number | null = null;

  connectedCallback(): void {
    if (!this.client) {
      const own = sharedClient();
      this.client = own.client;
      this.cleanups.push(() => {
        own.end();
        this.client = null;
      });
    }
    if (!this.shadowRoot) {
      const clear = button({ title: 'Forget the jobs that are gone' }, () => this.forget(), 'Clear');
      const header = h('header', {}, h('h2', {}, 'Jobs'), this.count, clear);
      this.failure.hidden = true;
      this.attachShadow({ mode: 'open' }).replaceChildren(
        h('style', {}, styles),
        header,
        this.failure,
        this.empty,
        this.list,
      );
    }
    this.cleanups.push(
      DaemonWatch.of(this.client).listen({
        jobs: (state) => {
          this.model.answer(state, Date.now());
          this.draw();
        },
        event: (event) => {
          if (this.model.event(event)) this.draw();
        },
      }),
    );
    this.draw();
  }

  disconnectedCallback(): void {
    for (const cleanup of this.cleanups.splice(0)) cleanup();
    if (this.frame !== null) cancelAnimationFrame(this.frame);
    this.frame = null;
  }

  private forget(): void {
    this.model.clear();
    this.draw();
  }

  /** Draws once a frame, however many events come. */
  private draw(): void {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.drawNow();
    });
  }

  private drawNow(): void {
    const { all, active } = this.model;
    const kept = new Set(all);
    for (const [record, card] of this.cards) {
      if (kept.has(record)) continue;
      this.cards.delete(record);
      card.element.remove();
    }
    all.forEach((record, index) => {
      let card = this.cards.get(record);
      if (!card) {
        card = new JobCard(
          {
            run: (command) => this.command(command, true),
            propose: (command) => this.command(command, false),
          },
          record.id,
        );
        this.cards.set(record, card);
      }
      if (this.list.children[index] !== card.element)
        this.list.insertBefore(card.element, this.list.children[index] ?? null);
      card.update(record);
    });
    this.empty.hidden = all.length > 0;
    setText(this.count, active === 0 ? '' : active === 1 ? '1 at work' : `${active} at work`);
    if (active !== this.active) {
      this.active = active;
      this.dispatchEvent(new CustomEvent('qsd-jobs', { detail: { active }, bubbles: true, composed: true }));
    }
  }

  private command(command: string, run: boolean): void {
    this.failure.hidden = true;
    const event = new CustomEvent('qsd-command', {
      detail: { command, run },
      bubbles: true,
      composed: true,
      cancelable: true,
    });
    if (this.dispatchEvent(event)) void this.runHere(command);
  }

  /** Without a console: the words of the line as a request. */
  private async runHere(command: string): Promise<void> {
    const { toRequest } = await import('../console/qmp-shell');
    const replies = (await this.client?.qmp(toRequest(command))) ?? [];
    for (const reply of replies) {
      const { error } = JSON.parse(reply) as { error?: { desc: string } };
      if (!error) continue;
      setText(this.failure, error.desc);
      this.failure.hidden = false;
    }
  }
}
