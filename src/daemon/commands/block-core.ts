/** The chapter on the block core: nodes made, changed, described and removed. */
import { QmpError } from '../../qapi/index';
import { amendJob } from '../jobs/amend';
import { createJob } from '../jobs/create';
import type { Handlers } from './registry';

export const blockCore: Handlers = {
  'blockdev-add': async (options, { graph }) => {
    await graph.blockdevAdd(options);
    return {};
  },

  'blockdev-del': async (args, { graph }) => {
    await graph.blockdevDel(args['node-name']);
    return {};
  },

  'blockdev-reopen': async ({ options }, { graph, exports }) => {
    await exports.quiesced(() => graph.blockdevReopen(options));
    return {};
  },

  'blockdev-create': async (args, { graph, jobs }) => {
    graph.checkCreatable(args.options.driver);
    const driver = createJob(graph, args.options);
    const job = jobs.create(args['job-id'], driver, { autoFinalize: true, autoDismiss: false });
    job.start();
    await job.begun;
    return {};
  },

  'x-blockdev-amend': async (args, { graph, jobs }) => {
    const { 'job-id': id, 'node-name': nodeName, options, force = false } = args;
    const target = await graph.holdForAmend({ nodeName, options, force });
    try {
      const job = jobs.create(id, amendJob(target), { autoFinalize: true, autoDismiss: false });
      job.start();
      await job.begun;
    } catch (error) {
      await target.end();
      throw error;
    }
    return {};
  },

  block_resize: async (args, { graph }) => {
    await graph.blockResize({ device: args.device, nodeName: args['node-name'], size: args.size });
    return {};
  },

  'change-backing-file': async (args, { graph }) => {
    const { device, 'image-node-name': image, 'backing-file': file } = args;
    await graph.changeBackingName({ device, image, file });
    return {};
  },

  'x-blockdev-change': async ({ parent, child, node }, { graph }) => {
    await graph.changeChildren({ parent, child, node });
    return {};
  },

  'x-blockdev-set-iothread': (args, { graph, tree }) => {
    const { 'node-name': nodeName, iothread, force = false } = args;
    graph.checkMovable(nodeName, force);
    if (iothread !== null && !tree.hasIothread(iothread))
      throw new QmpError(`Cannot find iothread ${iothread}`);
    return {};
  },

  'block-set-write-threshold': (args, { graph }) => {
    graph.setWriteThreshold(args['node-name'], args['write-threshold']);
    return {};
  },

  'query-named-block-nodes': (args, { graph, environment }) =>
    environment.engine.presence.whenPresent(() => graph.namedBlockNodes(args.flat ?? false)),

  // Both list the devices of a machine, and a storage daemon has none; nodes are listed when they are asked for.
  'query-block': () => [],
  'query-blockstats': (args, { graph }) => (args['query-nodes'] ? graph.blockStats() : []),

  'x-debug-query-block-graph': (_args, { graph }) => graph.debugGraph(),
};
