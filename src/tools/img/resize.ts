/** qemu-img resize */
import { Prealloc } from '../../engine/contract';
import { step, ToolFailure } from '../failure';
import { parseCreateOptions } from '../optionlist';
import { COMMON, PROGRAM, usageFailure, type Verb } from './verb';

const MODES: Readonly<Record<string, Prealloc>> = {
  off: Prealloc.OFF,
  metadata: Prealloc.METADATA,
  falloc: Prealloc.FALLOC,
  full: Prealloc.FULL,
};

const SHRINK_WARNING =
  "Shrinking an image will delete all data beyond the shrunken image's end. " +
  'Before performing such an operation, make sure there is no important data there.';

/** Sets the size of the disk, or changes it by some bytes. */
export const resize: Verb = {
  name: 'resize',
  summary: 'Change the size of an image',
  operands: 'FILE [+|-]SIZE',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    {
      long: ['preallocation'],
      value: 'MODE',
      help: 'what is new gets its storage: off, metadata, falloc, full',
    },
    { long: ['shrink'], help: 'the new size may be less: what is behind it is lost' },
    COMMON.quiet,
    COMMON.object,
  ],
  run: async (session) => {
    let imageOpts = false;
    let format: string | undefined;
    let mode: Prealloc | undefined = Prealloc.OFF;
    let shrink = false;
    let quiet = false;
    // The size is always the last word, so that -10M is no option.
    const size = session.takeLast();
    for await (const { code, value } of session.options()) {
      if (code === 'f') format = value;
      else if (code === 'image-opts') imageOpts = true;
      else if (code === 'preallocation') {
        mode = MODES[value];
        if (mode === undefined) throw new ToolFailure(`Invalid preallocation mode '${value}'`);
      } else if (code === 'shrink') shrink = true;
      else if (code === 'q') quiet = true;
    }
    const [name] = session.operands;
    if (name === undefined || size === undefined) throw usageFailure('Not enough arguments');
    if (session.operands.length > 1) throw usageFailure('Expecting image file name and size');
    const sign = /^[+-]/.exec(size)?.[0] ?? '';
    const { size: given } = parseCreateOptions(`size=${size.slice(sign.length)}`, [
      { name: 'size', type: 'size', help: '' },
    ]);
    const user = await session.open(session.graph(), { name, imageOpts, format }, {});
    const current = user.length();
    const total =
      sign === '' ? Number(given) : sign === '+' ? current + Number(given) : current - Number(given);
    if (total <= 0 || total >= 2 ** 63) throw new ToolFailure('New image size must be positive');
    if (total <= current && mode !== Prealloc.OFF) {
      throw new ToolFailure('Preallocation can only be used for growing images');
    }
    if (total < current && !shrink) {
      throw new ToolFailure('Use the --shrink option to perform a shrink operation.', [
        `${PROGRAM}: warning: ${SHRINK_WARNING}`,
      ]);
    }
    await step('', () => user.present(() => user.truncate(total, mode, true)));
    await user.close();
    if (!quiet) session.context.stdout('Image resized.\n');
    return 0;
  },
};
