/** qemu-img map */
import { Status } from '../../engine/contract';
import type { BlockUser, NodeView } from '../../graph';
import { step, toFailure, ToolFailure } from '../failure';
import { decimal } from '../sizes';
import { Pace } from '../pace';
import { COMMON, readOutputFormat, readSizeArgument, type Verb, type VerbSession } from './verb';

/** Tells where the contents of an image are. */
export const map: Verb = {
  name: 'map',
  summary: 'Tell where the contents of an image are stored',
  operands: 'FILE',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    { short: 's', long: ['start-offset'], value: 'OFFSET', help: 'where to start (default: 0)' },
    { short: 'l', long: ['max-length'], value: 'LENGTH', help: 'how much to look at (default: all)' },
    COMMON.forceShare,
    COMMON.object,
    COMMON.output,
  ],
  run: async (session) => {
    let imageOpts = false;
    let format: string | undefined;
    let output: 'human' | 'json' = 'human';
    let forceShare = false;
    let start = 0n;
    let max: bigint | undefined;
    for await (const { code, value } of session.options()) {
      if (code === 'f') format = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 's') start = readSizeArgument('start offset', value);
      else if (code === 'l') max = readSizeArgument('max length', value);
      else if (code === 'U') forceShare = true;
      else if (code === 'output') output = readOutputFormat(value);
    }
    const name = session.oneFile();
    const user = await session.open(
      session.graph(),
      { name, imageOpts, format },
      { readOnly: true, forceShare },
    );
    const length = await step(`Failed to get size for '${name}': `, () => user.length());
    const end = max === undefined ? length : Math.min(length, Number(start + max));
    const rows = new Rows((text) => session.context.stdout(text));
    const printer = output === 'human' ? new HumanMap(rows) : new JsonMap(rows);
    try {
      await walk(session, user, Number(start), end, printer);
    } finally {
      rows.flush();
    }
    return 0;
  },
};

/** A run of bytes of one kind. */
interface Entry {
  start: number;
  length: number;
  /** Backing files that were asked in vain. */
  depth: number;
  present: boolean;
  zero: boolean;
  data: boolean;
  compressed: boolean;
  /** Where the bytes are in the file; undefined: not told. */
  offset: number | undefined;
  filename: string;
}

/** Places that are looked up between two looks at the clock; each reads one table at the most. */
const LOOK_UPS = 64;
/** Rows go out when they are this many characters. */
const OUTPUT = 16 * 1024;

/** Joins rows, for there may be very many, and each way out costs more than a row. */
class Rows {
  private text = '';

  constructor(private readonly out: (text: string) => void) {}

  print(text: string): void {
    this.text += text;
    if (this.text.length >= OUTPUT) this.flush();
  }

  flush(): void {
    this.out(this.text);
    this.text = '';
  }
}

interface MapPrinter {
  entry(entry: Entry): void;
  end(last: Entry): void;
}

async function walk(
  session: VerbSession,
  user: BlockUser,
  start: number,
  end: number,
  printer: MapPrinter,
): Promise<void> {
  const pace = new Pace(session.context);
  let current = emptyEntry(start);
  let at = start;
  while (at < end) {
    for (let i = 0; i < LOOK_UPS && at < end; i++) {
      const from = at;
      const found = user.present(() => tryLookUp(session, user, from, end - from));
      // Where all is here nobody waits.
      const next = found instanceof Promise ? await found : found;
      if (continues(current, next)) {
        current.length += next.length;
      } else {
        if (current.length > 0) printer.entry(current);
        current = next;
      }
      at += next.length;
    }
    await pace.rest(at - start, end - start);
  }
  printer.end(current);
}

function emptyEntry(start: number): Entry {
  const nothing = {
    present: false,
    zero: false,
    data: false,
    compressed: false,
    offset: undefined,
    filename: '',
  };
  return { start, length: 0, depth: 0, ...nothing };
}

