/** Every line of the corpus, by the real tools and by ours. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { haveTools, readCorpus, Twins } from './twins';

const corpus = join(import.meta.dirname, 'corpus');

for (const file of readdirSync(corpus).filter((name) => name.endsWith('.txt'))) {
  describe.runIf(haveTools)(file, () => {
    let twins: Twins;
    beforeEach(() => {
      twins = new Twins();
    });
    afterEach(() => twins.remove());

    for (const block of readCorpus(join(corpus, file))) {
      it(block.title, async () => {
        let input: string[] = [];
        for (const { kind, text, number } of block.lines) {
          if (kind === '!') twins.prepare(text);
          else if (kind === '&') twins.serve(text);
          else if (kind === '<') input.push(text);
          else if (kind === '=' || kind === '~')
            expect.soft(twins.differences(text, kind === '~'), `line ${number}`).toEqual([]);
          else {
            const { real, ours } = await twins.run(text, input);
            expect.soft(ours, `line ${number}: ${text}`).toEqual(real);
            input = [];
          }
        }
      });
    }
  });
}
