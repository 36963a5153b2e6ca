/** qemu-img rebase */
import { BlockError } from '../../engine/contract';
import { Errno } from '../../files/contract';
import { Permission } from '../../files/locks';
import {
  knownToQemu,
  type BlockGraph,
  type BlockUser,
  type NodeView,
  type OpenImageRequest,
} from '../../graph';
import { step, toFailure, ToolFailure } from '../failure';
import { Progress } from '../progress';
import { backingOf, imageOf } from './chain';
import { rebaseData } from './rebasedata';
import { COMMON, readCache, usageFailure, type Verb, type VerbSession } from './verb';

/** Gives an image another backing file. */
export const rebase: Verb = {
  name: 'rebase',
  summary: 'Give an image another backing file',
  operands: 'FILE',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    { short: 't', long: ['cache'], value: 'MODE', help: 'cache mode of the image (default: writeback)' },
    {
      short: 'b',
      long: ['backing'],
      value: 'FILE',
      help: "the new backing file; '' for none: the image holds everything then",
    },
    { short: 'F', long: ['backing-format'], value: 'FMT', help: 'format of the new backing file' },
    {
      short: 'T',
      long: ['backing-cache'],
      value: 'MODE',
      help: 'cache mode of the backing files (default: writeback)',
    },
    {
      short: 'u',
      long: ['backing-unsafe'],
      help: 'change the name only: the content is what the new backing file makes of it',
    },
    { short: 'c', long: ['compress'], help: 'write compressed clusters' },
    COMMON.forceShare,
    COMMON.object,
    COMMON.progress,
    COMMON.quiet,
  ],
  run: async (session) => {
    const call: RebaseCall = { unsafe: false, compress: false, forceShare: false };
    let imageOpts = false;
    let format: string | undefined;
    let cache = 'writeback';
    let backingCache = 'writeback';
    let shows = false;
    let quiet = false;
    for await (const { code, value } of session.options()) {
      if (code === 'f') format = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 't') cache = value;
      else if (code === 'T') backingCache = value;
      else if (code === 'b') call.backing = value;
      else if (code === 'F') call.backingFormat = value;
      else if (code === 'u') call.unsafe = true;
      else if (code === 'c') call.compress = true;
      else if (code === 'U') call.forceShare = true;
      else if (code === 'p') shows = true;
      else if (code === 'q') quiet = true;
    }
    const name = session.oneFile();
    if (!call.unsafe && call.backing === undefined) {
      throw usageFailure('Must specify backing file (-b) or use unsafe mode (-u)');
    }
    const progress = new Progress(session.context, shows && !quiet, 1);
    try {
      const mode = readCache(cache, 'cache option');
      const cacheBelow = readCache(backingCache, 'source cache option');
      const graph = session.graph();
      const image = await session.open(
        graph,
        { name, imageOpts, format },
        { cache: mode, noBacking: call.unsafe },
      );
      checkCall(image, call);
      if (!call.unsafe) {
        const how = { readOnly: true, cache: cacheBelow, forceShare: call.forceShare };
        await copyDifferences(session, graph, image, { ...call, name, how }, progress);
      }
      try {
        await changeName(image, call);
      } finally {
        progress.report(100);
      }
      await image.close();
    } catch (error) {
      progress.fail();
      throw error;
    }
    progress.fail();
    return 0;
  },
};

interface RebaseCall {
  /** As it will be stored; empty: none. Absent: none, with -u. */
  backing?: string;
  backingFormat?: string;
  unsafe: boolean;
  compress: boolean;
  forceShare: boolean;
}

function checkCall(image: BlockUser, { compress, backingFormat }: RebaseCall): void {
  if (compress && !image.compresses) throw new ToolFailure('Compression not supported for this file format');
  if (backingFormat !== undefined && !knownToQemu(backingFormat)) {
    throw new ToolFailure(`Invalid format name: '${backingFormat}'`);
  }
}

/** Safe mode: the image gets what the new backing file does not hold as the old one does. */
async function copyDifferences(
  session: VerbSession,
  graph: BlockGraph,
  image: BlockUser,
  call: RebaseCall & { name: string; how: OpenImageRequest },
  progress: Progress,
): Promise<void> {
  const backing = call.backing ?? '';
  const old = backingOf(image.node);
  const attach = (node: NodeView): Promise<BlockUser> =>
    graph.attach({ nodeName: node.name }, { perm: Permission.CONSISTENT_READ, shared: Permission.ALL });
  let found: NodeView | null = null;
  let after: BlockUser | null = null;
  if (backing !== '') {
    const full = await step('Could not resolve backing filename: ', () => image.resolve(backing, call.name));
    found = await image.findBacking(backing);
    if (found) {
      const { name } = found;
      after = await step(`Could not reuse old backing file '${backing}': `, () =>
        attach(imageNamed(graph, name)),
      );
    } else {
      const request: OpenImageRequest = { ...call.how, filename: full };
      if (call.backingFormat !== undefined) request.format = call.backingFormat;
      after = await step(`Could not open new backing file '${backing}': `, () => graph.openImage(request));
    }
  }
  const before = old ? await attach(old) : null;
  try {
    await rebaseData(
      session.context,
      { image, before, after, shared: found, compress: call.compress },
      progress,
    );
  } finally {
    await before?.close();
    await after?.close();
  }
}

function imageNamed(graph: BlockGraph, name: string): NodeView {
  const node = graph.find(name);
  if (!node) throw new ToolFailure(`Cannot find node '${name}'`);
  return imageOf(node);
}

/** Stores the new name. */
async function changeName(image: BlockUser, { backing, backingFormat }: RebaseCall): Promise<void> {
  const none = backing === undefined || backing === '';
  try {
    const [name, format] = none ? [null, null] : [backing, backingFormat ?? null];
    await image.present(() => image.changeBackingFile(name, format));
  } catch (error) {
    throw new ToolFailure(
      `Could not change the backing file to '${backing ?? ''}': ${why(error, none, backingFormat)}`,
    );
  }
}

function why(error: unknown, none: boolean, format: string | undefined): string {
  if (error instanceof BlockError) {
    if (error.errno === Errno.ENOSPC) return 'No space left in the file header';
    if (error.errno === Errno.EINVAL && !none && format === undefined)
      return 'backing format must be specified';
  }
  return toFailure(error).message;
}
