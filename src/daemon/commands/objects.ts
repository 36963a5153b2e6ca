/** The chapter on the object model: objects made, looked at, changed and removed. */
import type { Handlers } from './registry';

export const objects: Handlers = {
  'object-add': (options, { objects: table }) => {
    table.add(options);
    return {};
  },

  'object-del': ({ id }, { objects: table }) => {
    table.remove(id);
    return {};
  },

  'qom-list': ({ path }, { objects: table }) => table.list(path),

  'qom-get': ({ path, property }, { objects: table }) => table.get(path, property),

  'qom-set': ({ path, property, value }, { objects: table }) => {
    table.set(path, property, value);
    return {};
  },
};
