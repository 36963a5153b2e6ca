/** The chapter on the object model: objects made, looked at, changed and removed. */
import { listProperties, listTypes } from '../objects/types';
import type { Handlers } from './registry';

export const objects: Handlers = {
  'object-add': async (options, { objects: table }) => {
    await table.add(options);
    return {};
  },

  'object-del': ({ id }, { objects: table }) => {
    table.remove(id);
    return {};
  },

  'qom-list': ({ path }, { tree }) => tree.list(path),

  'qom-get': ({ path, property }, { tree }) => tree.get(path, property),

  'qom-set': ({ path, property, value }, { tree }) => {
    tree.set(path, property, value);
    return {};
  },

  'qom-list-types': (args) => listTypes(args.implements, args.abstract ?? false),

  'qom-list-properties': ({ typename }) => listProperties(typename),
};
