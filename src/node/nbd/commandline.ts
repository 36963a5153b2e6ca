/** The command line of qemu-nbd. */
import { MAX_STRING } from '../../nbd/index';
import type { CacheMode, DetectZeroes } from '../../graph/index';
import { ToolFailure } from '../../tools/failure';
import { Getopt, type OptionTable } from '../../tools/getopt';
import { readTrace } from '../../tools/trace';
import { activatedSocket } from './activation';

const VALUES: Readonly<Record<string, string>> = {
  ...{ port: 'p', bind: 'b', socket: 'k', shared: 'e', 'export-name': 'x', description: 'D', offset: 'o' },
  ...{ bitmap: 'B', format: 'f', 'load-snapshot': 'l', connect: 'c', trace: 'T' },
};
const SWITCHES: Readonly<Record<string, string>> = {
  ...{ persistent: 't', verbose: 'v', 'allocation-depth': 'A', list: 'L', 'read-only': 'r', snapshot: 's' },
  ...{ nocache: 'n', disconnect: 'd', help: 'h', version: 'V' },
};
const LONG_VALUES = [
  ...['cache', 'aio', 'discard', 'detect-zeroes', 'object', 'tls-creds', 'tls-authz', 'tls-hostname'],
  ...['pid-file', 'selinux-label', 'handshake-limit'],
];
const OPTIONS: OptionTable = {
  short: 'hVb:o:p:rsnc:dvk:e:f:tl:x:T:D:AB:L',
  long: [
    ...Object.entries(VALUES).map(([name, code]) => ({ name, value: true, code })),
    ...Object.entries(SWITCHES).map(([name, code]) => ({ name, value: false, code })),
    ...LONG_VALUES.map((name) => ({ name, value: true, code: name })),
    ...['image-opts', 'fork'].map((name) => ({ name, value: false, code: name })),
  ],
};

const CACHE_MODES: readonly string[] = ['none', 'off', 'directsync', 'writeback', 'unsafe', 'writethrough'];

/** What a command line asks for. */
export interface NbdCommandLine {
  print: 'help' | 'version' | null;
  image: string;
  imageOptions: boolean;
  format: string | null;
  readOnly: boolean;
  /** Bytes at the start of the image that are left out. */
  offset: number;
  cache: CacheMode;
  discard: 'ignore' | 'unmap';
  detectZeroes: DetectZeroes;
  /** The name or id of an internal snapshot. */
  snapshot: { id?: string; name?: string } | null;
  bind: string;
  port: string;
  socket: string | null;
  shared: number;
  persistent: boolean;
  handshakeSeconds: number;
  name: string;
  description: string;
  allocationDepth: boolean;
  bitmaps: string[];
  /** Values of --object. */
  objects: string[];
  fork: boolean;
  pidFile: string | null;
  /** Ids of objects, and the name that has to be in a server's certificate. */
  tls: { creds?: string; authz?: string; hostname?: string };
  /** Writes go to a temporary file. */
  snapshotFile: boolean;
  /** Descriptor of a listening socket that the process was started with. */
  passedSocket: number | null;
  /** What a server exports is to be listed; nothing else is done. */
  list: boolean;
}

