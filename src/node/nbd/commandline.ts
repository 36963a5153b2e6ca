/** The command line of qemu-nbd. */
import { MAX_STRING } from '../../nbd/index';
import type { CacheMode, DetectZeroes } from '../../graph/index';
import { objectHelp } from '../../daemon/objects/help';
import { NodeStore } from '../../files/node/store';
import { readCheckedList, type ListDeclaration } from '../../tools/checkedlist';
import { ToolFailure, ToolHelp } from '../../tools/failure';
import { Getopt, type OptionTable } from '../../tools/getopt';
import { readTrace } from '../../tools/trace';
import { activatedSocket } from './activation';

/** Long names in the order of the real tool, which lists them when one is shortened too much. */
const LONG: readonly (readonly [name: string, code?: string])[] = [
  ...([
    ['help', 'h'],
    ['version', 'V'],
    ['verbose', 'v'],
    ['list', 'L'],
  ] as const),
  ...([
    ['bind', 'b'],
    ['port', 'p'],
    ['socket', 'k'],
    ['offset', 'o'],
  ] as const),
  ...([
    ['read-only', 'r'],
    ['snapshot', 's'],
    ['load-snapshot', 'l'],
    ['nocache', 'n'],
  ] as const),
  ...([['connect', 'c'], ['disconnect', 'd'], ['cache'], ['allocation-depth', 'A'], ['aio']] as const),
  ...([['discard'], ['detect-zeroes'], ['shared', 'e'], ['format', 'f'], ['persistent', 't']] as const),
  ...([['export-name', 'x'], ['description', 'D'], ['bitmap', 'B'], ['object']] as const),
  ...([['handshake-limit'], ['tls-creds'], ['tls-hostname'], ['tls-authz'], ['trace', 'T']] as const),
  ...([['image-opts'], ['fork'], ['pid-file'], ['selinux-label']] as const),
];
const SHORT = 'hVb:o:p:rsnc:dvk:e:f:tl:x:T:D:AB:L';
const WITHOUT_VALUE: ReadonlySet<string> = new Set(['image-opts', 'fork']);
const OPTIONS: OptionTable = {
  short: SHORT,
  long: LONG.map(([name, code = name]) => ({
    name,
    value: code.length === 1 ? SHORT.includes(`${code}:`) : !WITHOUT_VALUE.has(name),
    code,
  })),
};

const SNAPSHOT: ListDeclaration = {
  name: 'snapshot',
  types: { 'snapshot.id': 'str', 'snapshot.name': 'str' },
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
  offset: bigint;
  cache: CacheMode;
  aio: 'native' | 'threads' | 'io_uring' | null;
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

/** Reads it; throws {@link ToolFailure} with the texts of the real tool, and {@link ToolHelp} where an option asks for help. */
export async function readCommandLine(words: string[]): Promise<NbdCommandLine> {
  const line: NbdCommandLine = {
    print: null,
    image: '',
    imageOptions: false,
    format: null,
    readOnly: false,
    offset: 0n,
    cache: 'writeback',
    aio: null,
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
  const warn = (text: string): void => void process.stderr.write(`qemu-nbd: warning: ${text}\n`);
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
      case 'n':
      case 'cache':
        once('cache', '-n and --cache');
        if (code === 'cache' && !CACHE_MODES.includes(value))
          throw new ToolFailure(`Invalid cache mode \`${value}'`);
        line.cache = code === 'n' ? 'none' : (value as CacheMode);
        break;
      case 'aio':
        once('aio', '--aio');
        if (value !== 'native' && value !== 'threads' && value !== 'io_uring')
          throw new ToolFailure(`Invalid aio mode '${value}'`);
        line.aio = value;
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
        line.offset = wholeNumber(value, -UINT64_MAX, UINT64_MAX) ?? refuse(`Invalid offset '${value}'`);
        break;
      case 'e':
        line.shared = Number(
          wholeNumber(value, 0n, INT32_MAX) ?? refuse(`Invalid shared device number '${value}'`),
        );
        break;
      case 'handshake-limit':
        line.handshakeSeconds = Number(
          wholeNumber(value, 0n, INT32_MAX) ?? refuse(`Invalid handshake limit '${value}'`),
        );
        break;
      case 'l':
        line.readOnly = true;
        line.snapshot = readSnapshot(value, warn);
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
      case 'object': {
        const help = objectHelp(value);
        if (help !== null) throw new ToolHelp(help);
        line.objects.push(value);
        break;
      }
      case 'T':
        await readTrace(value, {
          files: new NodeStore(),
          warn,
          complain: (text) => void process.stderr.write(`qemu-nbd${text}\n`),
        });
        break;
      default:
        // -v, what has no meaning here, and what is refused below.
        break;
    }
  }
  line.passedSocket = activatedSocket(codes, line.list);
  if (line.list) {
    checkList(line, codes, parser.operands);
    checkTls(line);
    checkLabel(line, codes);
    return line;
  }
  const device = codes.has('c') || codes.has('d');
  const [image, ...more] = parser.operands;
  if (image === undefined || more.length > 0)
    throw new ToolFailure('Invalid number of arguments', ["Try `qemu-nbd --help' for more information."]);
  line.image = image;
  checkTls(line);
  if (codes.has('c') && line.tls.creds !== undefined)
    throw new ToolFailure('TLS is not supported with a host device');
  checkLabel(line, codes);
  if (device) throw noDevices();
  return line;
}

/** Options that say how an image is to be served. */
const SERVING = ['c', 'd', 'o', 'x', 'D', 'B', 'A', 'f', 'n', 'cache', 'discard', 'aio', 'l'];

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

/** A label is that of a Unix socket. It is read and not set: Node.js cannot. */
function checkLabel({ socket }: NbdCommandLine, codes: ReadonlySet<string>): void {
  if (codes.has('selinux-label') && socket === null)
    throw new ToolFailure('--selinux-label is not permitted without --socket');
}

function noDevices(): ToolFailure {
  return new ToolFailure(
    'kernel devices are not available: the kernel lets no program of Node.js set up /dev/nbd*',
  );
}

function refuse(text: string): never {
  throw new ToolFailure(text);
}

const UINT64_MAX = (1n << 64n) - 1n;
const INT32_MAX = (1n << 31n) - 1n;

/** As strtol(3) reads it; null: it is none, or out of its range. */
function wholeNumber(text: string, least: bigint, most: bigint): bigint | null {
  const match = /^[ \t\n\v\f\r]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)$/.exec(text);
  if (!match) return null;
  const [, sign, digits = ''] = match;
  const value = BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits) * (sign === '-' ? -1n : 1n);
  return value >= least && value <= most ? value : null;
}

function readSnapshot(text: string, warn: (text: string) => void): { id?: string; name?: string } {
  if (!text.startsWith('snapshot.')) return { id: text, name: text };
  try {
    const values = readCheckedList(text, SNAPSHOT, warn);
    const [id, name] = [values.get('snapshot.id')?.toString(), values.get('snapshot.name')?.toString()];
    return { ...(id !== undefined && { id }), ...(name !== undefined && { name }) };
  } catch (error) {
    if (!(error instanceof ToolFailure)) throw error;
    throw new ToolFailure(error.message, [
      ...error.hints,
      `qemu-nbd: Failed in parsing snapshot param \`${text}'`,
    ]);
  }
}
