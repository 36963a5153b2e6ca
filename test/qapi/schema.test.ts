import { execFileSync } from 'node:child_process';
import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  commandNames,
  completions,
  describeCommand,
  describeEvent,
  eventNames,
  membersOf,
  orderOutput,
  querySchema,
  QmpError,
  Real,
  toJson,
  visitArguments,
  visitType,
  type Commands,
  type QmpValue,
  type SchemaInfo,
} from '../../src/qapi';
import { commands, events, findType, typeNames, type SchemaType } from '../../src/qapi/schema';

describe('the schema', () => {
  it('mentions no type that it does not describe', () => {
    for (const name of typeNames()) {
      const type = findType(name);
      if (type.kind === 'object') {
        for (const member of type.members) findType(member.type);
        for (const variant of type.variants.values()) findType(variant);
      }
      if (type.kind === 'alternate') type.branches.forEach(findType);
    }
    for (const command of commands()) [command.arguments, command.returns].forEach(findType);
    for (const event of events()) findType(event.data);
  });

  it('has the 75 commands and 13 events of the reference', () => {
    expect(commands()).toHaveLength(75);
    expect(events()).toHaveLength(13);
  });

  it('gives every alternate branches of different kinds', () => {
    for (const name of typeNames()) {
      const type = findType(name);
      if (type.kind !== 'alternate') continue;
      const kinds = type.branches.map((branch) => (findType(branch).kind === 'enum' ? 'str' : branch));
      expect(new Set(kinds).size).toBe(kinds.length);
    }
  });

  it('has every tag among the members of its union, and every variant among the values of the tag', () => {
    for (const name of typeNames()) {
      const type = findType(name);
      if (type.kind !== 'object' || type.tag === undefined) continue;
      const tag = type.members.find((member) => member.name === type.tag);
      const values = findType(tag?.type ?? 'null');
      if (values.kind !== 'enum') throw new Error(`tag of ${name}`);
      for (const variant of type.variants.keys()) expect(values.values.map((v) => v.name)).toContain(variant);
    }
  });

  it('is what types.generated.ts was made from', () => {
    execFileSync('node_modules/.bin/tsx', ['scripts/generate-types.mjs', '--check']);
  }, 60_000);
});

/** Walks introspection and schema side by side. */
class Walk {
  private readonly byName = new Map<string, SchemaInfo>();
  private readonly seen = new Set<string>();

  constructor(reply: readonly SchemaInfo[]) {
    for (const entry of reply) this.byName.set(`${rootKind(entry)}${entry.name}`, entry);
  }

  root(kind: 'command' | 'event', name: string): SchemaInfo {
    const entry = this.byName.get(kind + name);
    if (!entry) throw new Error(`${kind} ${name} is not in the reply`);
    return entry;
  }

  compare(shown: string, type: SchemaType): void {
    if (this.seen.has(`${shown} ${type.name}`)) return;
    this.seen.add(`${shown} ${type.name}`);
    const entry = this.byName.get(shown);
    if (!entry) throw new Error(`type ${shown} (${type.name}) is not in the reply`);
    expect(entry['meta-type']).toBe(type.kind);
    if (entry['meta-type'] === 'array' && type.kind === 'array')
      this.compare(entry['element-type'], findType(type.element));
    if (entry['meta-type'] === 'enum' && type.kind === 'enum')
      expect(entry.members.map((m) => m.name)).toEqual(type.values.map((v) => v.name));
    if (entry['meta-type'] === 'alternate' && type.kind === 'alternate')
      for (const [i, branch] of type.branches.entries())
        this.compare(entry.members[i]?.type ?? '', findType(branch));
    if (entry['meta-type'] === 'object' && type.kind === 'object') {
      expect(entry.members.map((m) => m.name)).toEqual(type.members.map((m) => m.name));
      expect(entry.tag).toBe(type.tag);
      for (const [i, member] of type.members.entries()) {
        const shownMember = entry.members[i];
        expect(shownMember !== undefined && 'default' in shownMember).toBe(member.optional);
        this.compare(shownMember?.type ?? '', findType(member.type));
      }
      const variants = new Map((entry.variants ?? []).map((v) => [v.case, v.type]));
      for (const [value, variant] of type.variants)
        this.compare(variants.get(value) ?? '', findType(variant));
    }
  }
}

const rootKind = (entry: SchemaInfo): string =>
  entry['meta-type'] === 'command' || entry['meta-type'] === 'event' ? entry['meta-type'] : '';

