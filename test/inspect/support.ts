/** What the tests of the inspection share: images on disk made by the real tools, and an inspection of them. */
import { newEngine, scratchDirectory } from '../engine/support';
import { NodeStore } from '../../src/files/node/store';
import { inspect, type Inspection } from '../../src/inspect';
import type { CheckState, MapPage, MapRequest, Use } from '../../src/inspect/contract';

export const scratch = scratchDirectory;

/** Inspects a file of this machine. */
export function inspectPath(path: string): Promise<Inspection> {
  return inspect(
    {
      files: new NodeStore(),
      hidden: false,
      newEngine,
      turn: () => new Promise((done) => setImmediate(done)),
      daemon: () => null,
    },
    { path },
  );
}

/** Asks until all cells are known. */
export async function wholeMap(inspection: Inspection, request: MapRequest): Promise<MapPage> {
  for (;;) {
    const page = await inspection.map(request);
    if (page.known === 1) return page;
  }
}

/** How many cells show each use. */
export function counted(uses: Uint8Array): Partial<Record<Use, number>> {
  const counts: Partial<Record<Use, number>> = {};
  for (const use of uses as Iterable<Use>) counts[use] = (counts[use] ?? 0) + 1;
  return counts;
}

/** A check from its beginning to its end. */
export async function wholeCheck(
  inspection: Inspection,
  mode: 'look' | 'leaks' | 'all',
): Promise<CheckState> {
  await inspection.beginCheck(mode);
  const findings: string[] = [];
  for (;;) {
    const state = await inspection.check();
    findings.push(...state.findings);
    if (state.done) return { ...state, findings };
  }
}
