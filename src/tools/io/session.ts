/** One run of qemu-io: the open image and what the commands do with the console. */
import { Permission } from '../../files/locks';
import type { IoBuffer, NodeHandle } from '../../engine/contract';
import {
  BlockGraph,
  GraphError,
  type BlockUser,
  type CreateValues,
  type OpenImageRequest,
  type QDict,
} from '../../graph';
import { toolDerivation, type ToolContext } from '../context';
import { toFailure } from '../failure';
import { Pace } from '../pace';
import { ProcessFiles } from './process';
import { Requests } from './requests';

export const PROGRAM = 'qemu-io';

/** What the tool opens, and how. */
export interface IoOpenRequest extends OpenImageRequest {
  /** Writes go to a temporary image above it, which is gone when it is closed. */
  snapshot?: boolean;
  /** What is read from backing files is written to the image. */
  copyOnRead?: boolean;
}

/** An image that is open. */
export interface OpenFile {
  user: BlockUser;
  graph: BlockGraph;
  requests: Requests;
  /** Reads into a buffer from its start on. */
  read(offset: number, bytes: number, buffer: IoBuffer): void;
  /** The filter that copies what is read; null: there is none. */
  copyOnRead: NodeHandle | null;
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
    this.process = new ProcessFiles(context);
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
  async open(request: IoOpenRequest): Promise<boolean> {
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
    const { openNbd } = this.context;
    const graph = new BlockGraph({
      engine: this.context.engine,
      files,
      locks,
      ...(openNbd && { openNbd }),
      warn: (text) => this.warn(text),
      notice: (text) => this.complain(text),
      onMismatch: () => this.context.onMismatch?.(),
      derivation: toolDerivation(this.context),
    });
    await this.addObjects?.(graph);
    return graph;
  }

  /** Throws what is wrong with the objects of the command line. */
  async checkObjects(): Promise<void> {
    await (await this.newGraph()).close();
  }

  /** Opens an image without keeping it. */
  async openFile(request: IoOpenRequest): Promise<OpenFile> {
    const { snapshot = false, copyOnRead = false, ...image } = request;
    const graph = await this.newGraph();
    // Commands that change the size take the permission for that themselves.
    const perm = request.readOnly
      ? Permission.CONSISTENT_READ
      : Permission.CONSISTENT_READ | Permission.WRITE;
    const permissions = { perm, shared: Permission.ALL };
    const opened = snapshot ? await this.makeOverlay(graph, image) : image;
    const user = await graph.openImage({ permissions, ...opened });
    const filter = copyOnRead ? await this.copyReads(user) : null;
    const { engine } = this.context;
    const requests = new Requests(user, {
      engine,
      print: (line) => this.print(line),
      pace: () => this.pace(),
    });
    const read = (offset: number, bytes: number, buffer: IoBuffer): void =>
      filter === null ? user.read(offset, bytes, buffer) : engine.read(filter, offset, bytes, buffer);
    return { user, graph, requests, read, copyOnRead: filter };
  }

  /** Puts the filter on an image that copies what is read from its backing files. */
  private async copyReads(user: BlockUser): Promise<NodeHandle> {
    if (user.node.readOnly) {
      await user.close();
      throw new GraphError("Can't use copy-on-read on read-only device");
    }
    const cluster = user.clusterSize ?? 0;
    return this.context.engine.filters.openCopyOnRead(user.node.handle, {
      readOnly: false,
      cluster,
      bottom: null,
    });
  }

  /** Makes a temporary image above another one; answers how to open it. */
  private async makeOverlay(graph: BlockGraph, request: OpenImageRequest): Promise<OpenImageRequest> {
    const base = await graph.openImage({ ...request, readOnly: true });
    const { driver, filename } = base.node;
    const size = base.length();
    await base.close();
    const { options, filename: given } = request;
    const overlay = await this.process.temporaryPath();
    const named: CreateValues = options === undefined ? { backing_file: filename, backing_fmt: driver } : {};
    await graph.createImage({ filename: overlay, format: 'qcow2', values: { size, ...named } });
    const above: QDict = { driver: 'qcow2', 'file.filename': overlay };
    for (const [key, value] of Object.entries(options ?? {})) above[`backing.${key}`] = value;
    if (options !== undefined && given !== undefined) above['backing.file.filename'] = given;
    const how: OpenImageRequest = { ...request, options: above };
    delete how.filename;
    delete how.format;
    return how;
  }

  /** Closes the image, if one is open, when all its requests have ended. */
  async close(): Promise<void> {
    await this.file?.requests.drain();
    await this.drop();
    await this.process.removeTemporary();
  }

  /** Closes the image without waiting for requests that stand still: they are lost. */
  async drop(): Promise<void> {
    const file = this.file;
    this.file = null;
    if (!file) return;
    if (file.copyOnRead !== null) this.context.engine.close(file.copyOnRead);
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