/** Reads it; throws {@link ToolFailure} with the texts of the real tool. */
export function readCommandLine(words: string[]): NbdCommandLine {
  const line: NbdCommandLine = {
    print: null,
    image: '',
    imageOptions: false,
    format: null,
    readOnly: false,
    offset: 0,
    cache: 'writeback',
    discard: 'ignore',
    detectZeroes: 'off',
    snapshot: null,
    bind: '0.0.0.0',
    port: '10809',
    socket: null,
    shared: 1,
    persistent: false,
    handshakeSeconds: 10,
    name: '',
    description: '',
    allocationDepth: false,
    bitmaps: [],
    objects: [],
    fork: false,
    pidFile: null,
    tls: {},
    snapshotFile: false,
    passedSocket: null,
    list: false,
  };
  let device = false;
  const seen = new Set<string>();
  const codes = new Set<string>();
  const once = (group: string, text: string): void => {
    if (seen.has(group)) throw new ToolFailure(`${text} can only be specified once`);
    seen.add(group);
  };
  const parser = new Getopt(words, OPTIONS);
  for (let found = parser.next(); found; found = parser.next()) {
    if (found.kind === 'mistake') {
      throw new ToolFailure(found.text, ["qemu-nbd: Try `qemu-nbd --help' for more information."]);
    }
    const { code, value } = found;
    codes.add(code);
    switch (code) {
      case 'h':
        return { ...line, print: 'help' };
      case 'V':
        return { ...line, print: 'version' };
      case 's':
        line.snapshotFile = true;
        break;
      case 'L':
        line.list = true;
        break;
      case 'c':
        device = true;
        break;
      case 'd':
        throw noDevices();
      case 'n':
      case 'cache':
        once('cache', '-n and --cache');
        if (code === 'cache' && !CACHE_MODES.includes(value))
          throw new ToolFailure(`Invalid cache mode \`${value}'`);
        line.cache = code === 'n' ? 'none' : (value as CacheMode);
        break;
      case 'aio':
        once('aio', '--aio');
        if (!['native', 'threads', 'io_uring'].includes(value))
          throw new ToolFailure(`Invalid aio mode '${value}'`);
        break;
      case 'discard':
        once('discard', '--discard');
        if (!['ignore', 'off', 'unmap', 'on'].includes(value))
          throw new ToolFailure(`Invalid discard mode \`${value}'`);
        line.discard = value === 'unmap' || value === 'on' ? 'unmap' : 'ignore';
        break;
      case 'detect-zeroes':
        if (value !== 'off' && value !== 'on' && value !== 'unmap')
          throw new ToolFailure(`Failed to parse detect_zeroes mode: invalid parameter value: ${value}`);
        if (value === 'unmap' && line.discard !== 'unmap') {
          throw new ToolFailure(
            'setting detect-zeroes to unmap is not allowed without setting discard operation to unmap',
          );
        }
        line.detectZeroes = value;
        break;
      case 'b':
        line.bind = value;
        break;
      case 'p':
        line.port = value;
        break;
      case 'k':
        if (!value.startsWith('/')) throw new ToolFailure('socket path must be absolute');
        line.socket = value;
        break;
      case 'o':
        line.offset = wholeNumber(value) ?? refuse(`Invalid offset '${value}'`);
        break;
      case 'e':
        line.shared = wholeNumber(value) ?? refuse(`Invalid shared device number '${value}'`);
        break;
      case 'handshake-limit':
        line.handshakeSeconds = wholeNumber(value) ?? refuse(`Invalid handshake limit '${value}'`);
        break;
      case 'l':
        line.readOnly = true;
        line.snapshot = readSnapshot(value);
        break;
      case 'r':
        line.readOnly = true;
        break;
      case 'f':
        line.format = value;
        break;
      case 'image-opts':
        line.imageOptions = true;
        break;
      case 't':
        line.persistent = true;
        break;
      case 'x':
        if (Buffer.byteLength(value) > MAX_STRING) throw new ToolFailure(`export name '${value}' too long`);
        line.name = value;
        break;
      case 'D':
        if (Buffer.byteLength(value) > MAX_STRING)
          throw new ToolFailure(`export description '${value}' too long`);
        line.description = value;
        break;
      case 'A':
        line.allocationDepth = true;
        break;
      case 'B':
        line.bitmaps.push(value);
        break;
      case 'fork':
        line.fork = true;
        break;
      case 'pid-file':
        line.pidFile = value;
        break;
      case 'tls-creds':
        line.tls.creds = value;
        break;
      case 'tls-authz':
        line.tls.authz = value;
        break;
      case 'tls-hostname':
        line.tls.hostname = value;
        break;
      case 'object':
        line.objects.push(value);
        break;
      case 'T':
        readTrace(value, (text) => void process.stderr.write(`qemu-nbd: warning: ${text}\n`));
        break;
      default:
        // -v and what has no meaning here.
        break;
    }
  }
  line.passedSocket = activatedSocket(codes, line.list);
  if (line.list) {
    checkList(line, codes, parser.operands);
    checkTls(line);
    return line;
  }
  const [image, ...more] = parser.operands;
  if (image === undefined || more.length > 0)
    throw new ToolFailure('Invalid number of arguments', ["Try `qemu-nbd --help' for more information."]);
  line.image = image;
  if (device)
    throw line.tls.creds === undefined
      ? noDevices()
      : new ToolFailure('TLS is not supported with a host device');
  checkTls(line);
  return line;
}

/** Options that say how an image is to be served. */
const SERVING = ['o', 'x', 'D', 'B', 'A', 'f', 'n', 'cache', 'discard', 'aio', 'l'];

function checkList({ fork }: NbdCommandLine, codes: ReadonlySet<string>, operands: readonly string[]): void {
  const incompatible = (what: string) => new ToolFailure(`List mode is incompatible with ${what}`);
  if (operands.length > 0) throw incompatible('a file name');
  if (SERVING.some((code) => codes.has(code))) throw incompatible('per-device settings');
  if (fork) throw incompatible('forking');
}

function checkTls({ tls, list }: NbdCommandLine): void {
  if (tls.creds === undefined) {
    for (const option of ['authz', 'hostname'] as const) {
      if (tls[option] === undefined) continue;
      throw new ToolFailure(`--tls-${option} is not permitted without --tls-creds`);
    }
  } else if (tls.authz !== undefined && list) {
    throw new ToolFailure('TLS authorization is incompatible with export list');
  } else if (tls.hostname !== undefined && !list) {
    throw new ToolFailure('TLS hostname is only supported with export list');
  }
}

function noDevices(): ToolFailure {
  return new ToolFailure(
    'kernel devices are not available: the kernel lets no program of Node.js set up /dev/nbd*',
  );
}

function refuse(text: string): never {
  throw new ToolFailure(text);
}

function wholeNumber(text: string): number | null {
  if (!/^(\d+|0[xX][0-9a-fA-F]+)$/.test(text)) return null;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : null;
}

function readSnapshot(text: string): { id?: string; name?: string } {
  if (!text.startsWith('snapshot.')) return { id: text, name: text };
  const found: { id?: string; name?: string } = {};
  for (const part of text.split(',')) {
    const match = /^snapshot\.(id|name)=(.*)$/.exec(part);
    if (!match) {
      const [key = ''] = part.split('=');
      throw new ToolFailure(`Invalid parameter '${key}'`, [
        `qemu-nbd: Failed in parsing snapshot param \`${text}'`,
      ]);
    }
    found[match[1] as 'id' | 'name'] = match[2] ?? '';
  }
  return found;
}
