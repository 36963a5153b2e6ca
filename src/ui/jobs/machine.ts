/** The state machine of jobs as a drawing: the statuses, the ways between them, and where one job is. */
import { TRANSITIONS } from '../../qapi/job-states';
import type { JobStatus } from '../../qapi/types.generated';
import { s } from '../dom';
import type { JobRecord } from './model';

/** Middles of the statuses. */
const PLACES: Partial<Record<JobStatus, readonly [number, number]>> = {
  created: [38, 34],
  running: [122, 34],
  ready: [206, 34],
  waiting: [290, 34],
  pending: [374, 34],
  concluded: [462, 34],
  null: [540, 34],
  paused: [122, 92],
  standby: [206, 92],
  aborting: [374, 92],
};
const HALF = { width: 33, height: 12 };
const SIZE = { width: 580, height: 116 };

/** One drawing for one job; `update` lights where the job is. */
export class Machine {
  readonly element = s('svg', {
    class: 'machine',
    viewBox: `0 0 ${SIZE.width} ${SIZE.height}`,
    role: 'img',
  });
  private readonly ways = new Map<string, SVGPathElement>();
  private readonly states = new Map<JobStatus, SVGGElement>();
  private shown = '';

  constructor() {
    for (const from of Object.keys(TRANSITIONS) as JobStatus[])
      for (const to of TRANSITIONS[from]) {
        const data = way(from, to);
        if (data === null) continue;
        const path = s('path', { class: 'way', d: data });
        this.ways.set(`${from} ${to}`, path);
        this.element.append(path);
      }
    for (const [name, place] of Object.entries(PLACES) as [JobStatus, readonly [number, number]][]) {
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
  }

  update({ id, status, moments }: JobRecord): void {
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

/** The line between two statuses; null: it is not drawn (what was before the beginning, a status to itself). */
function way(from: JobStatus, to: JobStatus): string | null {
  const [a, b] = [PLACES[from], PLACES[to]];
  if (!a || !b || from === to) return null;
  const [ax, ay] = a;
  const [bx, by] = b;
  if (ay === by) {
    const [start, end] = [ax + HALF.width, bx - HALF.width];
    if (end - start < 40) return `M${start} ${ay}L${end} ${by}`;
    // Past what stands between: over it.
    const lift = ay - HALF.height - Math.min(22, 6 + (bx - ax) / 22);
    return `M${ax} ${ay - HALF.height}C${ax + 16} ${lift} ${bx - 16} ${lift} ${bx} ${by - HALF.height}`;
  }
  if (ax === bx) {
    // Down and up again side by side.
    const side = by > ay ? -7 : 7;
    const [start, end] =
      by > ay ? [ay + HALF.height, by - HALF.height] : [ay - HALF.height, by + HALF.height];
    return `M${ax + side} ${start}L${bx + side} ${end}`;
  }
  if (to === 'aborting') {
    const end = bx - HALF.width;
    const below = SIZE.height - 2;
    if (from === 'created')
      return `M${ax} ${ay + HALF.height}C${ax} ${below + 12} ${bx - 160} ${below} ${end} ${by + 5}`;
    return `M${ax + 12} ${ay + HALF.height}C${ax + 24} ${by} ${end - 40} ${by} ${end} ${by - 2}`;
  }
  return `M${ax + HALF.width} ${ay}C${bx} ${ay} ${bx} ${by + 30} ${bx} ${by + HALF.height}`;
}
