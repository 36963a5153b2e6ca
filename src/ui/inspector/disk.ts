/** The tab with what is on the disk. */
import type { ImageView, Inspection } from '../../client';
import { h } from '../dom';
import { showVolumes } from './volumes/panel';

/** What a panel about the disk may ask for. */
export interface DiskActions {
  bytes(view: ImageView, offset: number, length: number): void;
}

/** Shows the disk of an image; answers a function that ends it. */
export function showDisk(place: HTMLElement, inspection: Inspection, actions: DiskActions): () => void {
  let ended = false;
  let end: (() => void) | null = null;
  place.replaceChildren(h('p', { class: 'meaning' }, 'Opening the disk…'));
  void inspection.disk().then(
    (disk) => {
      if (ended) return;
      end = showVolumes(place, disk, {
        bytes: (offset, length) => actions.bytes('guest', offset, length),
      });
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
    end?.();
  };
}
