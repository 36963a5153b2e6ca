/** A bar between two panes that is dragged, or moved by arrow keys: the pattern "window splitter" of WAI-ARIA. */
import { h } from '../dom';

export interface SplitterOptions {
  label: string;
  /** The way in which the bar itself stands. */
  orientation: 'vertical' | 'horizontal';
  /** Ids of the pane that is sized. */
  controls: string;
  /** The part of the first pane, in percent; Home and End go to its limits, a double click to where it was at first. */
  initial: number;
  min: number;
  max: number;
  changed(part: number): void;
}

/** Percent of one press of an arrow key. */
const STEP = 2;

export function splitter(options: SplitterOptions, part: number): HTMLElement {
  const { orientation, min, max } = options;
  const bar = h('div', {
    class: `splitter ${orientation}`,
    role: 'separator',
    tabindex: 0,
    'aria-label': options.label,
    'aria-orientation': orientation,
    'aria-controls': options.controls,
    'aria-valuemin': min,
    'aria-valuemax': max,
  });
  let now = part;
  const set = (wanted: number): void => {
    now = Math.min(max, Math.max(min, wanted));
    bar.setAttribute('aria-valuenow', String(Math.round(now)));
    options.changed(now);
  };
  bar.setAttribute('aria-valuenow', String(Math.round(now)));
  bar.addEventListener('dblclick', () => set(options.initial));
  bar.addEventListener('keydown', (event) => {
    const [less, more] = orientation === 'vertical' ? ['ArrowLeft', 'ArrowRight'] : ['ArrowUp', 'ArrowDown'];
    if (event.key === less) set(now - STEP);
    else if (event.key === more) set(now + STEP);
    else if (event.key === 'Home') set(min);
    else if (event.key === 'End') set(max);
    else return;
    event.preventDefault();
  });
  bar.addEventListener('pointerdown', (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    bar.setPointerCapture(event.pointerId);
    bar.classList.add('dragged');
  });
  bar.addEventListener('pointermove', (event) => {
    if (!bar.classList.contains('dragged')) return;
    const frame = bar.parentElement?.getBoundingClientRect();
    if (!frame) return;
    const at =
      orientation === 'vertical'
        ? (event.clientX - frame.left) / frame.width
        : (event.clientY - frame.top) / frame.height;
    set(at * 100);
  });
  const end = (): void => bar.classList.remove('dragged');
  bar.addEventListener('pointerup', end);
  bar.addEventListener('pointercancel', end);
  return bar;
}
