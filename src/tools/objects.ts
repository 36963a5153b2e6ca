/** The option --object of tools. */
import { ObjectTable } from '../daemon/objects/table';
import type { BlockGraph } from '../graph';
import { QmpError } from '../qapi/errors';
import { parseJson, parseKeyval, visitKeyval, visitType, type ObjectOptions } from '../qapi/index';
import { ToolFailure } from './failure';

const BAD_ID = "Parameter 'id' expects an identifier";

/** The objects of a tool, which its graph uses. */
export class ToolObjects {
  private readonly table: ObjectTable;

  constructor(graph: BlockGraph) {
    this.table = new ObjectTable({ graph });
  }

  /** Makes the object that a value of --object says; throws for what is wrong with it. */
  add(text: string): void {
    try {
      this.table.add(readObject(text));
    } catch (error) {
      if (!(error instanceof QmpError) || error.message !== BAD_ID) throw error;
      throw new ToolFailure(BAD_ID, [
        "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.",
      ]);
    }
  }
}

/** Reads the values of all --object options; the result adds the objects to a new graph. Throws for what is wrong with them. */
export function readObjects(values: readonly string[]): (graph: BlockGraph) => void {
  const objects = values.map(readObject);
  return (graph) => {
    const table = new ObjectTable({ graph });
    for (const options of objects) table.add(options);
  };
}

function readObject(text: string): ObjectOptions {
  const options = text.startsWith('{')
    ? visitType('ObjectOptions', parseJson(text))
    : visitKeyval('ObjectOptions', parseKeyval(text, 'qom-type'));
  return options as ObjectOptions;
}
