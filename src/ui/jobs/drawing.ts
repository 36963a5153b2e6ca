/** Where the statuses of jobs and the ways between them are drawn: in two rows where there is room, else in three. */
import type { JobStatus } from '../../qapi/types.generated';

type Point = readonly [number, number];

/** A drawing of the state machine; lengths are those of its own picture. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  /** Middles of the statuses. */
  readonly places: Partial<Record<JobStatus, Point>>;
  /** Ways that need a course of their own, by `FROM TO`. */
  readonly courses: Readonly<Record<string, string>>;
}

/** Half of the size of a status. */
export const HALF = { width: 35, height: 12 };

export const WIDE: Drawing = {
  width: 580,
  height: 116,
  places: {
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
  },
  courses: {
    'created aborting': 'M38 46C38 126 214 114 339 97',
    'running aborting': 'M134 46C146 92 301 92 339 90',
    'ready aborting': 'M218 46C230 92 301 92 339 90',
    'waiting aborting': 'M290 46C290 76 312 88 339 90',
    'aborting concluded': 'M409 92C462 92 462 76 462 46',
  },
};

export const NARROW: Drawing = {
  width: 342,
  height: 184,
  places: {
    created: [38, 34],
    running: [126, 34],
    ready: [214, 34],
    waiting: [304, 34],
    paused: [126, 92],
    standby: [214, 92],
    pending: [304, 92],
    null: [38, 150],
    aborting: [170, 150],
    concluded: [304, 150],
  },
  courses: {
    'created aborting': 'M48 46C60 130 90 150 135 150',
    'running aborting': 'M142 46C164 60 166 90 166 138',
    'ready aborting': 'M198 46C176 60 174 90 174 138',
    'waiting aborting': 'M288 46C250 62 270 138 205 146',
    'pending aborting': 'M280 104C262 126 240 146 205 150',
    'aborting concluded': 'M205 154L269 154',
    'concluded null': 'M290 162C240 188 100 188 52 162',
  },
};

/** The course of a way in a drawing; null: it is not drawn (what was before the beginning, a status to itself). */
export function course({ places, courses }: Drawing, from: JobStatus, to: JobStatus): string | null {
  const [a, b] = [places[from], places[to]];
  if (!a || !b || from === to) return null;
  const own = courses[`${from} ${to}`];
  if (own !== undefined) return own;
  const [ax, ay] = a;
  const [bx, by] = b;
  if (ay === by) {
    const [start, end] = [ax + HALF.width, bx - HALF.width];
    if (end - start < 40) return `M${start} ${ay}L${end} ${by}`;
    // Past what stands between: over it.
    const lift = ay - HALF.height - Math.min(22, 6 + (bx - ax) / 22);
    return `M${ax} ${ay - HALF.height}C${ax + 16} ${lift} ${bx - 16} ${lift} ${bx} ${by - HALF.height}`;
  }
  // Down and up again side by side.
  const [side, start, end] =
    by > ay ? [-7, ay + HALF.height, by - HALF.height] : [7, ay - HALF.height, by + HALF.height];
  return `M${ax + side} ${start}L${bx + side} ${end}`;
}
