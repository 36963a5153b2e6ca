/** What a lesson is: data, which the panel shows, the tests solve and nobody executes as a program. */
import type { Check } from './check';

/** One thing to do. */
export interface Step {
  /** What to do, in one or two sentences; `code` between backticks. */
  text: string;
  /** How to get there, for those who are stuck. */
  hint?: string;
  /** Lines of the console that do it. */
  solution: readonly string[];
  /** True once it is done. It need not stay true: what was ticked off stays so. */
  check: Check;
}

/** A lesson. */
export interface Lesson {
  /** Names it in `#lesson=ID` and where progress is kept: never changed. */
  id: string;
  title: string;
  topic: Topic;
  /** What one can do afterwards, in a sentence. */
  goal: string;
  /** What one has to know, in short paragraphs; `code` between backticks. */
  text: readonly string[];
  /** All files that the lesson makes, in `setup` and by its steps: a new start removes them. */
  files: readonly string[];
  /** Lines of the console that make the state to start from. */
  setup: readonly string[];
  steps: readonly Step[];
  /** The state that shows that the goal is reached. False before the first step. */
  check: Check;
}

/** Lessons of a kind, in the order in which they are listed. */
export const TOPICS = ['Images', 'Snapshots', 'Jobs', 'Backups', 'When things go wrong'] as const;
export type Topic = (typeof TOPICS)[number];
