/** One run of qemu-io: the open image and what the commands do with the console. */
import { Permission } from '../../files/locks';
import { BlockGraph, type BlockUser, type OpenImageRequest } from '../../graph';
import type { ToolContext } from '../context';
import { toFailure } from '../failure';
import { Pace } from '../pace';
import { ProcessFiles } from './process';

export const PROGRAM = 'qemu-io';

/** An image that is open. */
export interface OpenFile {
  user: BlockUser;
  graph: BlockGraph;
  /** How it was opened, for a change of the options. */
  request: OpenImageRequest;
}

/** The state that the commands share. */
export class IoSession {
  file: OpenFile | null = null;
  /** Set by `quit`. */
  ended = false;
  private readonly process: ProcessFiles;

  constructor(
    readonly context: ToolContext,
    /** --image-opts was given: `open` takes no -o. */
    readonly imageOpts: boolean,
    /** Adds the objects of the command line to a new graph. */
    private readonly addObjects: ((graph: BlockGraph) => Promise<void>) | null = null,
  ) {
    this.process = new ProcessFiles(context.files, context.locks);
  }

  /** A line for standard output, without its line feed. */
  print(line: string): void {
    this.context.stdout(`${line}\n`);
  }

  /** A line for standard error, without its line feed. */
  complain(line: string): void {
    this.context.stderr(`${line}\n`);
  }

  /** A failure on standard error, with the name of the program and what helps. */
  report(error: unknown, prefix = ''): void {
    const failure = toFailure(error);
    this.complain(`${PROGRAM}: ${prefix}${failure.message}`);
    failure.hints.forEach((hint) => this.complain(hint));
  }

  pace(): Pace {
    return new Pace(this.context);
  }

  /** Opens an image; answers whether that went well. */
  async open(request: OpenImageRequest): Promise<boolean> {
    if (this.file) {
      this.complain(`${PROGRAM}: file open already, try 'help close'`);
      return false;
    }
    try {
      this.file = await this.openFile(request);
      return true;
    } catch (error) {
      const named = request.filename === undefined ? '' : ` device ${request.filename}`;
      this.report(error, `can't open${named}: `);
      return false;
    }
  }

  private async newGraph(): Promise<BlockGraph> {
    const { files, locks } = this.process;
    const graph = new BlockGraph({
      engine: this.context.engine,
      files,
      locks,
      warn: (text) => this.warn(text),
      notice: (text) => this.complain(text),
    });
    await this.addObjects?.(graph);
    return graph;
  }

  /** Throws what is wrong with the objects of the command line. */
  async checkObjects(): Promise<void> {
    await (await this.newGraph()).close();
  }

  /** Opens an image without keeping it. */
  async openFile(request: OpenImageRequest): Promise<OpenFile> {
    const graph = await this.newGraph();
    // Commands that change the size take the permission for that themselves.
    const perm = request.readOnly
      ? Permission.CONSISTENT_READ
      : Permission.CONSISTENT_READ | Permission.WRITE;
    const permissions = { perm, shared: Permission.ALL };
    return { user: await graph.openImage({ permissions, ...request }), graph, request };
  }

  /** Closes the image, if one is open. */
  async close(): Promise<void> {
    const file = this.file;
    this.file = null;
    if (!file) return;
    try {
      await file.user.close();
    } finally {
      await file.graph.close();
    }
  }

  /** Leaves the image as a killed process does: what was not written yet never will be. */
  kill(): void {
    this.file = null;
    this.process.kill();
  }

  warn(text: string): void {
    this.complain(`${PROGRAM}: warning: ${text}`);
  }
}
