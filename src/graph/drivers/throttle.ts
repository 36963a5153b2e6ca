/** throttle: requests are slowed down by the limits of a group. */
import { GraphError } from '../errors';
import type { NodeHandle } from '../../engine/contract';
import { Role } from '../node';
import type { Options } from '../options';
import { filteredDetails, type Driver, type OpenContext } from './driver';

const GROUP = 'throttle-group';

function takeGroup(options: Options): string {
  const name = options.takeText(GROUP);
  if (name === undefined) throw new GraphError('Please specify a throttle group');
  return name;
}

export const throttle: Driver = {
  name: 'throttle',
  protocol: false,
  prefixes: [],
  filter: true,
  backing: false,
  needsFilename: false,
  strongOptions: [GROUP],
  resizable: true,
  compresses: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options, throttleGroups } = context;
    const file = await context.openChild('file', Role.FILTERED | Role.PRIMARY, true);
    const group = throttleGroups.find(takeGroup(options));
    return engine.throttle.open(file.handle, { readOnly: node.readOnly, group });
  },
  mutableOptions: [GROUP],
  reopen({ engine, node, options, before, later, throttleGroups }) {
    const group = throttleGroups.find(takeGroup(options));
    const old = throttleGroups.find(before.given.text(GROUP) ?? '');
    later(() => {
      engine.throttle.join(node.handle, group);
      return () => engine.throttle.join(node.handle, old);
    });
  },
  details: filteredDetails,
};
