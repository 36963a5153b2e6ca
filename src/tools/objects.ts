/** The option --object of tools. */
import { objectHelp } from '../daemon/objects/help';
import { ObjectTable } from '../daemon/objects/table';
import type { TlsSupport } from '../daemon/objects/tls-creds';
import type { BlockGraph } from '../graph';
import { parseJson, parseKeyval, visitKeyval, visitType, type ObjectOptions } from '../qapi/index';
import { ToolHelp } from './failure';

/** The objects of a tool, which its graph uses. */
export class ToolObjects {
  readonly table: ObjectTable;

  constructor(graph: BlockGraph, tls: TlsSupport | undefined) {
    this.table = new ObjectTable({ graph, tls });
  }

  /** Makes the object that a value of --object says; throws for what is wrong with it. */
  add(text: string): Promise<void> {
    return this.table.add(readObject(text));
  }
}

/** Reads the values of all --object options; the result adds the objects to a new graph. Throws for what is wrong with them. */
export function readObjects(
  values: readonly string[],
  tls: TlsSupport | undefined,
): (graph: BlockGraph) => Promise<void> {
  const objects = values.map(readObject);
  return async (graph) => {
    const table = new ObjectTable({ graph, tls });
    for (const options of objects) await table.add(options);
  };
}

/** Throws {@link ToolHelp} for a value that asks for help. */
function readObject(text: string): ObjectOptions {
  const help = objectHelp(text, ['iothread']);
  if (help !== null) throw new ToolHelp(help);
  const options = text.startsWith('{')
    ? visitType('ObjectOptions', parseJson(text))
    : visitKeyval('ObjectOptions', parseKeyval(text, 'qom-type'));
  return options as ObjectOptions;
}
