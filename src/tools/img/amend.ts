/** qemu-img amend */
import type { AmendProgress } from '../../engine/amend';
import type { BlockGraph, BlockUser, CreateOption, CreateValues } from '../../graph';
import { ToolFailure } from '../failure';
import { asksForHelp, describeOptions, joinOptionLists, parseCreateOptions } from '../optionlist';
import { Pace } from '../pace';
import { Progress } from '../progress';
import { COMMON, readCache, usageFailure, type Verb, type VerbSession } from './verb';

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
    let force = false;
    const lists: string[] = [];
    for await (const { code, value } of session.options()) {
      if (code === 'f') format = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 't') cache = value;
      else if (code === 'p') shows = true;
      else if (code === 'q') quiet = true;
      else if (code === 'force') force = true;
      else if (code === 'o') {
        lists.push(value);
        joinOptionLists(lists);
      }
    }
    if (lists.length === 0) throw usageFailure('Must specify options (-o)');
    const list = joinOptionLists(lists);
    const progress = new Progress(session.context, shows && !quiet, 1, false);
    let working = false;
    const graph = session.graph();
    const help = (driver: string): number => {
      const options = graph.amendSupport(driver);
      session.context.stdout(`Amend options for '${driver}':\n${describeOptions(options)}`);
      progress.fail();
      return 0;
    };
    try {
      if (format !== undefined && asksForHelp(list)) return help(format);
      const [name] = session.operands;
      if (name === undefined || session.operands.length > 1) {
        throw new ToolFailure('Expecting one image file name');
      }
      const mode = readCache(cache, 'cache option');
      const user = await session.open(graph, { name, imageOpts, format }, { cache: mode });
      const { driver } = user.node;
      if (asksForHelp(list)) return help(driver);
      const values = readValues(list, graph.amendSupport(driver), graph, driver);
      working = true;
      progress.report(0);
      await run(session, user, { values, force }, progress);
      progress.end();
      working = false;
      await user.close();
    } catch (error) {
      // The real tool says that all is done of what it was told wrongly.
      if (working) progress.end();
      else progress.fail();
      throw error;
    }
    return 0;
  },
};

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

async function run(
  session: VerbSession,
  user: BlockUser,
  wanted: { values: CreateValues; force: boolean },
  progress: Progress,
): Promise<void> {
  const pace = new Pace(session.context);
  const work = await user.present(() => user.amend(wanted.values, wanted.force));
  const shown = new UnitProgress(progress);
  try {
    while (await work.step()) {
      const part = shown.update(work.progress());
      await pace.rest(part, 1);
    }
    shown.update(work.progress());
  } finally {
    work.end();
  }
}

/** Shows each unit of work that was done since the last time, as the real tool does. */
class UnitProgress {
  private last: AmendProgress = { before: 0, done: -1, total: 0, left: 0 };

  constructor(private readonly progress: Progress) {}

  /** Answers how much of all is done, 0 to 1. */
  update(now: AmendProgress): number {
    const { last } = this;
    if (now.before > last.before) {
      // An operation ended; one that was not seen begins and ends between two steps.
      const total = now.before - last.before;
      this.report({ ...last, total, left: Math.max(last.left, now.left + 1) }, total);
      this.last = { ...now, done: -1 };
    }
    this.report(now, now.done);
    this.last = now;
    return fraction(now);
  }

  private report(at: AmendProgress, end: number): void {
    if (at.total === 0) return;
    for (let done = this.last.done + 1; done <= end; done++) {
      this.progress.report(100 * fraction({ ...at, done }));
    }
  }
}

function fraction({ before, done, total, left }: AmendProgress): number {
  const all = before + total * left;
  return all === 0 ? 0 : (before + done) / all;
}
