/** null-co and null-aio: a size, and nothing behind it. */
import type { NodeHandle } from '../../engine/contract';
import { GraphError } from '../errors';
import type { BlockNode } from '../node';
import type { Driver, OpenContext } from './driver';

const DEFAULT_SIZE = 2 ** 30;

function nullDriver(name: 'null-co' | 'null-aio'): Driver {
  const only = `${name}://`;
  return {
    name,
    protocol: true,
    prefixes: [name],
    filter: false,
    backing: false,
    needsFilename: false,
    strongOptions: ['size', 'read-zeroes'],
    resizable: false,
    parseFilename(filename) {
      if (filename !== only) throw new GraphError(`The only allowed filename for this driver is '${only}'`);
    },
    async open({ engine, node, options }: OpenContext): Promise<NodeHandle> {
      options.take('filename');
      const size = options.takeSize('size') ?? DEFAULT_SIZE;
      const latency = options.takeText('latency-ns');
      if (latency !== undefined && !/^\+?[0-9]+$/.test(latency))
        throw new GraphError('latency-ns is invalid');
      const readZeroes = options.takeBoolean('read-zeroes') ?? false;
      // All sizes are whole sectors.
      return engine.openNull({ size: Math.ceil(size / 512) * 512, readZeroes, readOnly: node.readOnly });
    },
    // Nothing but what every node has can be changed.
    reopen: () => undefined,
    plainName: (node: BlockNode) => (node.given.has('size') || node.given.has('read-zeroes') ? null : only),
    details: () => null,
  };
}

export const nullCo = nullDriver('null-co');
export const nullAio = nullDriver('null-aio');
