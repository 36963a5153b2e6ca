/** compress: all data is written compressed. */
import type { NodeHandle } from '../../engine/contract';
import { GraphError } from '../errors';
import { Role } from '../node';
import { filteredDetails, type Driver, type OpenContext } from './driver';

export const compress: Driver = {
  name: 'compress',
  protocol: false,
  prefixes: [],
  filter: true,
  backing: false,
  needsFilename: false,
  strongOptions: [],
  resizable: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node } = context;
    const file = await context.openChild('file', Role.FILTERED | Role.PRIMARY, true);
    if (!file.type.compresses) {
      throw new GraphError(`Compression is not supported for underlying format: ${file.driver}`);
    }
    const cluster = file.type.details(file)?.clusterSize ?? 0;
    return engine.filters.openCompress(file.handle, { readOnly: node.readOnly, cluster });
  },
  requestAlignment: (node) => node.filtered?.type.details(node.filtered)?.clusterSize ?? 1,
  details: filteredDetails,
};
