/** `<qsd-lessons>`: lessons that are followed in the console, with steps that tick themselves off. */
import type { Client } from '../../client';
import { lessonOf } from './links';
import { holds, LESSONS, TOPICS } from '../../lessons';
import type { Lesson } from '../../lessons/lesson';
import { button, h, setText } from '../dom';
import { sharedClient } from '../shared-client';
import { DaemonWatch } from '../watch/watch';
import { ClientFacts } from './facts';
import styles from './lessons.css?inline';
import { Progress } from './progress';
import { StepView, withCode } from './step';

/** Checks wait until events and commands are quiet for so many milliseconds. */
const SETTLE = 150;

/**
 * Without a `client`, set before it is put into a document, it shares the daemon of the page's other elements. The attribute
 * `lesson` names the one to begin with. It sends `qsd-command`
 * events with a line to be put into a console (`detail.command`), `qsd-setup` events with lines to be entered there
 * (`detail.lines`), and has to be told by {@link entered} what was entered. `qsd-lesson` (`detail.id`) tells that a lesson was opened.
 */
export class QsdLessons extends HTMLElement {
  /** The daemon. */
  client: Client | null = null;
  private facts: ClientFacts | null = null;
  private readonly progress = new Progress(storage());
  private readonly body = h('div', { class: 'body' });
  private readonly status = h('p', { class: 'status', role: 'status' });
  private readonly cleanups: (() => void)[] = [];
  private lesson: Lesson | null = null;
  private steps: StepView[] = [];
  private timer: ReturnType<typeof setTimeout> | null = null;
  private checking = false;
  /** Lines that set the lesson up and did not end yet. */
  private setup: string[] = [];

  connectedCallback(): void {
    if (!this.client) {
      const own = sharedClient();
      this.client = own.client;
      this.cleanups.push(() => {
        own.end();
        this.client = null;
      });
    }
    if (!this.shadowRoot)
      this.attachShadow({ mode: 'open' }).replaceChildren(h('style', {}, styles), this.body, this.status);
    const facts = (this.facts = new ClientFacts(this.client));
    const follow = (): void => this.follow();
    window.addEventListener('hashchange', follow);
    this.cleanups.push(
      () => window.removeEventListener('hashchange', follow),
      DaemonWatch.of(this.client).listen({
        event: (event) => {
          facts.happened(event);
          this.plan();
        },
      }),
    );
    const given = LESSONS.find(({ id }) => id === this.getAttribute('lesson'));
    if (given) this.open(given);
    else this.showList();
  }