describe('query-qmp-schema', () => {
  it('describes every command and event, with every type that they mention', () => {
    const reply = querySchema();
    const walk = new Walk(reply);
    for (const command of commands()) {
      const entry = walk.root('command', command.name);
      if (entry['meta-type'] !== 'command') throw new Error(command.name);
      walk.compare(entry['arg-type'], findType(command.arguments));
      walk.compare(entry['ret-type'], findType(command.returns));
    }
    for (const event of events()) {
      const entry = walk.root('event', event.name);
      if (entry['meta-type'] !== 'event') throw new Error(event.name);
      walk.compare(entry['arg-type'], findType(event.data));
    }
  });

  it('has each name once, hides type names and is a value of its own type', () => {
    const reply = querySchema();
    const names = reply.map((entry) => rootKind(entry) + entry.name);
    expect(new Set(names).size).toBe(names.length);
    for (const entry of reply) if (entry['meta-type'] === 'object') expect(entry.name).toMatch(/^\d+$/);
    expect(orderOutput('[SchemaInfo]', reply)).toEqual(
      visitType('[SchemaInfo]', JSON.parse(toJson(reply)) as QmpValue),
    );
  });
});

describe('visitors', () => {
  const error = (call: () => unknown): string => {
    try {
      call();
    } catch (thrown) {
      if (thrown instanceof QmpError) return thrown.desc;
      throw thrown;
    }
    return 'no error';
  };

  it('is exact to 2^53 and says so beyond', () => {
    expect(visitArguments('block_resize', { size: 2 ** 53 }).size).toBe(2 ** 53);
    expect(visitArguments('block_resize', { size: -(2 ** 53) }).size).toBe(-(2 ** 53));
    expect(error(() => visitArguments('block_resize', { size: 2n ** 53n + 1n }))).toBe(
      "Parameter 'size' is 9007199254740993, but qsd-web handles integers exactly only up to 9007199254740992 (2^53)",
    );
    // A negative number for an unsigned member is a number just below 2^64.
    expect(
      error(() => visitArguments('block-set-write-threshold', { 'node-name': 'a', 'write-threshold': -1 })),
    ).toMatch(/'write-threshold' is 18446744073709551615, but/);
  });

  it('tells 1 from 1.0', () => {
    expect(error(() => visitArguments('block_resize', { size: new Real(1) }))).toBe(
      "Invalid parameter type for 'size', expected: integer",
    );
  });

  it('takes no member from the prototype', () => {
    expect(
      error(() => visitArguments('job-pause', JSON.parse('{"__proto__": {"id": "a"}}') as QmpValue)),
    ).toBe("Parameter 'id' is missing");
    expect(error(() => visitArguments('job-pause', { id: 'a', constructor: 1 }))).toBe(
      "Parameter 'constructor' is unexpected",
    );
  });

  it('types arguments by command', () => {
    expectTypeOf(visitArguments('block_resize', { size: 1 })).toEqualTypeOf<{
      device?: string;
      'node-name'?: string;
      size: number;
    }>();
    expectTypeOf<Commands['query-version']['return']['qemu']['major']>().toEqualTypeOf<number>();
  });
});

describe('output', () => {
  it('follows the schema, drops what is undefined and refuses what the schema has not', () => {
    const job = {
      status: 'running',
      id: 'j',
      error: undefined,
      type: 'create',
      'total-progress': 1,
      'current-progress': 0,
    };
    expect(Object.keys(orderOutput('JobInfo', job) as object)).toEqual([
      'id',
      'type',
      'status',
      'current-progress',
      'total-progress',
    ]);
    expect(() => orderOutput('JobInfo', { ...job, foo: 1 })).toThrow("'foo' is not in type JobInfo");
    expect(() => orderOutput('JobInfo', { id: 'j' })).toThrow("'type' is missing in a value of JobInfo");
  });
});

describe('the catalogue', () => {
  it('explains every command and event', () => {
    for (const name of commandNames()) expect(describeCommand(name)?.help).toMatch(/^[A-Z].*[a-z)]$/);
    for (const name of eventNames()) expect(describeEvent(name)).toMatch(/^[A-Z].*[a-z]$/);
    expect(describeCommand('foo')).toBeNull();
  });

  it('completes along unions, alternates and lists', () => {
    const names = (list: { name: string }[]): string[] => list.map((member) => member.name);
    expect(names(completions('blockdev-add', ''))).not.toContain('file');
    const given = { driver: 'qcow2', 'file.driver': 'file' };
    expect(names(completions('blockdev-add', '', given))).toContain('lazy-refcounts');
    expect(names(completions('blockdev-add', 'file', given))).toContain('filename');
    expect(completions('blockdev-add', 'cache').map((m) => m.values)).toEqual([
      ['true', 'false'],
      ['true', 'false'],
    ]);
    expect(names(completions('blockdev-reopen', 'options.0', { 'options.0.driver': 'raw' }))).toContain(
      'offset',
    );
    expect(completions('blockdev-add', 'nothing.there')).toEqual([]);
    expect(completions('foo', '')).toEqual([]);
    const driver = membersOf('BlockdevOptions').find((member) => member.name === 'driver');
    expect(driver?.values).toContain('qcow2');
    expect(driver?.values).not.toContain('io_uring');
    expect(completions('block_resize', '').find((m) => m.name === 'node-name')?.refersTo).toBe('node');
  });
});
