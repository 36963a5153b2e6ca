/** One step of a lesson as it is shown: what to do, a hint, the solution. */
import type { Step } from '../../lessons/lesson';
import { button, h, reducedMotion } from '../dom';

export class StepView {
  readonly element: HTMLLIElement;
  private readonly mark = h('span', { class: 'mark', 'aria-hidden': 'true' });
  private readonly number: string;
  private readonly state = h('span', { class: 'spoken' });

  /** @param propose puts a line into the console */
  constructor(step: Step, index: number, propose: (line: string) => void) {
    const solution = h('details', {}, h('summary', {}, 'Solution'));
    for (const line of step.solution)
      solution.append(
        h(
          'div',
          { class: 'line' },
          h('code', {}, line),
          button({ 'aria-label': `Put into the console: ${line}` }, () => propose(line), 'Use'),
        ),
      );
    const hint =
      step.hint === undefined
        ? []
        : [h('details', {}, h('summary', {}, 'Hint'), h('p', {}, ...withCode(step.hint)))];
    this.number = String(index + 1);
    this.element = h(
      'li',
      {},
      this.mark,
      h(
        'div',
        { class: 'what' },
        h('p', {}, ...withCode(step.text), this.state),
        h('div', { class: 'help' }, ...hint, solution),
      ),
    );
  }

  get isCurrent(): boolean {
    return this.element.hasAttribute('aria-current');
  }

  /** Scrolls it into view. */
  reveal(): void {
    this.element.scrollIntoView({ block: 'nearest', behavior: reducedMotion() ? 'auto' : 'smooth' });
  }

  /** @param current it is the next one to do */
  show(done: boolean, current: boolean): void {
    this.element.classList.toggle('ticked', done);
    this.element.classList.toggle('current', current);
    if (current) this.element.setAttribute('aria-current', 'step');
    else this.element.removeAttribute('aria-current');
    this.mark.textContent = done ? '✓' : this.number;
    this.state.textContent = done ? ' (done)' : '';
  }
}

/** A text with the parts between backticks as code. */
export function withCode(text: string): (Node | string)[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? h('code', {}, part) : part));
}
