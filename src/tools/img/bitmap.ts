/** qemu-img bitmap */
import type { BlockUser } from '../../graph';
import type { BitmapChange, GraphBitmaps } from '../../graph/bitmaps';
import { step, ToolFailure } from '../failure';
import { COMMON, readSizeArgument, type Verb, type VerbSession } from './verb';

/** What is done to a bitmap; the value of merge is the bitmap merged from. */
interface Action {
  what: 'add' | 'remove' | 'clear' | 'enable' | 'disable' | 'merge';
  source: string;
}

interface Request {
  file: string;
  name: string;
  format?: string;
  imageOpts: boolean;
  actions: Action[];
  granularity: number;
  /** The image that bitmaps are merged from, if not the same. */
  source?: string;
  sourceFormat?: string;
}

/** Changes the bitmaps that an image keeps. */
export const bitmap: Verb = {
  name: 'bitmap',
  summary: 'Change the dirty bitmaps that an image keeps',
  operands: 'FILE BITMAP',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    { long: ['add'], help: 'make the bitmap' },
    { short: 'g', long: ['granularity'], value: 'SIZE', help: 'with --add: bytes that a bit stands for' },
    { long: ['remove'], help: 'remove the bitmap' },
    { long: ['clear'], help: 'mark nothing as dirty' },
    { long: ['enable'], help: 'record writes from now on' },
    { long: ['disable'], help: 'record no writes any more' },
    { long: ['merge'], value: 'BITMAP', help: 'mark what is dirty in another bitmap too' },
    { short: 'b', long: ['source-file'], value: 'FILE', help: 'with --merge: the image of the other bitmap' },
    { short: 'F', long: ['source-format'], value: 'FMT', help: 'format of that image' },
    COMMON.object,
  ],
  run: async (session) => {
    const request = await parse(session);
    const graph = session.graph();
    // One bitmap of an image may be merged into another of it.
    const user = await session.open(
      graph,
      { name: request.file, imageOpts: request.imageOpts, format: request.format },
      { readOnly: false },
    );
    let source: BlockUser | null = null;
    if (request.source !== undefined) {
      const from = { name: request.source, imageOpts: false, format: request.sourceFormat };
      source = await session.open(graph, from, { readOnly: true });
    }
    for (const action of request.actions) {
      await step(`Operation ${action.what} on bitmap ${request.name} failed: `, async () =>
        (await change(graph.bitmaps, user, source ?? user, request, action)).commit(),
      );
    }
    await source?.close();
    await step('Error while closing the image: ', () => user.close());
    return 0;
  },
};

async function parse(session: VerbSession): Promise<Request> {
  const request: Request = { file: '', name: '', imageOpts: false, actions: [], granularity: 0 };
  for await (const { code, value } of session.options()) {
    switch (code) {
      case 'add':
      case 'remove':
      case 'clear':
      case 'enable':
      case 'disable':
      case 'merge':
        request.actions.push({ what: code, source: value });
        break;
      case 'g':
        request.granularity = Number(readSizeArgument('granularity', value));
        break;
      case 'b':
        request.source = value;
        break;
      case 'F':
        request.sourceFormat = value;
        break;
      case 'f':
        request.format = value;
        break;
      case 'image-opts':
        request.imageOpts = true;
        break;
    }
  }
  const does = (what: Action['what']) => request.actions.some((action) => action.what === what);
  const refuse = (condition: boolean, text: string): void => {
    if (condition) throw new ToolFailure(text);
  };
  refuse(
    request.actions.length === 0,
    'Need at least one of --add, --remove, --clear, --enable, --disable, or --merge',
  );
  refuse(request.granularity > 0 && !does('add'), 'granularity only supported with --add');
  refuse(request.sourceFormat !== undefined && request.source === undefined, '-F only supported with -b');
  refuse(
    request.source !== undefined && !does('merge'),
    'Merge bitmap source file only supported with --merge',
  );
  const [file, name, ...more] = session.operands;
  if (file === undefined || name === undefined || more.length > 0) {
    throw new ToolFailure('Expecting filename and bitmap name');
  }
  return { ...request, file, name };
}

function change(
  bitmaps: GraphBitmaps,
  user: BlockUser,
  source: BlockUser,
  { name, granularity }: Request,
  action: Action,
): BitmapChange | Promise<BitmapChange> {
  const node = user.node.name;
  switch (action.what) {
    case 'add':
      return bitmaps.add({ node, name, persistent: true, ...(granularity && { granularity }) });
    case 'remove':
      return bitmaps.remove(node, name);
    case 'clear':
      return bitmaps.clear(node, name);
    case 'merge':
      return bitmaps.merge(node, name, [{ node: source.node.name, name: action.source }]);
    default:
      return bitmaps.setEnabled(node, name, action.what === 'enable');
  }
}
