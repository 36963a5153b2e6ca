/** qemu-img compare */
import type { BlockUser } from '../../graph';
import { ToolFailure } from '../failure';
import { Progress } from '../progress';
import { Comparison, type Verdict } from './comparedata';
import { COMMON, readCache, usageFailure, type Verb, type VerbSession } from './verb';

/** Exit codes besides 0, the images are equal, and 1, they differ or the command line is wrong. */
const OPEN_FAILED = 2;

/** Says whether two images hold the same. */
export const compare: Verb = {
  name: 'compare',
  summary: 'Say whether two images hold the same disk',
  operands: 'FILE FILE',
  objectFailure: OPEN_FAILED,
  options: [
    COMMON.help,
    {
      ...COMMON.format,
      long: ['a-format', 'format'],
      help: 'format of the first image (default: looked at)',
    },
    { short: 'F', long: ['b-format'], value: 'FMT', help: 'format of the second image (default: looked at)' },
    COMMON.imageOpts,
    {
      short: 's',
      long: ['strict'],
      help: 'they differ too if their sizes do, or what is allocated and what reads as zeros',
    },
    { short: 'T', long: ['cache'], value: 'MODE', help: 'cache mode of the images (default: writeback)' },
    COMMON.forceShare,
    COMMON.object,
    COMMON.progress,
    COMMON.quiet,
  ],
  run: async (session) => {
    let imageOpts = false;
    let formatA: string | undefined;
    let formatB: string | undefined;
    let cache = 'writeback';
    let strict = false;
    let forceShare = false;
    let shows = false;
    let quiet = false;
    for await (const { code, value } of session.options()) {
      if (code === 'f') formatA = value;
      else if (code === 'F') formatB = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 's') strict = true;
      else if (code === 'T') cache = value;
      else if (code === 'U') forceShare = true;
      else if (code === 'p') shows = true;
      else if (code === 'q') quiet = true;
    }
    const [nameA, nameB, ...more] = session.operands;
    if (nameA === undefined || nameB === undefined || more.length > 0) {
      throw usageFailure('Expecting two image file names');
    }
    const progress = new Progress(session.context, shows && !quiet, 2, false);
    const say = (text: string): void => {
      if (!quiet) session.context.stdout(`${text}\n`);
    };
    let verdict: Verdict;
    try {
      const how = {
        readOnly: true,
        cache: asOpen(() => readCache(cache, 'source cache option')),
        forceShare,
      };
      const a = await open(session, { name: nameA, imageOpts, format: formatA }, how);
      const b = await open(session, { name: nameB, imageOpts, format: formatB }, how);
      progress.report(0);
      const images = [
        { user: a, name: nameA },
        { user: b, name: nameB },
      ] as const;
      const work = new Comparison(session.context, images, strict, progress);
      try {
        verdict = await work.run(() => say('Warning: Image size mismatch!'));
      } finally {
        work.free();
      }
    } catch (error) {
      progress.fail();
      throw error;
    }
    say(verdict.text);
    progress.fail();
    return verdict.same ? 0 : 1;
  },
};

function asOpen<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof ToolFailure ? new ToolFailure(error.message, error.hints, OPEN_FAILED) : error;
  }
}

async function open(
  session: VerbSession,
  image: { name: string; imageOpts: boolean; format: string | undefined },
  how: Parameters<VerbSession['open']>[2],
): Promise<BlockUser> {
  try {
    return await session.open(session.graph(), image, how);
  } catch (error) {
    throw error instanceof ToolFailure ? new ToolFailure(error.message, error.hints, OPEN_FAILED) : error;
  }
}
