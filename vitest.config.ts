import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Files that take a minute and more, longest first: one that came last would run alone, with the other core at rest. */
const LONG = ['tools/corpus.test.ts', 'engine/powercuts/cuts.test.ts', 'interop/matrix.test.ts'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}`));
      return found < 0 ? LONG.length : found;
    };
    const sorted = await super.sort(files);
    return sorted.sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/setup/global.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Many tests race with programs of others, whose words depend on who is first; what is wrong here fails again.
    retry: 1,
    // What a page or a real daemon does in its own time; it ends at once when it is so.
    expect: { poll: { timeout: 20_000 } },
    // The tests start real tools and a browser on machines with few cores.
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