function continues(before: Entry, next: Entry): boolean {
  return (
    before.length > 0 &&
    before.zero === next.zero &&
    before.data === next.data &&
    before.present === next.present &&
    before.compressed === next.compressed &&
    before.depth === next.depth &&
    before.filename === next.filename &&
    (before.offset === undefined) === (next.offset === undefined) &&
    (before.offset === undefined || before.offset + before.length === next.offset)
  );
}

function tryLookUp(session: VerbSession, user: BlockUser, start: number, bytes: number): Entry {
  try {
    return lookUp(session, user, start, bytes);
  } catch (error) {
    throw toFailure(error).prefixed('Could not read file metadata: ');
  }
}

/** Goes down from the top until a node knows the bytes. */
function lookUp(session: VerbSession, user: BlockUser, start: number, bytes: number): Entry {
  const { engine } = session.context;
  let node: NodeView = skipFilters(user.node);
  let rest = bytes;
  for (let depth = 0; ; depth++) {
    const status = engine.blockStatus(node.handle, start, rest);
    const below = node.backing && skipFilters(node.backing);
    if (status.bytes > 0 && !(status.flags & (Status.DATA | Status.ZERO)) && below) {
      rest = status.bytes;
      node = below;
      continue;
    }
    if (status.bytes === 0) {
      // A shorter backing file: the bytes behind its end are zeros that it need not hold.
      return { ...emptyEntry(start), length: rest, depth, present: true, zero: true };
    }
    const known = (status.flags & (Status.DATA | Status.ZERO)) !== 0;
    const valid = known && (status.flags & Status.OFFSET_VALID) !== 0;
    return {
      start,
      length: status.bytes,
      depth,
      present: (status.flags & Status.ALLOCATED) !== 0,
      zero: (status.flags & Status.ZERO) !== 0,
      data: (status.flags & Status.DATA) !== 0,
      compressed: (status.flags & Status.COMPRESSED) !== 0,
      offset: valid ? status.map : undefined,
      filename: (valid && status.file !== null ? user.nodeOf(status.file)?.filename : undefined) ?? '',
    };
  }
}

function skipFilters(node: NodeView): NodeView {
  let current = node;
  while (current.isFilter && current.filtered) current = current.filtered;
  return current;
}

class HumanMap implements MapPrinter {
  constructor(private readonly rows: Rows) {
    this.row('Offset', 'Length', 'Mapped to', 'File');
  }

  entry(entry: Entry): void {
    if (!entry.data || entry.zero) return;
    if (entry.offset === undefined) {
      throw new ToolFailure('File contains external, encrypted or compressed clusters.');
    }
    this.row(hex(entry.start), hex(entry.length), hex(entry.offset), entry.filename);
  }

  end(last: Entry): void {
    if (last.length > 0) this.entry(last);
  }

  private row(start: string, length: string, offset: string, file: string): void {
    this.rows.print(`${start.padEnd(15)} ${length.padEnd(15)} ${offset.padEnd(15)} ${file}\n`);
  }
}

const hex = (value: number): string => (value === 0 ? '0' : `0x${value.toString(16)}`);

class JsonMap implements MapPrinter {
  private separator = '';

  constructor(private readonly rows: Rows) {
    rows.print('[');
  }

  entry(entry: Entry): void {
    const offset = entry.offset === undefined ? '' : `, "offset": ${decimal(entry.offset)}`;
    this.rows.print(
      `${this.separator}{ "start": ${decimal(entry.start)}, "length": ${decimal(entry.length)}, ` +
        `"depth": ${entry.depth}, "present": ${entry.present}, "zero": ${entry.zero}, "data": ${entry.data}, ` +
        `"compressed": ${entry.compressed}${offset}}`,
    );
    this.separator = ',\n';
  }

  end(last: Entry): void {
    this.entry(last);
    this.rows.print(']\n');
  }
}
