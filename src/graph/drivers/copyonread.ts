/** copy-on-read: what is read from backing files is written to the image above them. */
import type { NodeHandle } from '../../engine/contract';
import { Permission } from '../../files/locks';
import { GraphError } from '../errors';
import { Role, type BlockNode } from '../node';
import { filteredDetails, type Driver, type OpenContext } from './driver';

export const copyOnRead: Driver = {
  name: 'copy-on-read',
  protocol: false,
  prefixes: [],
  filter: true,
  backing: false,
  needsFilename: false,
  strongOptions: [],
  resizable: true,
  compresses: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options } = context;
    const file = await context.openChild('file', Role.FILTERED | Role.PRIMARY, true);
    const name = options.takeText('bottom');
    const bottom = name === undefined ? null : findBottom(context, name);
    const cluster = file.type.details(file)?.clusterSize ?? 0;
    return engine.filters.openCopyOnRead(file.handle, {
      readOnly: node.readOnly,
      cluster,
      bottom: bottom?.handle ?? null,
    });
  },
  // Its reads write, whoever reads; but they change nothing that anybody sees.
  childPermissions: (_node, _link, { perm, shared }) => ({
    perm: perm | Permission.WRITE_UNCHANGED,
    shared: shared | Permission.WRITE_UNCHANGED,
  }),
  details: filteredDetails,
};

function findBottom(context: OpenContext, name: string): BlockNode {
  const bottom = context.find(name);
  if (!bottom) throw new GraphError(`Bottom node '${name}' not found`);
  if (!bottom.ready) throw new GraphError(`Bottom node '${name}' not opened`);
  if (bottom.isFilter) throw new GraphError(`Bottom node '${name}' is a filter`);
  return bottom;
}
