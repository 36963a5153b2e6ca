/** Hands the worker of the benchmarks to whoever drives the page, and to it the file of the page's input. */
import { wrap } from 'comlink';
import type { Bench } from './worker';

const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' });
const bench = wrap<Bench>(worker);

/** What the driver of the page sees as `window.driver`. */
export interface Driver {
  bench: typeof bench;
  /** Imports the file that was chosen on the page. */
  importChosen(name: string): Promise<void>;
}

declare global {
  interface Window {
    driver: Driver;
  }
}

window.driver = {
  bench,
  async importChosen(name) {
    const file = document.querySelector('input')?.files?.[0];
    if (!file) throw new Error('no file was chosen');
    await bench.importFile(name, file);
  },
};
