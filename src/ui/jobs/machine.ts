/** The state machine of jobs as a drawing: the statuses, the ways between them, and where one job is. */
import { TRANSITIONS } from '../../qapi/job-states';
import type { JobStatus } from '../../qapi/types.generated';
import { s } from '../dom';
import { course, HALF, NARROW, WIDE, type Drawing } from './drawing';
import type { JobRecord } from './model';

/** Narrower than this (CSS pixels) the words of the wide drawing were too small. */
const ROOM = 500;

/** One drawing for one job; `update` lights where the job is. It fits the room that it gets. */
export class Machine {
  readonly element = s('svg', { class: 'machine', role: 'img' });
  private readonly ways = new Map<string, SVGPathElement>();
  private readonly states = new Map<JobStatus, SVGGElement>();
  private drawing: Drawing | null = null;
  private record: JobRecord | null = null;
  private shown = '';

  constructor() {
    this.draw(WIDE);
    new ResizeObserver(([entry]) => {
      const width = entry?.contentRect.width ?? 0;
      if (width > 0) this.draw(width < ROOM ? NARROW : WIDE);
    }).observe(this.element);
  }

  private draw(drawing: Drawing): void {
    if (drawing === this.drawing) return;
    this.drawing = drawing;
    this.ways.clear();
    this.states.clear();
    this.element.replaceChildren();
    this.element.setAttribute('viewBox', `0 0 ${drawing.width} ${drawing.height}`);
    for (const from of Object.keys(TRANSITIONS) as JobStatus[])
      for (const to of TRANSITIONS[from]) {
        const data = course(drawing, from, to);
        if (data === null) continue;
        const path = s('path', { class: 'way', d: data });
        this.ways.set(`${from} ${to}`, path);
        this.element.append(path);
      }
    for (const [name, place] of Object.entries(drawing.places) as [JobStatus, readonly [number, number]][]) {
      const [x, y] = place;
      const group = s(
        'g',
        { class: 'state' },
        s('rect', {
          x: x - HALF.width,
          y: y - HALF.height,
          width: 2 * HALF.width,
          height: 2 * HALF.height,
          rx: HALF.height,
        }),
        s('text', { x, y }, name),
      );
      this.states.set(name, group);
      this.element.append(group);
    }
    this.shown = '';
    if (this.record) this.update(this.record);
  }

  update(record: JobRecord): void {
    this.record = record;
    const { id, status, moments } = record;
    const path = moments.flatMap((moment) => (moment.status === null ? [] : [moment.status]));
    const shown = `${status} ${path.length}`;
    if (shown === this.shown) return;
    this.shown = shown;
    const been = new Set(path);
    for (const [name, group] of this.states) {
      group.classList.toggle('current', name === status);
      group.classList.toggle('been', name !== status && been.has(name));
    }
    const gone = new Set(path.map((to, index) => `${path[index - 1] ?? ''} ${to}`));
    const last = `${path.at(-2) ?? ''} ${path.at(-1) ?? ''}`;
    for (const [name, element] of this.ways) {
      element.classList.toggle('gone', gone.has(name));
      element.classList.toggle('last', name === last);
    }
    this.element.setAttribute('aria-label', `Job ${id} is ${status}; it was ${[...been].join(', ')}`);
  }
}
