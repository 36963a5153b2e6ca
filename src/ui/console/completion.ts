/** What can stand at a place of a line. */

/** One possible completion. */
export interface Candidate {
  /** What replaces the range of the {@link Completion}. */
  text: string;
  /** What is shown in the list. */
  label: string;
  /** A word on it. */
  note?: string;
}

/** What can stand at the cursor. */
export interface Completion {
  /** The range of the line that a candidate replaces. */
  from: number;
  to: number;
  candidates: Candidate[];
  /** Shown when there is nothing to offer: what is expected here. */
  expected?: string;
}
