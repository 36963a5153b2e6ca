/** Cells of the map in pages: asked for when they are seen, asked for again while not all is known. */
import { Use, type ImageView, type Inspection, type MapPage } from '../../client';

/** Cells of a page, and pages that are kept. */
const CELLS = 4096;
const MOST = 64;
/** Milliseconds until an image that is still being looked at is asked again. */
const AGAIN = 60;

/** What is known of one cell. */
export interface Cell {
  use: number;
  fill: number;
  flags: number;
}

const UNKNOWN: Cell = { use: 0, fill: 0, flags: 0 };

export class MapPages {
  private readonly pages = new Map<number, { page: MapPage | null; wanted: boolean }>();
  private asking = false;
  private ended = false;
  /** Uses and flags that were found so far. */
  readonly seen: { uses: Set<number>; flags: number } = { uses: new Set(), flags: 0 };
  /** 0..1, of the page that was asked for last. */
  known = 0;

  /** @param changed called when more is known, or it cannot be told */
  constructor(
    private readonly inspection: Inspection,
    private readonly view: ImageView,
    readonly cellBytes: number,
    private readonly changed: (failure?: string) => void,
    /** The same cells as they were: shown until more is known. */
    private before: MapPages | null = null,
  ) {
    if (before) before.before = null;
  }

  /** A cell as far as it is known; asks for it if need be. */
  cell(index: number): Cell {
    const number = Math.floor(index / CELLS);
    if (!this.pages.has(number)) {
      if (this.pages.size >= MOST) this.pages.delete(this.pages.keys().next().value ?? 0);
      this.pages.set(number, { page: null, wanted: true });
      void this.ask();
    }
    const now = this.peek(index);
    return now && (now.use as Use) !== Use.UNKNOWN ? now : (this.before?.peek(index) ?? now ?? UNKNOWN);
  }

  private peek(index: number): Cell | null {
    const number = Math.floor(index / CELLS);
    const page = this.pages.get(number)?.page;
    if (!page) return null;
    const at = index - number * CELLS;
    return { use: page.uses[at] ?? 0, fill: page.fill[at] ?? 0, flags: page.flags[at] ?? 0 };
  }

  /** Nothing more is asked for. */
  end(): void {
    this.ended = true;
  }

  /** Asks for one page after the other: a worker answers one at a time anyway. */
  private async ask(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      for (;;) {
        const next = [...this.pages].reverse().find(([, { wanted }]) => wanted);
        if (!next || this.ended) return;
        const [number, state] = next;
        const page = await this.inspection.map({
          view: this.view,
          offset: number * CELLS * this.cellBytes,
          cellBytes: this.cellBytes,
          cells: CELLS,
        });
        // Another inspection may be on by now, or the page may have been forgotten.
        if (this.ended) return;
        state.page = page;
        state.wanted = page.known < 1;
        this.known = page.known;
        for (const use of page.uses) this.seen.uses.add(use);
        for (const flag of page.flags) this.seen.flags |= flag;
        this.changed();
        if (state.wanted) await new Promise((done) => setTimeout(done, AGAIN));
      }
    } catch (error) {
      for (const state of this.pages.values()) state.wanted = false;
      if (!this.ended) this.changed(error instanceof Error ? error.message : String(error));
    } finally {
      this.asking = false;
    }
  }
}
