/** raw: the file as it is, or a window of it. */
import type { NodeHandle } from '../../engine/contract';
import { Role } from '../node';
import type { Options } from '../options';
import type { CreateValues } from '../api';
import type { Driver, OpenContext, ImageMaker } from './driver';

/** The options that say what of the file is shown. */
function readWindow(options: Options): { offset?: number; size?: number } {
  const offset = options.takeSize('offset');
  const size = options.takeSize('size');
  return { ...(offset !== undefined && { offset }), ...(size !== undefined && { size }) };
}

export const raw: Driver = {
  name: 'raw',
  protocol: false,
  prefixes: [],
  filter: false,
  backing: false,
  needsFilename: false,
  strongOptions: ['offset', 'size'],
  resizable: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options } = context;
    const window = readWindow(options);
    const windowed = (window.offset ?? 0) > 0 || window.size !== undefined;
    const file = await context.openChild('file', Role.PRIMARY | (windowed ? Role.DATA : Role.FILTERED), true);
    return engine.openRaw(file.handle, {
      ...window,
      readOnly: node.readOnly,
    });
  },
  mutableOptions: ['offset', 'size'],
  reopen({ engine, node, options, before, later }) {
    const window = readWindow(options);
    const old = readWindow(before.given.clone());
    later(() => {
      engine.changes.reopenRaw(node.handle, window);
      return () => engine.changes.reopenRaw(node.handle, old);
    });
  },
  details: (node) => node.primary?.type.details(node.primary) ?? null,
  createOptions: [{ name: 'size', type: 'size', help: 'Virtual disk size' }],
  async createImage(maker: ImageMaker, filename: string, values: CreateValues) {
    await maker.createProtocolFile(filename, values);
  },
};
