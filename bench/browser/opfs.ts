/** What is measured in the worker, asked for from Node.js. */
import type { TestBrowser } from '../../test/browser/browser';
import { DATA_BYTES, HUGE_BYTES, type Images } from '../images';
import type { Comparison } from '../measure';
import { type Line, rate } from '../report';

/** The engine on the origin private file system, against bare handles. */
export async function opfsLines(browser: TestBrowser, images: Images): Promise<Line[]> {
  const page = await browser.newPage();
  const worker = await browser.startWorker(page, new URL('worker.ts', import.meta.url));
  for (const [name, path] of Object.entries({
    'data.raw': images.raw,
    'data.qcow2': images.qcow2,
    'extended.qcow2': images.extended,
    'huge.qcow2': images.huge,
  })) {
    await worker.callWithFiles('importFile', [path], name);
  }
  type Reads = Comparison & { operations: number };
  const random = await worker.call<Reads>('randomReads', 'data.qcow2', DATA_BYTES);
  const extended = await worker.call<Reads>('randomReads', 'extended.qcow2', DATA_BYTES);
  const sequential = await worker.call<Comparison & { bytes: number }>('sequentialReads', DATA_BYTES);
  const writes = await worker.call<Comparison & { bytes: number }>('allocatingWrites');
  const huge = await worker.call<{ milliseconds: number; memoryBytes: number }>('openHuge', HUGE_BYTES);
  await page.close();
  return [
    {
      what: 'OPFS: 4 KiB random reads through qcow2, against the bare handle',
      ours: rate(random.operations, random.ours, '/s'),
      reference: rate(random.operations, random.reference, '/s'),
      value: random.ratio,
      unit: '',
      target: { least: 0.8 },
    },
    {
      what: 'OPFS: the same with extended L2 entries',
      ours: rate(extended.operations, extended.ours, '/s'),
      reference: rate(extended.operations, extended.reference, '/s'),
      value: extended.ratio,
      unit: '',
      target: { least: 0.8 },
    },
    {
      what: 'OPFS: 1 MiB sequential reads through qcow2, against the bare handle',
      ours: rate(sequential.bytes, sequential.ours, 'MB/s'),
      reference: rate(sequential.bytes, sequential.reference, 'MB/s'),
      value: sequential.ratio,
      unit: '',
      target: { least: 0.9 },
    },
    {
      what: 'OPFS: 64 KiB allocating writes through qcow2, against the bare handle',
      ours: rate(writes.bytes, writes.ours, 'MB/s'),
      reference: rate(writes.bytes, writes.reference, 'MB/s'),
      value: writes.ratio,
      unit: '',
      target: { least: 0.8 },
    },
    {
      what: 'OPFS: opening an image of 1 TiB, with a read at its far end',
      ours: '',
      reference: '',
      value: huge.milliseconds,
      unit: 'ms',
      target: { below: 50 },
    },
    {
      what: 'linear memory with that image open',
      ours: '',
      reference: '',
      value: huge.memoryBytes / 2 ** 20,
      unit: 'MiB',
      target: { below: 16 },
    },
  ];
}
