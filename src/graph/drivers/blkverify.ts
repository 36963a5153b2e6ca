/** blkverify: an image under test is compared with a raw copy that gets the same writes. */
import type { NodeHandle } from '../../engine/contract';
import { GraphError } from '../errors';
import { Role } from '../node';
import { filteredDetails, type Driver, type OpenContext } from './driver';

const RAW_NAME = 'x-raw';
const TEST_NAME = 'x-image';

export const blkverify: Driver = {
  name: 'blkverify',
  protocol: true,
  prefixes: ['blkverify'],
  filter: true,
  backing: false,
  needsFilename: false,
  strongOptions: [],
  resizable: true,
  parseFilename(filename, options) {
    const match = /^blkverify:([^:]*):(.*)$/s.exec(filename);
    if (!match) {
      if (filename.startsWith('blkverify:')) {
        throw new GraphError('blkverify requires raw copy and original image path');
      }
      // A name without its prefix is that of an image under test.
      options.set(TEST_NAME, filename);
      return;
    }
    const [, raw = '', test = ''] = match;
    options.set(RAW_NAME, raw);
    options.set(TEST_NAME, test);
  },
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options } = context;
    const rawName = options.takeText(RAW_NAME);
    const testName = options.takeText(TEST_NAME);
    const raw = await context.openChild('raw', Role.FILTERED | Role.PRIMARY, true, rawName);
    const test = await context.openChild('test', Role.DATA, true, testName);
    return engine.storageFilters.openBlkverify(raw.handle, test.handle, node.readOnly);
  },
  plainName(node) {
    const name = (child: string) => node.links.find((link) => link.name === child)?.node.exactFilename ?? '';
    const raw = name('raw');
    const test = name('test');
    return raw === '' || test === '' ? null : `blkverify:${raw}:${test}`;
  },
  details: filteredDetails,
};
