/**
 * Says a transcript to the real storage daemon and to ours, and prints where they answer differently:
 * `npx tsx test/daemon/compare.ts FILE...`. Stores nothing; for looking for differences before a transcript is recorded.
 */
import { readFileSync } from 'node:fs';
import { recordTranscript } from './recording';
import { replay } from './replay';

for (const file of process.argv.slice(2)) {
  const recording = await recordTranscript(readFileSync(file, 'utf8'), 30);
  const { differences, daemon, remove } = await replay(recording);
  for (const { step, ours = [], real = [] } of differences)
    console.log(
      [step.trimEnd(), ...real.map((line) => `  real ${line}`), ...ours.map((line) => `  ours ${line}`)].join(
        '\n',
      ),
    );
  console.log(`${file}: ${differences.length} of ${recording.output.length} steps differ`);
  await daemon.end();
  remove();
}
process.exit();
