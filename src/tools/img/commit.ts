/** qemu-img commit */
import { step, ToolFailure } from '../failure';
import { Pace } from '../pace';
import { Progress } from '../progress';
import { backingOf } from './chain';
import { commitData } from './commitdata';
import { COMMON, readCache, readSizeArgument, type Verb } from './verb';

/** Writes what an image holds to one that is below it. */
export const commit: Verb = {
  name: 'commit',
  summary: 'Write what an image holds to its backing file',
  operands: 'FILE',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    { short: 't', long: ['cache'], value: 'MODE', help: 'cache mode of the images (default: writeback)' },
    {
      short: 'b',
      long: ['base'],
      value: 'FILE',
      help: 'write to this image of the chain (default: the next one below); the image stays as it is then',
    },
    { short: 'd', long: ['drop'], help: 'do not empty the image afterwards' },
    { short: 'r', long: ['rate'], value: 'BYTES', help: 'bytes a second at the most' },
    COMMON.object,
    COMMON.progress,
    COMMON.quiet,
  ],
  run: async (session) => {
    let imageOpts = false;
    let format: string | undefined;
    let cache = 'writeback';
    let base: string | undefined;
    let drop = false;
    let rate = 0;
    let shows = false;
    let quiet = false;
    for await (const { code, value } of session.options()) {
      if (code === 'f') format = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 't') cache = value;
      else if (code === 'b') {
        base = value;
        // The images between would have to be emptied too.
        drop = true;
      } else if (code === 'd') drop = true;
      else if (code === 'r') rate = Number(readSizeArgument('rate limit', value));
      else if (code === 'p') shows = true;
      else if (code === 'q') quiet = true;
    }
    const name = session.oneFile();
    const mode = readCache(cache, 'cache option');
    const image = await session.open(session.graph(), { name, imageOpts, format }, { cache: mode });
    const progress = new Progress(session.context, shows && !quiet, 1);
    try {
      const below = base === undefined ? backingOf(image.node) : await image.findBacking(base);
      if (!below) {
        throw new ToolFailure(
          base === undefined
            ? 'Image does not have a backing file'
            : `Did not find '${base}' in the backing chain of '${name}'`,
        );
      }
      const target = await image.openBase(below);
      try {
        await step('Block job failed: ', () =>
          commitData(session.context, { image, base: target.user, rate }, progress),
        );
      } finally {
        await target.end();
      }
      if (!drop) {
        const pace = new Pace(session.context);
        const work = await step(`Could not empty ${name}: `, () => image.present(() => image.makeEmpty()));
        while (work && (await step(`Could not empty ${name}: `, () => image.present(work))))
          await pace.rest();
      }
      await step('Error while closing the image: ', () => image.close());
    } catch (error) {
      progress.fail();
      throw error;
    }
    progress.end();
    if (!quiet) session.context.stdout('Image committed.\n');
    return 0;
  },
};
