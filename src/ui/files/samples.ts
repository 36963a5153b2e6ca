/** The command `sample`: images to look at, made in place. */
import type { Client } from '../../client';
import { SAMPLES } from '../../lessons';
import type { PageCommand } from '../console/backend';

/** It prints each line before it runs it: how such an image is made is worth knowing. */
export function sampleCommand(client: Client): PageCommand {
  return {
    info: {
      name: 'sample',
      summary: 'makes an image to look at; without a name it lists them',
      usage: `[${SAMPLES.map(({ name }) => name).join('|')}]`,
      arguments: 'none',
      subcommands: SAMPLES.map(({ name, text }) => ({ name, summary: text })),
    },
    run: async ([name], io) => {
      if (name === undefined) {
        for (const { name: one, text } of SAMPLES) io.stdout(`${one.padEnd(12)}${text}\n`);
        return 0;
      }
      const sample = SAMPLES.find((one) => one.name === name);
      if (!sample) {
        io.stderr(`sample: no sample '${name}'; sample lists them\n`);
        return 1;
      }
      const entries = await client.list();
      const here = 'value' in entries ? entries.value.map((entry) => entry.name) : [];
      const taken = sample.files.filter((file) => here.includes(file));
      if (taken.length > 0) {
        io.stderr(`sample: ${taken.join(', ')}: there already; delete it to have it made anew\n`);
        return 1;
      }
      const shell = {
        stdout: (text: string) => io.stdout(text),
        stderr: (text: string) => io.stderr(text),
        progress: (done: number, total: number) => io.progress(done, total),
        readLine: () => Promise.resolve(null),
      };
      for (const line of sample.lines) {
        io.stdout(`${line}\n`);
        const code = await client.runShell(line, shell, io.signal);
        if (code !== 0) return code;
      }
      return 0;
    },
  };
}
