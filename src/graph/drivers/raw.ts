/** raw: the file as it is, or a window of it. */
import type { NodeHandle } from '../../engine/contract';
import { Role } from '../node';
import type { CreateValues } from '../api';
import type { Creator } from '../create';
import type { Driver, OpenContext } from './driver';

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
    const offset = options.takeSize('offset');
    const size = options.takeSize('size');
    const windowed = (offset ?? 0) > 0 || size !== undefined;
    const file = await context.openChild('file', Role.PRIMARY | (windowed ? Role.DATA : Role.FILTERED), true);
    return engine.openRaw(file.handle, {
      ...(offset !== undefined && { offset }),
      ...(size !== undefined && { size }),
      readOnly: node.readOnly,
    });
  },
  details: (node) => node.primary?.type.details(node.primary) ?? null,
  createOptions: [{ name: 'size', type: 'size', help: 'Virtual disk size' }],
  async createImage(creator: Creator, filename: string, values: CreateValues) {
    await creator.createProtocolFile(filename, values);
  },
};
