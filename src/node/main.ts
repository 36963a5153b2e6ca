#!/usr/bin/env node
/**
 * The command line: `qsd-web daemon|img|io|nbd|bridge`. Called by the name of a tool of QEMU (through a link) it is that tool, so
 * that it can stand in for it.
 */
import { basename } from 'node:path';
import { isMainThread } from 'node:worker_threads';

/** The tools by the names of QEMU and by ours. */
const TOOLS: Readonly<Record<string, (words: string[]) => Promise<number>>> = {
  'qemu-img': async (words) =>
    (await import('./tool')).runTool((await import('../tools/img/index')).qemuImg, words),
  'qemu-io': async (words) =>
    (await import('./tool')).runTool((await import('../tools/io/index')).qemuIo, words),
  'qemu-nbd': async (words) => (await import('./nbd/index')).runNbd(words),
  'qemu-storage-daemon': async (words) => (await import('./daemon')).runDaemon(words),
  bridge: async (words) => (await import('./bridge')).runBridge(words),
};

const COMMANDS: Readonly<Record<string, string>> = {
  img: 'qemu-img',
  io: 'qemu-io',
  nbd: 'qemu-nbd',
  daemon: 'qemu-storage-daemon',
};

const USAGE = `qsd-web: a QEMU-compatible storage daemon and its tools

Usage:
  qsd-web daemon [OPTION]...    the command line of qemu-storage-daemon
  qsd-web img VERB [OPTION]...  the command line of qemu-img
  qsd-web io [OPTION]... [FILE] the command line of qemu-io
  qsd-web nbd [OPTION]... FILE  the command line of qemu-nbd
  qsd-web bridge SERVER         pages reach an NBD server through it
  qsd-web --version

Each of them tells more with --help. A link named qemu-storage-daemon, qemu-img, qemu-io or qemu-nbd that points to this program
behaves as that tool.
`;

async function main(): Promise<number> {
  const [, script = '', ...words] = process.argv;
  const name = basename(script);
  if (name.startsWith('qemu-') && TOOLS[name]) return TOOLS[name](words);
  const [command, ...rest] = words;
  if (command === '--version' || command === '-V') {
    const { version } = await import('../../package.json');
    process.stdout.write(`qsd-web ${version}\n`);
    return 0;
  }
  if (command === '--help' || command === '-h' || command === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const tool = command === undefined ? undefined : TOOLS[COMMANDS[command] ?? command];
  if (tool) return tool(rest);
  process.stderr.write(command === undefined ? USAGE : `qsd-web: unknown command '${command}'\n${USAGE}`);
  return 1;
}

// Who reads our output may stop early, as head(1) does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 141 : 1);
});

if (isMainThread) {
  void main().then((code) => {
    // What was printed goes out first.
    process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
  });
} else {
  // The threads of this program do nothing else.
  void import('./argon2').then(({ serveArgon2 }) => serveArgon2());
}
