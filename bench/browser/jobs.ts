/** Block jobs in the browser, asked for from Node.js. */
import type { TestBrowser } from '../../test/browser/browser';
import type { Comparison } from '../measure';
import { type Line, rate } from '../report';

const BYTES = 256 * 2 ** 20;

/** Mirror and backup on the origin private file system, against copying with bare handles. */
export async function opfsJobLines(browser: TestBrowser): Promise<Line[]> {
  const lines: Line[] = [];
  const page = await browser.newPage();
  const worker = await browser.startWorker(page, new URL('jobs.worker.ts', import.meta.url));
  for (const kind of ['mirror', 'backup'] as const) {
    for (const format of ['raw', 'qcow2'] as const) {
      const result = await worker.call<Comparison>('jobAgainstCopy', kind, format, BYTES);
      lines.push({
        what: `OPFS: ${kind} of 256 MiB, ${format} to qcow2, against copying with bare handles`,
        ours: rate(BYTES, result.ours, 'MB/s'),
        reference: rate(BYTES, result.reference, 'MB/s'),
        value: result.ratio,
        unit: '',
        target: { least: 0.7 },
      });
    }
  }
  await page.close();
  return lines;
}
