/** qemu-img amend */
import type { AmendChanges } from '../../engine/amend';
import type { BlockGraph, BlockUser, CreateOption, CreateValues } from '../../graph';
import { ToolFailure } from '../failure';
import { asksForHelp, describeOptions, joinOptionLists, parseCreateOptions } from '../optionlist';
import { Pace } from '../pace';
import { Progress } from '../progress';
import { COMMON, readCache, refuseObject, usageFailure, type Verb, type VerbSession } from './verb';

/** What amending takes, besides what creation takes under the same names. */
const KEY_OPTIONS: readonly CreateOption[] = [
  { name: 'encrypt.state', type: 'str', help: 'Select new state of affected keyslots (active/inactive)' },
  {
    name: 'encrypt.new-secret',
    type: 'str',
    help: 'New secret to set in the matching keyslots. Empty string to erase',
  },
  { name: 'encrypt.old-secret', type: 'str', help: 'Select all keyslots that match this password' },
  { name: 'encrypt.keyslot', type: 'num', help: 'Select a single keyslot to modify explicitly' },
  { name: 'encrypt.iter-time', type: 'num', help: 'Time to spend in PBKDF in milliseconds' },
];
const CREATION_NAMES = [
  'backing_file',
  'backing_fmt',
  'compat',
  'data_file',
  'data_file_raw',
  'lazy_refcounts',
  'refcount_bits',
  'size',
];

/** Changes what a format keeps about an image. */
export const amend: Verb = {
  name: 'amend',
  summary: 'Change options of an image that is there',
  operands: 'FILE',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    {
      short: 'o',
      long: ['options'],
      value: 'OPTIONS',
      help: 'what to change, key=value,...; -o help lists all',
    },
    { short: 't', long: ['cache'], value: 'MODE', help: 'cache mode of the image (default: writeback)' },
    { long: ['force'], help: 'allow what can make an encrypted image unreadable' },
    COMMON.progress,
    COMMON.quiet,
    COMMON.object,
  ],
  run: async (session) => {
    let imageOpts = false;
    let format: string | undefined;
    let cache = 'writeback';
    let shows = false;
    let quiet = false;
    const lists: string[] = [];
    for (const { code, value } of session.options()) {
      if (code === 'f') format = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 't') cache = value;
      else if (code === 'p') shows = true;
      else if (code === 'q') quiet = true;
      else if (code === 'object') refuseObject();
      else if (code === 'o') {
        lists.push(value);
        joinOptionLists(lists);
      }
    }
    if (lists.length === 0) throw usageFailure('Must specify options (-o)');
    const list = joinOptionLists(lists);
    const progress = new Progress(session.context, shows && !quiet, 1);
    const graph = session.graph();
    try {
      if (format !== undefined && asksForHelp(list)) return printHelp(session, graph, format);
      const [name] = session.operands;
      if (name === undefined || session.operands.length > 1) {
        throw new ToolFailure('Expecting one image file name');
      }
      const mode = readCache(cache, 'cache option');
      const user = await session.open(graph, { name, imageOpts, format }, { cache: mode });
      const { driver } = user.node;
      if (asksForHelp(list)) return printHelp(session, graph, driver);
      const known = amendOptions(graph, driver);
      await run(session, user, readChanges(user, readValues(list, known, graph, driver)), progress);
      await user.close();
    } catch (error) {
      progress.fail();
      throw error;
    }
    progress.end();
    return 0;
  },
};

/** The options of a format that can be amended. */
function amendOptions(graph: BlockGraph, format: string): CreateOption[] {
  const { options } = graph.createSupport(format);
  const found = options.filter(({ name }) => CREATION_NAMES.includes(name));
  if (format !== 'qcow2') {
    throw new ToolFailure(`Format driver '${format}' does not support option amendment`);
  }
  return [...found, ...KEY_OPTIONS];
}

function printHelp(session: VerbSession, graph: BlockGraph, format: string): number {
  session.context.stdout(`Amend options for '${format}':\n${describeOptions(amendOptions(graph, format))}`);
  return 0;
}

/** The values of a list; a name that only creation knows is told as such. */
function readValues(
  list: string,
  known: readonly CreateOption[],
  graph: BlockGraph,
  format: string,
): CreateValues {
  try {
    return parseCreateOptions(list, known);
  } catch (error) {
    const unknown =
      error instanceof Error ? /^Invalid parameter '(.*)'$/.exec(error.message)?.[1] : undefined;
    const { options } = graph.createSupport(format);
    if (unknown === undefined || !options.some(({ name }) => name === unknown)) throw error;
    throw new ToolFailure(`Invalid parameter '${unknown}'`, [
      'This option is only supported for image creation',
    ]);
  }
}

const VERSIONS: Readonly<Record<string, 2 | 3>> = { '0.10': 2, v2: 2, '1.1': 3, v3: 3 };

/** What is to be changed, with QEMU's texts for what cannot be, in the order of its checks. */
function readChanges(user: BlockUser, values: CreateValues): AmendChanges {
  const { node } = user;
  const changes: AmendChanges = {};
  const { compat, size } = values;
  if (compat !== undefined) {
    const version = VERSIONS[String(compat)];
    if (version === undefined) throw new ToolFailure(`Unknown compatibility level ${String(compat)}`);
    changes.version = version;
  }
  if (size !== undefined) {
    if (Number(size) > 2 ** 63 - 1) throw new ToolFailure('Image size cannot be negative');
    changes.size = Number(size);
  }
  const other =
    (values.backing_file !== undefined && values.backing_file !== node.backingFile) ||
    (values.backing_fmt !== undefined && values.backing_fmt !== node.backingFormat);
  if (other || (values.backing_file === '' && node.backingFile === '')) {
    throw new ToolFailure('Cannot amend the backing file', ["You can use 'qemu-img rebase' instead."]);
  }
  if (KEY_OPTIONS.some(({ name }) => values[name] !== undefined)) {
    throw new ToolFailure("Can't amend encryption options - encryption not present");
  }
  if (values.lazy_refcounts !== undefined) changes.lazyRefcounts = values.lazy_refcounts === true;
  const external = node.children.some(({ name }) => name === 'data-file');
  if (external && (values.data_file !== undefined || values.data_file_raw === false)) {
    throw new ToolFailure('Not available yet: amending the data file of an image');
  }
  if (values.data_file !== undefined) {
    throw new ToolFailure('data-file can only be set for images that use an external data file');
  }
  if (values.data_file_raw === true) {
    throw new ToolFailure('data-file-raw cannot be set on existing images');
  }
  if (values.refcount_bits !== undefined) {
    const bits = Number(values.refcount_bits);
    if (bits < 1 || bits > 64 || !Number.isInteger(Math.log2(bits))) {
      throw new ToolFailure('Refcount width must be a power of two and may not exceed 64 bits');
    }
    changes.refcountBits = bits;
  }
  return changes;
}

async function run(
  session: VerbSession,
  user: BlockUser,
  changes: AmendChanges,
  progress: Progress,
): Promise<void> {
  const pace = new Pace(session.context);
  const work = user.amend(changes);
  try {
    while (work.step()) {
      progress.report(work.progress() * 100);
      await pace.rest(work.progress(), 1);
    }
  } finally {
    work.end();
  }
}
