/** The tab with what is on the disk. */
import type { ImageView, Inspection } from '../../client';
import { button, h } from '../dom';
import { formatBytes } from '../units';

/** What a panel about the disk may ask for. */
export interface DiskActions {
  bytes(view: ImageView, offset: number, length: number): void;
}

/** Shows the disk of an image; answers a function that ends it. */
export function showDisk(place: HTMLElement, inspection: Inspection, actions: DiskActions): () => void {
  let ended = false;
  place.replaceChildren(h('p', { class: 'meaning' }, 'Opening the disk…'));
  void inspection.disk().then(
    ({ size }) => {
      if (ended) return;
      place.replaceChildren(
        h('p', {}, `The disk has ${formatBytes(size)} (${size} bytes).`),
        button({}, () => actions.bytes('guest', 0, Math.min(512, size)), 'Bytes of its first sector'),
      );
    },
    (error: unknown) => {
      if (!ended)
        place.replaceChildren(
          h('p', { class: 'problem' }, error instanceof Error ? error.message : String(error)),
        );
    },
  );
  return () => {
    ended = true;
  };
}
