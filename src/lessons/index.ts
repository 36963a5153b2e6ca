/** The lessons, and how their checks are answered. */
import { backups } from './catalogue/backups';
import { images } from './catalogue/images';
import { jobs } from './catalogue/jobs';
import { snapshots } from './catalogue/snapshots';
import { trouble } from './catalogue/trouble';
import type { Lesson } from './lesson';

export { holds } from './check';
export { TOPICS } from './lesson';
export { SAMPLES } from './samples';

/** All lessons, in the order in which they build on each other. */
export const LESSONS: readonly Lesson[] = [...images, ...snapshots, ...jobs, ...backups, ...trouble];
