import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import type { Line } from '../report';

/** What a visitor loads of the data plane. */
export function sizeLine(): Line {
  const wasm = readFileSync(new URL('../../build/engine.wasm', import.meta.url));
  return {
    what: 'engine.wasm, gzipped',
    ours: '',
    reference: '',
    value: gzipSync(wasm, { level: 9 }).length / 1024,
    unit: 'KiB',
    target: { below: 100 },
  };
}
