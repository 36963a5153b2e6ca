/** The option --object of tools. */
import { ObjectTable } from '../daemon/objects/table';
import type { BlockGraph } from '../graph';
import { parseJson, parseKeyval, visitKeyval, visitType, type ObjectOptions } from '../qapi/index';

/** Reads the values of all --object options; the result adds the objects to a new graph. Throws for what is wrong with them. */
export function readObjects(values: readonly string[]): (graph: BlockGraph) => void {
  const objects = values.map((text) => {
    const options = text.startsWith('{')
      ? visitType('ObjectOptions', parseJson(text))
      : visitKeyval('ObjectOptions', parseKeyval(text, 'qom-type'));
    return options as ObjectOptions;
  });
  return (graph) => {
    const table = new ObjectTable({ graph });
    for (const options of objects) table.add(options);
  };
}
