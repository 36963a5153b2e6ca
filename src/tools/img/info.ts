/** qemu-img info */
import type { BlockGraphInfo } from '../../graph';
import { ToolFailure } from '../failure';
import { describeImage } from '../imageinfo';
import { prettyJson } from '../json';
import { COMMON, readOutputFormat, type Verb, type VerbSession } from './verb';

/** Tells about an image and, with --backing-chain, about all below it. */
export const info: Verb = {
  name: 'info',
  summary: 'Tell about an image',
  operands: 'FILE',
  options: [
    COMMON.help,
    COMMON.format,
    COMMON.imageOpts,
    { short: 'b', long: ['backing-chain'], help: 'tell about the backing files too' },
    COMMON.forceShare,
    COMMON.object,
    COMMON.output,
  ],
  run: async (session) => {
    const request: InfoRequest = {
      name: '',
      imageOpts: false,
      format: undefined,
      chain: false,
      forceShare: false,
    };
    let output = 'human';
    for await (const { code, value } of session.options()) {
      if (code === 'f') request.format = value;
      else if (code === 'image-opts') request.imageOpts = true;
      else if (code === 'b') request.chain = true;
      else if (code === 'U') request.forceShare = true;
      else if (code === 'output') output = readOutputFormat(value);
    }
    request.name = session.oneFile();
    const infos = await collect(session, request);
    if (output === 'human') {
      session.context.stdout(infos.map(describeImage).join('\n'));
    } else {
      const shown = request.chain ? prettyJson(infos) : prettyJson(infos[0]);
      session.context.stdout(`${shown}\n`);
    }
    return 0;
  },
};

interface InfoRequest {
  name: string;
  imageOpts: boolean;
  format: string | undefined;
  chain: boolean;
  forceShare: boolean;
}

/** The image and, if asked for, its backing files, each opened by itself. */
async function collect(session: VerbSession, request: InfoRequest): Promise<BlockGraphInfo[]> {
  const infos: BlockGraphInfo[] = [];
  const seen = new Set<string>();
  let { name, imageOpts, format } = request;
  for (;;) {
    if (seen.has(name)) throw new ToolFailure(`Backing file '${name}' creates an infinite loop.`);
    seen.add(name);
    const graph = session.graph();
    const how = { readOnly: true, noBacking: true, noIo: true, forceShare: request.forceShare };
    const user = await session.open(graph, { name, imageOpts, format }, how);
    const told = await user.present(() => user.graphInfo());
    infos.push(told);
    await graph.close();
    if (!request.chain || told['backing-filename'] === undefined) return infos;
    const full = told['full-backing-filename'];
    if (full === undefined) {
      const stored = told['backing-filename'];
      throw new ToolFailure(
        `Could not determine absolute backing filename, but backing filename '${stored}' present`,
      );
    }
    name = full;
    imageOpts = false;
    format = told['backing-filename-format'];
  }
}
