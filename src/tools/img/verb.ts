/** What a verb of qemu-img is, and what all of them share: options, errors of usage, opening. */
import { BlockGraph, type BlockUser, type CacheMode, type OpenImageRequest } from '../../graph';
import { toolDerivation, type ToolContext } from '../context';
import { step, toFailure, ToolExit, ToolFailure } from '../failure';
import { Getopt, type FoundOption, type OptionMistake } from '../getopt';
import { imageOptions } from '../optionlist';
import type { ToolObjects } from '../objects';
import { cvtnum, INT64_MAX } from '../sizes';
import type { VerbDeclaration, VerbOption } from './declaration';
import { verbHelp } from './help';

export const PROGRAM = 'qemu-img';

/** A verb of qemu-img. */
export interface Verb extends VerbDeclaration {
  /** The exit code when an object cannot be made; absent: 1. */
  objectFailure?: number;
  run(session: VerbSession): Promise<number>;
}

/** An option that was given; `code` is its letter, or its first long name if it has none. */
export type GivenOption = Pick<FoundOption, 'code' | 'value'>;

/** A mistake on the command line. */
export function usageFailure(text: string): ToolFailure {
  return new ToolFailure(text, ["Try 'qemu-img --help' for more information"]);
}

/** The same for what the parser found; 9.1 has two texts for all of them. */
export function mistakeFailure(mistake: OptionMistake): ToolFailure {
  const what = mistake.what === 'missing-value' ? 'missing argument for' : 'unrecognized';
  return usageFailure(`${what} option '${mistake.word}'`);
}

/** One call of a verb. */
export class VerbSession {
  /** What is no option; complete when all options were read. */
  operands: readonly string[] = [];
  private opened: BlockGraph | null = null;
  private objects: ToolObjects | null = null;

  constructor(
    readonly context: ToolContext,
    private words: readonly string[],
    private readonly verb: Verb,
  ) {}

  /**
   * The options in their order. Throws on the first mistake; prints the help and ends at --help. Objects are made at once,
   * as by the real tools.
   */
  async *options(): AsyncGenerator<GivenOption> {
    const declared = this.verb.options;
    const code = (option: VerbOption): string => option.short ?? option.long?.[0] ?? '';
    const parser = new Getopt(this.words, {
      short: declared
        .map((option) => (option.short ?? '') + (option.short && option.value ? ':' : ''))
        .join(''),
      long: declared.flatMap((option) =>
        (option.long ?? []).map((name) => ({ name, value: option.value !== undefined, code: code(option) })),
      ),
    });
    for (let found = parser.next(); found; found = parser.next()) {
      if (found.kind === 'mistake') throw mistakeFailure(found);
      if (found.code === 'h') {
        this.context.stdout(verbHelp(this.verb));
        throw new ToolExit(0);
      }
      if (found.code === 'object') await this.addObject(found.value);
      else yield { code: found.code, value: found.value };
    }
    this.operands = parser.operands;
  }

  /** Takes the last word away before options are looked for; undefined: there is none, or it asks for help. */
  takeLast(): string | undefined {
    const last = this.words.at(-1);
    if (last === undefined || last === '-h' || last === '--help') return undefined;
    this.words = this.words.slice(0, -1);
    return last;
  }

  /** The one operand of verbs that take one image. */
  oneFile(): string {
    const [file] = this.operands;
    if (file === undefined || this.operands.length > 1) throw usageFailure('Expecting one image file name');
    return file;
  }

  private async addObject(text: string): Promise<void> {
    // The schema is loaded only if it is needed.
    this.objects ??= new (await import('../objects')).ToolObjects(this.graph(), this.context.tls);
    try {
      await this.objects.add(text);
    } catch (error) {
      const { message, hints } = toFailure(error);
      throw new ToolFailure(message, hints, this.verb.objectFailure);
    }
  }