  disconnectedCallback(): void {
    for (const cleanup of this.cleanups.splice(0)) cleanup();
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** A line was entered in the console, and its command has ended. */
  entered(line: string): void {
    if (this.setup[0] === line) {
      this.setup.shift();
      if (this.setup.length === 0) this.ready();
      return;
    }
    this.facts?.wasEntered(line);
    this.plan();
  }

  /** Opens the lesson that the address of the page names. */
  follow(): void {
    const lesson = lessonOf(location.hash);
    if (lesson && lesson !== this.lesson) this.open(lesson);
    else if (!lesson && this.lesson && location.hash === '') this.showList();
  }

  // ---- the list

  private showList(): void {
    this.lesson = null;
    this.steps = [];
    const solved = LESSONS.filter(({ id }) => this.progress.isSolved(id)).length;
    const header = h(
      'header',
      {},
      h('h2', {}, 'Lessons'),
      h('p', { class: 'count' }, `${solved} of ${LESSONS.length} solved`),
    );
    const topics = TOPICS.map((topic) =>
      h(
        'section',
        {},
        h('h3', {}, topic),
        h('ul', {}, ...LESSONS.filter((lesson) => lesson.topic === topic).map((lesson) => this.row(lesson))),
      ),
    );
    this.body.replaceChildren(header, h('div', { class: 'scroll' }, ...topics));
    setText(this.status, '');
  }

  private row(lesson: Lesson): HTMLLIElement {
    const { id, title, goal } = lesson;
    const solved = this.progress.isSolved(id);
    return h(
      'li',
      {},
      button(
        { class: `lesson${solved ? ' solved' : ''}`, 'data-id': id },
        () => this.choose(lesson),
        h('span', { class: 'mark', 'aria-hidden': 'true' }, solved ? '✓' : ''),
        h(
          'span',
          { class: 'title' },
          title,
          ...(solved ? [h('span', { class: 'spoken' }, ' (solved)')] : []),
        ),
        h('span', { class: 'goal' }, goal),
      ),
    );
  }

  /** Opens a lesson and puts it into the address of the page. */
  private choose(lesson: Lesson): void {
    history.pushState(null, '', `#lesson=${lesson.id}`);
    this.open(lesson);
    this.body.querySelector<HTMLElement>('h2')?.focus();
  }

  // ---- one lesson

  private open(lesson: Lesson): void {
    this.lesson = lesson;
    this.setup = [];
    this.facts?.begin();
    this.steps = lesson.steps.map((step, index) => new StepView(step, index, (line) => this.propose(line)));
    const back = button({ class: 'back', 'aria-label': 'All lessons' }, () => this.leave(), '← All');
    const header = h('header', {}, back, h('h2', { tabindex: '-1' }, lesson.title));
    const start = button({ class: 'primary' }, () => void this.askToStart(), 'Start');
    const next = LESSONS[LESSONS.indexOf(lesson) + 1];
    const following = next && button({ class: 'next' }, () => this.choose(next), `Next: ${next.title}`);
    this.body.replaceChildren(
      header,
      h(
        'div',
        { class: 'scroll text' },
        h('p', { class: 'aim' }, lesson.goal),
        ...lesson.text.map((text) => h('p', {}, ...withCode(text))),
        h('div', { class: 'begin' }, start, h('span', { class: 'note' }, startNote(lesson))),
        h('div', { class: 'question' }),
        h('ol', { class: 'steps' }, ...this.steps.map(({ element }) => element)),
        h('p', { class: 'done', hidden: true }, 'Solved. ', ...(following ? [following] : [])),
      ),
    );
    this.show();
    this.dispatchEvent(new CustomEvent('qsd-lesson', { detail: { id: lesson.id }, bubbles: true }));
    this.plan();
  }

  private leave(): void {
    history.pushState(null, '', location.pathname + location.search);
    const id = this.lesson?.id ?? '';
    this.showList();
    this.body.querySelector<HTMLElement>(`[data-id="${id}"]`)?.focus();
  }

  private show(): void {
    const { lesson } = this;
    if (!lesson) return;
    const done = this.progress.done(lesson.id);
    const current = this.steps.findIndex((_, index) => !done.includes(index));
    if (current > 0 && !this.steps[current]?.isCurrent) this.steps[current]?.reveal();
    this.steps.forEach((step, index) => step.show(done.includes(index), index === current));
    const end = this.body.querySelector<HTMLElement>('.done');
    if (end) end.hidden = !this.progress.isSolved(lesson.id) || current >= 0;
  }

  /** Makes the files of the lesson anew; asks first if something of the user's would go. */
  private async askToStart(): Promise<void> {
    const { lesson, client } = this;
    const place = this.body.querySelector('.question');
    if (!lesson || !client || !place) return;
    const [files, nodes] = await Promise.all([
      client.list(),
      client.execute('query-named-block-nodes', { flat: true }),
    ]);
    const names = 'value' in files ? files.value.map(({ name }) => name) : [];
    const lost = lesson.files.filter((name) => names.includes(name));
    const open = nodes.return?.length ?? 0;
    if (lost.length === 0 && open === 0) return this.start(lesson, lost, false);
    const parts = [
      ...(lost.length > 0 ? [`delete ${lost.join(', ')}`] : []),
      ...(open > 0 ? ['restart the daemon, which ends its jobs, exports and nodes'] : []),
    ];
    const yes = button(
      { class: 'danger' },
      () => {
        place.replaceChildren();
        this.start(lesson, lost, open > 0);
      },
      'Yes, start',
    );
    const no = button({}, () => place.replaceChildren(), 'Cancel');
    place.replaceChildren(h('p', { role: 'alert' }, `This will ${parts.join(' and ')}.`), yes, no);
    no.focus();
  }

  private start(lesson: Lesson, lost: readonly string[], restart: boolean): void {
    this.progress.begin(lesson.id);
    this.setup = [
      ...(restart ? ['quit'] : []),
      ...(lost.length > 0 ? [`rm -f ${lost.join(' ')}`] : []),
      ...lesson.setup,
    ];
    this.show();
    setText(this.status, '');
    this.dispatchEvent(new CustomEvent('qsd-setup', { detail: { lines: [...this.setup] }, bubbles: true }));
    if (this.setup.length === 0) this.ready();
  }

  /** The lesson is set up: from now on counts what happens. */
  private ready(): void {
    this.facts?.begin();
    setText(this.status, 'The lesson is set up.');
    this.plan();
  }

  private propose(command: string): void {
    const detail = { command, run: false };
    this.dispatchEvent(new CustomEvent('qsd-command', { detail, bubbles: true, cancelable: true }));
  }

  // ---- checks

  private plan(): void {
    if (!this.lesson || this.checking || this.setup.length > 0) return;
    this.timer ??= setTimeout(() => {
      this.timer = null;
      void this.check();
    }, SETTLE);
  }

  /** Ticks off what is done. A check that comes while one is at work follows it. */
  private async check(): Promise<void> {
    const { lesson, facts } = this;
    if (!lesson || !facts) return;
    this.checking = true;
    const seen = facts.events.length + facts.entered.length;
    try {
      const done = new Set(this.progress.done(lesson.id));
      for (const [index, step] of lesson.steps.entries()) {
        // In their order: what a later step asks for may be so by chance before.
        if (done.has(index)) continue;
        if (!(await holds(step.check, facts))) break;
        if (this.lesson !== lesson || this.setup.length > 0) return;
        done.add(index);
        this.progress.tick(lesson.id, index);
        setText(this.status, `Step ${index + 1} of ${lesson.steps.length} is done.`);
      }
      if (done.size === lesson.steps.length && (await holds(lesson.check, facts)) && this.lesson === lesson) {
        this.progress.solve(lesson.id);
        setText(this.status, `Solved: ${lesson.title}`);
      }
      this.show();
    } catch {
      // The worker is gone: the next command or event asks again.
    } finally {
      this.checking = false;
      if (facts.events.length + facts.entered.length !== seen) this.plan();
    }
  }
}

function startNote({ setup, files }: Lesson): string {
  const made = setup.length > 0 ? 'sets the lesson up' : 'begins with an empty place';
  return `${made}; its files: ${files.join(', ')}`;
}

/** localStorage, where the browser allows it. */
function storage(): Storage | null {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
