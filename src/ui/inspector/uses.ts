/** How uses are called and drawn: a colour and, where colours alone would not do, a pattern. */
import { CellFlag, Use, type ImageView } from '../../client';

/** A use as the legend has it. */
export interface UseStyle {
  use: Use;
  title: string;
  /** The variable of the style sheet that has its colour. */
  colour: string;
}

const FILE: readonly UseStyle[] = [
  { use: Use.HEADER, title: 'Header', colour: '--use-header' },
  { use: Use.L1, title: 'L1 table', colour: '--use-l1' },
  { use: Use.L2, title: 'L2 table', colour: '--use-l2' },
  { use: Use.REFCOUNT_TABLE, title: 'Refcount table', colour: '--use-reftable' },
  { use: Use.REFCOUNT_BLOCK, title: 'Refcount block', colour: '--use-refblock' },
  { use: Use.SNAPSHOT_TABLE, title: 'Snapshot list', colour: '--use-snapshots' },
  { use: Use.SNAPSHOT_L1, title: 'Snapshot L1', colour: '--use-snapshot-l1' },
  { use: Use.SNAPSHOT_L2, title: 'Snapshot L2', colour: '--use-snapshot-l2' },
  { use: Use.BITMAP, title: 'Bitmaps', colour: '--use-bitmap' },
  { use: Use.KEYS, title: 'LUKS keys', colour: '--use-keys' },
  { use: Use.DATA, title: 'Data', colour: '--use-data' },
  { use: Use.COMPRESSED, title: 'Compressed', colour: '--use-compressed' },
  { use: Use.SNAPSHOT_DATA, title: 'Snapshot data', colour: '--use-snapshot-data' },
  { use: Use.LEAKED, title: 'Leaked', colour: '--use-leaked' },
  { use: Use.BROKEN, title: 'Broken', colour: '--use-broken' },
  { use: Use.FREE, title: 'Free', colour: '--use-free' },
  { use: Use.UNKNOWN, title: 'Not known yet', colour: '--use-unknown' },
];

const GUEST: readonly UseStyle[] = [
  { use: Use.DATA, title: 'Data', colour: '--use-data' },
  { use: Use.COMPRESSED, title: 'Compressed', colour: '--use-compressed' },
  { use: Use.ZERO, title: 'Zeros', colour: '--use-zero' },
  { use: Use.BROKEN, title: 'Broken', colour: '--use-broken' },
  { use: Use.FREE, title: 'Not in this image', colour: '--use-free' },
  { use: Use.UNKNOWN, title: 'Not known yet', colour: '--use-unknown' },
];

export const USE_STYLES: Readonly<Record<ImageView, readonly UseStyle[]>> = { file: FILE, guest: GUEST };

/** What a mark on a cell means. */
export const FLAG_TITLES: readonly { flag: CellFlag; title: string }[] = [
  { flag: CellFlag.SHARED, title: 'Shared with a snapshot' },
  { flag: CellFlag.DIRTY, title: 'Dirty in a bitmap' },
];

/** The colours as they are now: they differ between light and dark. */
export class Palette {
  private readonly colours: string[] = [];
  private readonly line: string;
  private readonly dirty: string;

  constructor(element: Element) {
    const style = getComputedStyle(element);
    for (const { use, colour } of [...GUEST, ...FILE])
      this.colours[use] = style.getPropertyValue(colour).trim();
    this.line = style.getPropertyValue('--use-mark').trim();
    this.dirty = style.getPropertyValue('--use-dirty').trim();
  }

  /** Draws a cell; `fill`: how much of it is in use, 0..255. */
  cell(
    context: CanvasRenderingContext2D,
    x: number,
    y: number,
    size: number,
    use: Use,
    fill: number,
    flags: number,
  ): void {
    const full = use !== Use.FREE && use !== Use.UNKNOWN && fill > 0 && fill < 250;
    context.fillStyle = this.colours[full ? Use.FREE : use] ?? '';
    context.fillRect(x, y, size, size);
    if (full) {
      // What is used fills the cell from below.
      const height = Math.max(2, Math.round((size * fill) / 255));
      context.fillStyle = this.colours[use] ?? '';
      context.fillRect(x, y + size - height, size, height);
    }
    if (size < 6) return;
    if (use === Use.BROKEN || use === Use.LEAKED) {
      context.strokeStyle = this.line;
      context.lineWidth = 1.5;
      context.beginPath();
      context.moveTo(x + 2, y + 2);
      context.lineTo(x + size - 2, y + size - 2);
      if (use === Use.BROKEN) {
        context.moveTo(x + size - 2, y + 2);
        context.lineTo(x + 2, y + size - 2);
      }
      context.stroke();
    }
    if (flags & CellFlag.SHARED) {
      context.fillStyle = this.line;
      context.beginPath();
      context.moveTo(x + size, y);
      context.lineTo(x + size, y + size * 0.5);
      context.lineTo(x + size * 0.5, y);
      context.fill();
    }
    if (flags & CellFlag.DIRTY) {
      context.fillStyle = this.dirty;
      context.fillRect(x, y + size - 3, size, 3);
    }
    if (use === Use.COMPRESSED && size >= 8) {
      context.fillStyle = this.line;
      context.fillRect(x + 2, y + size / 2 - 0.5, size - 4, 1);
    }
  }
}
