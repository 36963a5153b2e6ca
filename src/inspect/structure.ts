/** What each format tells of an image; one is made for each look at it. */
import type { Field, ImageView, MapPage, Overview, Place } from './contract';

/** What a format knows; name and sizes of the file are added by the inspection. */
export type FormatOverview = Omit<Overview, 'name' | 'path' | 'fileSize' | 'encryption' | 'live'>;

/** The label of the bitmaps that have marked a place of the disk, in {@link Place.facts}. */
export const DIRTY_IN = 'Dirty in';

/** Cells that are being filled: `next` is the first one that is not known yet. */
export interface Cells {
  view: ImageView;
  offset: number;
  cellBytes: number;
  uses: Uint8Array;
  fill: Uint8Array;
  flags: Uint8Array;
  next: number;
}

export interface Structure {
  readonly overview: FormatOverview;
  /** Fills cells until a moment of `performance.now()`; answers what part is known. */
  fill(cells: Cells, until: number): MapPage['known'];
  describe(view: ImageView, offset: number): Place;
  fields(offset: number, length: number): Field[];
}
