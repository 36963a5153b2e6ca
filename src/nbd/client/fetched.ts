/** What one request has got from a server so far. */
import { FileError } from '../../files/contract';
import type { LogEntry } from './writelog';

/** A range that was read, or is being read. */
interface Piece {
  at: number;
  end: number;
  /** Null: it has not come yet. */
  data: Uint8Array | null;
  errno: number;
  /** What is written meanwhile. */
  later: LogEntry[];
}

/** A range of one kind. */
interface KnownStatus {
  at: number;
  end: number;
  /** Of the context. */
  flags: number;
  errno: number;
}

/** A part of the disk that is still to be found: where it starts and ends. */
export type Gap = readonly [at: number, end: number];

export class Fetched {
  private pieces: Piece[] = [];
  private statuses: KnownStatus[] = [];
  private asked: { at: number; end: number }[] = [];
  /** What this request wrote itself. */
  readonly written: LogEntry[] = [];
  /** It has had the writes that failed tried again. */
  retried = false;

  /** Copies what there is into `into`, which begins at `at`; answers what is missing. Throws what could not be read. */
  read(into: Uint8Array, at: number): Gap[] {
    let gaps: Gap[] = [[at, at + into.length]];
    for (const piece of this.pieces) {
      if (!piece.data && piece.errno === 0) continue;
      if (piece.errno !== 0 && gaps.some((gap) => overlaps(piece, gap))) throw new FileError(piece.errno);
      gaps = cover(gaps, piece, (from, to) => {
        into.set(piece.data!.subarray(from - piece.at, to - piece.at), from - at);
      });
    }
    return gaps;
  }

  /** Where the read piece that ends here began; undefined: there is none. */
  before(at: number): number | undefined {
    return this.pieces.find(({ end }) => end === at)?.at;
  }

  /** A range is about to be read: `writes` may come later than what is read. The result takes the answer. */
  reading(at: number, end: number, writes: Iterable<LogEntry>): (data: Uint8Array, errno: number) => void {
    const piece: Piece = { at, end, data: null, errno: 0, later: [...writes] };
    this.pieces.push(piece);
    return (data, errno) => {
      piece.errno = errno;
      piece.data = data;
      if (errno === 0) for (const entry of piece.later) patch(piece, data, entry);
      piece.later = [];
    };
  }

  status(at: number): KnownStatus | undefined {
    return this.statuses.find((known) => known.at <= at && at < known.end);
  }

  /** The status of a range is being asked for. The result takes the answer, unless somebody has written there since. */
  asking(at: number, end: number): (status: KnownStatus) => void {
    const question = { at, end };
    this.asked.push(question);
    return (status) => {
      const place = this.asked.indexOf(question);
      if (place < 0) return;
      this.asked.splice(place, 1);
      this.statuses.push(status);
    };
  }

  /** Somebody has written: what was fetched is to show it. */
  update(entry: LogEntry): void {
    for (const piece of this.pieces) {
      if (piece.data) patch(piece, piece.data, entry);
      else if (piece.errno === 0) piece.later.push(entry);
    }
    const apart = ({ at, end }: { at: number; end: number }) => end <= entry.at || at >= entry.end;
    this.statuses = this.statuses.filter(apart);
    this.asked = this.asked.filter(apart);
  }
}

function overlaps({ at, end }: { at: number; end: number }, [from, to]: Gap): boolean {
  return at < to && from < end;
}

/** Takes a range out of gaps; `found` is called for each part that it fills. */
export function cover(
  gaps: readonly Gap[],
  range: { at: number; end: number },
  found: (from: number, to: number) => void,
): Gap[] {
  if (!gaps.some((gap) => overlaps(range, gap))) return [...gaps];
  const left: Gap[] = [];
  for (const gap of gaps) {
    if (!overlaps(range, gap)) {
      left.push(gap);
      continue;
    }
    const from = Math.max(range.at, gap[0]);
    const to = Math.min(range.end, gap[1]);
    found(from, to);
    if (gap[0] < from) left.push([gap[0], from]);
    if (to < gap[1]) left.push([to, gap[1]]);
  }
  return left;
}

/** Makes bytes that begin at `at` show what was written over them. What is discarded may stay. */
export function patch({ at, end }: { at: number; end: number }, data: Uint8Array, entry: LogEntry): void {
  const from = Math.max(at, entry.at);
  const to = Math.min(end, entry.end);
  if (from >= to) return;
  if (entry.kind === 'write') {
    data.set(entry.data!.subarray(from - entry.at, to - entry.at), from - at);
  } else if (entry.kind === 'zero') {
    data.fill(0, from - at, to - at);
  }
}
