/** The chapter on block device exports: the NBD server and what it serves. */
import { QmpError } from '../../qapi/index';
import type { SocketAddress, SocketAddressLegacy } from '../../qapi/types.generated';
import type { Handlers } from './registry';

/** The older form of an address has its members one level deeper. */
function plainAddress(address: SocketAddressLegacy): SocketAddress {
  return { type: address.type, ...address.data } as SocketAddress;
}

export const exports: Handlers = {
  'nbd-server-start': async (args, { exports }) => {
    // It means one that came through the monitor.
    if (args.addr.type === 'fd') throw new QmpError('only QEMU supports file descriptor passing');
    await exports.startServer({ ...args, addr: plainAddress(args.addr) });
    return {};
  },

  'nbd-server-add': async (args, { exports }) => {
    await exports.addByDevice(args);
    return {};
  },

  'nbd-server-remove': async ({ name, mode }, { exports }) => {
    await exports.remove(name, mode === 'hard');
    return {};
  },

  'nbd-server-stop': async (_args, { exports }) => {
    await exports.stopServer();
    return {};
  },

  'block-export-add': async (args, { exports }) => {
    await exports.add(args);
    return {};
  },

  'block-export-del': async ({ id, mode }, { exports }) => {
    await exports.remove(id, mode === 'hard');
    return {};
  },

  'query-block-exports': (_args, { exports }) => exports.query(),
};
