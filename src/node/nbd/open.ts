/** Exports of NBD servers that are reached over sockets of the system. */
import type { Engine } from '../../engine/contract';
import { nbdOpener, type OpenNbdBeside } from '../../nbd/index';
import { connectTo } from '../connect';

/** Opens them for the nodes of an engine. */
export function nodeNbd({ presence }: Engine): OpenNbdBeside {
  return nbdOpener({ presence, connect: (address) => connectTo(address) });
}
