/**
 * Command lines of the daemon, what the real one said to them, and ours in this process.
 * `npx tsx test/node/commandlines.ts` records `daemon-commandlines.txt` anew.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PROGRAM, readCommandLine } from '../../src/tools/daemon/commandline';
import { applyOptions } from '../../src/tools/daemon/options';
import { toFailure } from '../../src/tools/failure';
import { openDaemonIn } from '../daemon/daemon';
import { splitWords } from '../tools/twins';

const LINES = join(import.meta.dirname, 'daemon-commandlines.txt');
const FIXTURE = join(import.meta.dirname, 'fixtures/daemon-commandlines.json');

/** What came of a command line. */
export interface Outcome {
  stdout: string;
  stderr: string;
  code: number;
}

export interface RecordedLine extends Outcome {
  line: string;
}

/** The command lines, one a line. */
export function commandLines(): string[] {
  return readFileSync(LINES, 'utf8').trimEnd().split('\n');
}

/** What the real daemon said to them. */
export function recordedLines(): RecordedLine[] {
  return JSON.parse(readFileSync(FIXTURE, 'utf8')) as RecordedLine[];
}

/** Runs a command line that ends by itself with ours. */
export async function runInProcess(line: string, directory: string): Promise<Outcome> {
  const outcome: Outcome = { stdout: '', stderr: '', code: 0 };
  const say = (text: string): void => void (outcome.stderr += `${text}\n`);
  const { daemon } = openDaemonIn(directory);
  let cause = '';
  try {
    const { options } = readCommandLine(splitWords(line));
    await applyOptions(daemon, options, {
      print: (text) => void (outcome.stdout += text),
      end: async (code) => {
        outcome.code = code;
        await daemon.end();
      },
      cause: (prefix) => (cause = prefix),
      warn: (text) => say(`${cause}warning: ${text}`),
      complain: (text) => say(PROGRAM + text),
      hasInput: true,
    });
  } catch (error) {
    const { message, hints, code } = toFailure(error);
    for (const text of [`${PROGRAM}: ${message}`, ...hints]) say(text);
    outcome.code = code;
  }
  await daemon.end();
  return outcome;
}

function record(): void {
  const directory = mkdtempSync(join(tmpdir(), 'commandlines-'));
  const recorded = commandLines().map((line): RecordedLine => {
    const { stdout, stderr, status } = spawnSync('qemu-storage-daemon', splitWords(line), {
      cwd: directory,
      encoding: 'utf8',
      timeout: 5000,
    });
    if (status === null) throw new Error(`it does not end: ${line}`);
    return { line, stdout, stderr, code: status };
  });
  rmSync(directory, { recursive: true });
  writeFileSync(FIXTURE, `${JSON.stringify(recorded, null, 1)}\n`);
}

if (process.argv[1] === import.meta.filename) record();
