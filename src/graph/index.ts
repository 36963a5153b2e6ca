/** The graph of block nodes: names, options, opening, permissions, information, creation. */
import type { BlockGraphApi, GraphEnvironment } from './api';

export type * from './api';
export { GraphError, type ErrorClass } from './errors';

export declare class BlockGraph implements BlockGraphApi {
  constructor(environment: GraphEnvironment);
  blockdevAdd: BlockGraphApi['blockdevAdd'];
  blockdevDel: BlockGraphApi['blockdevDel'];
  blockResize: BlockGraphApi['blockResize'];
  namedBlockNodes: BlockGraphApi['namedBlockNodes'];
  blockStats: BlockGraphApi['blockStats'];
  debugGraph: BlockGraphApi['debugGraph'];
  create: BlockGraphApi['create'];
  checkCreatable: BlockGraphApi['checkCreatable'];
  openImage: BlockGraphApi['openImage'];
  attach: BlockGraphApi['attach'];
  createSupport: BlockGraphApi['createSupport'];
  prepareCreate: BlockGraphApi['prepareCreate'];
  createImage: BlockGraphApi['createImage'];
  find: BlockGraphApi['find'];
  nodes: BlockGraphApi['nodes'];
  close: BlockGraphApi['close'];
}
