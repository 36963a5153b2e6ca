/** The option --object of tools. */
import { objectHelp } from '../daemon/objects/help';
import { ObjectTable } from '../daemon/objects/table';
import type { TlsSupport } from '../daemon/objects/tls';
import type { BlockGraph } from '../graph';
import { QmpError, parseJson, parseKeyval, visitKeyval, visitType, type ObjectOptions } from '../qapi/index';
import { ToolHelp } from './failure';

/** Types that the daemon has and the tools have not. */
const NOT_HERE: readonly string[] = ['iothread'];

/** Makes an object, unless the program has not its type. */
async function make(
  table: ObjectTable,
  options: ObjectOptions,
  missing: readonly string[] = NOT_HERE,
): Promise<void> {
  const type = options['qom-type'];
  if (missing.includes(type)) throw new QmpError(`invalid object type: ${type}`);
  await table.add(options);
}

/** The objects of a tool, which its graph uses. */
export class ToolObjects {
  readonly table: ObjectTable;

  /** @param missing types that the program has not */
  constructor(
    graph: BlockGraph,
    tls: TlsSupport | undefined,
    private readonly missing: readonly string[] = NOT_HERE,
  ) {
    this.table = new ObjectTable({ graph, tls });
  }

  /** Makes the object that a value of --object says; throws for what is wrong with it. */
  add(text: string): Promise<void> {
    return make(this.table, readObject(text, this.missing), this.missing);
  }
}

/** Reads the values of all --object options; the result adds the objects to a new graph. Throws for what is wrong with them. */
export function readObjects(
  values: readonly string[],
  tls: TlsSupport | undefined,
): (graph: BlockGraph) => Promise<void> {
  const objects = values.map((text) => readObject(text));
  return async (graph) => {
    const table = new ObjectTable({ graph, tls });
    for (const options of objects) await make(table, options);
  };
}

/** Throws {@link ToolHelp} for a value that asks for help. */
function readObject(text: string, missing: readonly string[] = NOT_HERE): ObjectOptions {
  const help = objectHelp(text, missing);
  if (help !== null) throw new ToolHelp(help);
  const options = text.startsWith('{')
    ? visitType('ObjectOptions', parseJson(text))
    : visitKeyval('ObjectOptions', parseKeyval(text, 'qom-type'));
  return options as ObjectOptions;
}