  /** The graph of this process, with its objects; it is closed when the verb ends. */
  graph(): BlockGraph {
    const { engine, files, locks, openNbd } = this.context;
    this.opened ??= new BlockGraph({
      engine,
      files,
      locks,
      ...(openNbd && { openNbd }),
      warn: (text) => this.warn(text),
      notice: (text) => this.context.stderr(`${text}\n`),
      onMismatch: () => this.context.onMismatch?.(),
      derivation: toolDerivation(this.context),
    });
    return this.opened;
  }

  /** Prints a warning. */
  warn(text: string): void {
    this.context.stderr(`${PROGRAM}: warning: ${text}\n`);
  }

  /** Opens an image as the user named it. */
  async open(
    graph: BlockGraph,
    image: { name: string; imageOpts: boolean; format?: string | undefined },
    how: Omit<OpenImageRequest, 'filename' | 'format'>,
  ): Promise<BlockUser> {
    const request: OpenImageRequest = { ...how };
    if (image.imageOpts) {
      if (image.format !== undefined)
        throw new ToolFailure('--image-opts and --format are mutually exclusive');
      request.options = imageOptions(image.name, 'file', (text) => this.warn(text));
      const share = request.options['force-share'];
      if (how.forceShare && share !== undefined && share !== 'on') {
        throw new ToolFailure('--force-share/-U conflicts with image options');
      }
    } else {
      request.filename = image.name;
      if (image.format !== undefined) request.format = image.format;
    }
    return step(`Could not open '${image.name}': `, () => graph.openImage(request));
  }

  /** Closes what is still open, whatever happened. */
  async end(): Promise<void> {
    await this.opened?.close();
  }
}

/** Reads a size of the command line; `what` names it in the messages. */
export function readSizeArgument(what: string, text: string, max: bigint = INT64_MAX, min = 0n): bigint {
  const value = cvtnum(text);
  if (value === 'invalid') {
    // Two messages of the real tool, each with the name of the program.
    throw new ToolFailure(`Invalid ${what} specified. You may use k, M, G, T, P or E suffixes for`, [
      `${PROGRAM}: kilobytes, megabytes, gigabytes, terabytes, petabytes and exabytes.`,
    ]);
  }
  if (value === 'range' || value > max || value < min) {
    throw new ToolFailure(`Invalid ${what} specified. Must be between ${min} and ${max}.`);
  }
  return value;
}

/** Reads the value of --output. */
export function readOutputFormat(text: string): 'human' | 'json' {
  if (text !== 'human' && text !== 'json')
    throw usageFailure('--output must be used with human or json as argument.');
  return text;
}

const CACHE_MODES: readonly string[] = ['none', 'off', 'directsync', 'writeback', 'unsafe', 'writethrough'];

/** Reads a cache mode; `what` names the option in the message. */
export function readCache(mode: string, what: 'cache option' | 'source cache option'): CacheMode {
  if (!CACHE_MODES.includes(mode)) throw new ToolFailure(`Invalid ${what}: ${mode}`);
  return mode as CacheMode;
}

/** Options that most verbs take. */
export const COMMON = {
  help: { short: 'h', long: ['help'], help: 'show this help and exit' },
  format: { short: 'f', long: ['format'], value: 'FMT', help: 'format of the image (default: looked at)' },
  imageOpts: { long: ['image-opts'], help: 'the file name is a list of options, key=value,...' },
  output: { long: ['output'], value: 'human|json', help: 'how to print (default: human)' },
  forceShare: {
    short: 'U',
    long: ['force-share'],
    help: 'open the image even if another process writes to it',
  },
  object: {
    long: ['object'],
    value: 'OBJECT',
    help: 'make an object that images need: TYPE,id=ID,key=value,... or JSON',
  },
  quiet: { short: 'q', long: ['quiet'], help: 'print only errors' },
  progress: { short: 'p', long: ['progress'], help: 'show how far the work is' },
} as const satisfies Record<string, VerbOption>;
