/** Which lessons were solved and how far the others are: kept in the browser from visit to visit. */
const KEPT = 'qsd-web lessons';

/** Numbers of the steps that were done, by the id of the lesson. */
interface Kept {
  solved: string[];
  done: Record<string, number[]>;
}

export class Progress {
  private readonly kept: Kept;

  /** @param storage null where the browser allows none: then it is forgotten with the page */
  constructor(private readonly storage: Pick<Storage, 'getItem' | 'setItem'> | null) {
    this.kept = parse(read(storage));
  }

  isSolved(id: string): boolean {
    return this.kept.solved.includes(id);
  }

  solve(id: string): void {
    if (!this.isSolved(id)) this.kept.solved.push(id);
    this.save();
  }

  /** Steps that were done since the lesson was begun. */
  done(id: string): readonly number[] {
    return this.kept.done[id] ?? [];
  }

  tick(id: string, step: number): void {
    if (!this.done(id).includes(step)) this.kept.done[id] = [...this.done(id), step];
    this.save();
  }

  /** The lesson is begun anew. That it was solved once stays. */
  begin(id: string): void {
    this.kept.done[id] = [];
    this.save();
  }

  private save(): void {
    try {
      this.storage?.setItem(KEPT, JSON.stringify(this.kept));
    } catch {
      // A full or forbidden storage: the lessons work without.
    }
  }
}

function read(storage: Pick<Storage, 'getItem'> | null): string | null {
  try {
    return storage?.getItem(KEPT) ?? null;
  } catch {
    return null;
  }
}

/** What was kept, as far as it makes sense. */
function parse(text: string | null): Kept {
  const kept: Kept = { solved: [], done: {} };
  let value: unknown;
  try {
    value = JSON.parse(text ?? '{}');
  } catch {
    return kept;
  }
  if (typeof value !== 'object' || value === null) return kept;
  const { solved, done } = value as Record<string, unknown>;
  if (Array.isArray(solved)) kept.solved = solved.filter((id) => typeof id === 'string');
  if (typeof done === 'object' && done !== null)
    for (const [id, steps] of Object.entries(done))
      if (Array.isArray(steps)) kept.done[id] = steps.filter((step) => typeof step === 'number');
  return kept;
}
