/**
 * Records transcripts with the real storage daemon: `npx tsx test/daemon/record.ts [NAME...]` (default: all).
 * See README.md in this folder.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { recordTranscript } from './recording';

const here = import.meta.dirname;

const wanted = process.argv.slice(2);
const names = wanted.length
  ? wanted
  : readdirSync(join(here, 'transcripts')).map((file) => basename(file, '.txt'));
for (const name of names) {
  const recording = await recordTranscript(
    readFileSync(join(here, 'transcripts', `${name}.txt`), 'utf8'),
    100,
  );
  writeFileSync(join(here, 'fixtures', `${name}.json`), JSON.stringify(recording, null, 1) + '\n');
}
