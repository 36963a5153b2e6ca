/** qemu-img create */
import type { CreateValues } from '../../graph';
import { step, ToolFailure } from '../failure';
import { asksForHelp, joinOptionLists, parseCreateOptions, spelledBooleans } from '../optionlist';
import { printCreateHelp } from './createhelp';
import { COMMON, readSizeArgument, usageFailure, type Verb, type VerbSession } from './verb';

/** Makes a new image. */
export const create: Verb = {
  name: 'create',
  summary: 'Make a new image',
  operands: 'FILE [SIZE]',
  options: [
    COMMON.help,
    { ...COMMON.format, help: 'format of the new image (default: raw)' },
    {
      short: 'b',
      long: ['backing'],
      value: 'FILE',
      help: 'what the new image does not hold is read from this one',
    },
    { short: 'F', long: ['backing-format'], value: 'FMT', help: 'format of the backing file' },
    { short: 'u', long: ['backing-unsafe'], help: 'do not open the backing file' },
    {
      short: 'o',
      long: ['options'],
      value: 'OPTIONS',
      help: 'options of the format, key=value,...; -o help lists them',
    },
    COMMON.object,
    COMMON.quiet,
  ],
  run: async (session) => {
    let format = 'raw';
    let backing: string | undefined;
    let backingFormat: string | undefined;
    let unsafe = false;
    let quiet = false;
    const lists: string[] = [];
    for await (const { code, value } of session.options()) {
      if (code === 'f') format = value;
      else if (code === 'b') backing = value;
      else if (code === 'F') backingFormat = value;
      else if (code === 'u') unsafe = true;
      else if (code === 'q') quiet = true;
      else if (code === 'o') {
        lists.push(value);
        joinOptionLists(lists);
      }
    }
    const list = joinOptionLists(lists);
    const [filename, sizeText, extra] = session.operands;
    if (asksForHelp(list)) return printCreateHelp(session, format, filename);
    if (filename === undefined) throw usageFailure('Expecting image file name');
    const size = sizeText === undefined ? undefined : readSizeArgument('image size', sizeText);
    if (extra !== undefined) throw usageFailure(`Unexpected argument: ${extra}`);
    const given = {
      ...(size === undefined ? {} : { size: Number(size) }),
      ...(backing === undefined ? {} : { backing_file: backing }),
      ...(backingFormat === undefined ? {} : { backing_fmt: backingFormat }),
    };
    await step(`${filename}: `, () => createImage(session, { filename, format, list, given, unsafe, quiet }));
    return 0;
  },
};

interface CreateCall {
  filename: string;
  format: string;
  /** Of -o. */
  list: string;
  /** Of the other options and operands. */
  given: CreateValues;
  unsafe: boolean;
  quiet: boolean;
}

async function createImage(session: VerbSession, call: CreateCall): Promise<void> {
  const { filename, format, given } = call;
  const graph = session.graph();
  const { options } = graph.createSupport(format, filename);
  const listed = parseCreateOptions(call.list, options);
  if (listed.size !== undefined && given.size !== undefined) {
    throw new ToolFailure('The image size must be specified only once');
  }
  const takes = (name: string): boolean => options.some((option) => option.name === name);
  if (given.backing_file !== undefined && !takes('backing_file')) {
    throw new ToolFailure(`Backing file not supported for file format '${format}'`);
  }
  if (given.backing_fmt !== undefined && !takes('backing_fmt')) {
    throw new ToolFailure(`Backing file format not supported for file format '${format}'`);
  }
  const prepared = await graph.prepareCreate(
    { filename, format, values: { ...listed, ...given }, spelled: spelledBooleans(call.list, options) },
    call.unsafe,
  );
  if (!call.quiet) session.context.stdout(`Formatting '${filename}', ${prepared.line}\n`);
  await graph.createImage(prepared);
}
