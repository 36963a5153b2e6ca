/** Parts of images, as commands name them. */

/** A part of an image. */
export interface Extent {
  offset: number;
  bytes: number;
}

/** No part of the disk. */
export const NOWHERE: Extent = { offset: 0, bytes: 0 };
