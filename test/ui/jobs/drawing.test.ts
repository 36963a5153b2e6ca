/** Where the state machine of jobs is drawn. */
import { expect, test } from 'vitest';
import { TRANSITIONS } from '../../../src/qapi/job-states';
import type { JobStatus } from '../../../src/qapi/types.generated';
import { course, HALF, NARROW, WIDE } from '../../../src/ui/jobs/drawing';

test.each([
  ['wide', WIDE],
  ['narrow', NARROW],
])(
  '%s: every status has its place inside, apart from the others, and every way a course',
  (_name, drawing) => {
    const places = Object.values(drawing.places);
    for (const [index, [x, y]] of places.entries()) {
      expect(x - HALF.width).toBeGreaterThanOrEqual(0);
      expect(x + HALF.width).toBeLessThanOrEqual(drawing.width);
      expect(y - HALF.height).toBeGreaterThanOrEqual(0);
      expect(y + HALF.height).toBeLessThanOrEqual(drawing.height);
      for (const [otherX, otherY] of places.slice(index + 1))
        expect(
          Math.abs(x - otherX) >= 2 * HALF.width || Math.abs(y - otherY) >= 2 * HALF.height,
          `${x} ${y} and ${otherX} ${otherY}`,
        ).toBe(true);
    }
    const ways = new Set<string>();
    for (const from of Object.keys(TRANSITIONS) as JobStatus[]) {
      for (const to of TRANSITIONS[from]) {
        ways.add(`${from} ${to}`);
        if (from !== 'undefined' && from !== to) expect(course(drawing, from, to)).toMatch(/^M[\d. -]+[LC]/);
        else expect(course(drawing, from, to)).toBeNull();
      }
    }
    expect(Object.keys(drawing.courses).filter((way) => !ways.has(way))).toEqual([]);
  },
);
