/** Addresses of lessons. */
import { LESSONS } from '../../lessons';

const LINK = /^#lesson=([a-z0-9-]+)$/;

/** Good ones to begin with: what an image is, what a job is, and what people come for. */
const FIRST: readonly string[] = ['qcow2', 'job-life', 'commit-active'];

/** The lesson that an address names; undefined: it names none. */
export function lessonOf(hash: string): (typeof LESSONS)[number] | undefined {
  const id = LINK.exec(hash)?.[1];
  return LESSONS.find((one) => one.id === id);
}

/** Links to some lessons for somebody who is new. */
export function lessonLinks(): { text: string; href: string }[] {
  return FIRST.flatMap((first) =>
    LESSONS.filter(({ id }) => id === first).map(({ id, title }) => ({ text: title, href: `#lesson=${id}` })),
  );
}
