// Makes src/qapi/types.generated.ts from src/qapi/schema/*.json.
//
//   npx tsx scripts/generate-types.mjs [--check]      --check: only say (exit code 1) if the file is not up to date
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { commands, EMPTY, events, findType, typeNames } from '../src/qapi/schema.ts';

const path = fileURLToPath(new URL('../src/qapi/types.generated.ts', import.meta.url));

const pascal = (name) =>
  name
    .split(/[-_]/)
    .map((part) => (part === part.toUpperCase() ? part.toLowerCase() : part))
    .map((part) => part.slice(0, 1).toUpperCase() + part.slice(1))
    .join('');
const eventNames = new Set(events().map((event) => event.name));
const typeName = (name) => {
  const implicit = /^q_obj_(.*)-arg$/.exec(name);
  return implicit ? pascal(implicit[1]) + (eventNames.has(implicit[1]) ? 'Data' : 'Arguments') : name;
};
const BUILTIN = { str: 'string', bool: 'boolean', null: 'null', any: 'PlainValue', QType: 'string' };
const reference = (name) => {
  const type = findType(name);
  if (type.kind === 'builtin') return BUILTIN[name] ?? 'number';
  if (type.kind === 'array') {
    const element = reference(type.element);
    return `${element}[]`;
  }
  return name === EMPTY ? 'Empty' : typeName(name);
};
const note = (features) => (features.length ? `/** ${features.join(', ')} */ ` : '');
const members = (type, without) =>
  type.members
    .filter((member) => member.name !== without)
    .map((m) => `${note(m.features)}'${m.name}'${m.optional ? '?' : ''}: ${reference(m.type)};`)
    .join('\n');

function declaration(type) {
  const name = typeName(type.name);
  switch (type.kind) {
    case 'enum':
      return `export type ${name} = ${type.values.map((value) => `'${value.name}'`).join(' | ')};`;
    case 'alternate':
      return `export type ${name} = ${type.branches.map(reference).join(' | ')};`;
    case 'object': {
      if (type.tag === undefined)
        return type.members.length
          ? `export type ${name} = {${members(type)}};`
          : `export type ${name} = Empty;`;
      const tag = type.members.find((member) => member.name === type.tag);
      const values = findType(tag.type).values.map((value) => value.name);
      const plain = values.filter((value) => !type.variants.has(value));
      const cases = [...type.variants].map(
        ([value, variant]) => `({ '${tag.name}': '${value}' } & ${reference(variant)})`,
      );
      if (plain.length) cases.push(`{ '${tag.name}': ${plain.map((value) => `'${value}'`).join(' | ')} }`);
      return `export type ${name} = {${members(type, type.tag)}} & (${cases.join(' | ')});`;
    }
  }
}

const text = `// Made by scripts/generate-types.mjs from src/qapi/schema/*.json. Do not edit.
/* eslint-disable @typescript-eslint/consistent-type-definitions */
import type { PlainValue } from './value';

/** An object without members. */
export type Empty = Record<string, never>;

${typeNames()
  .map(findType)
  .filter((type) => type.kind !== 'builtin' && type.name !== EMPTY)
  .map(declaration)
  .join('\n\n')}

/** Arguments and result of each command. */
export interface Commands {
${commands()
  .map(
    (c) =>
      `${note(c.features)}'${c.name}': { arguments: ${reference(c.arguments)}; return: ${reference(c.returns)} };`,
  )
  .join('\n')}
}

/** Data of each event. */
export interface Events {
${events()
  .map((e) => `${note(e.features)}'${e.name}': ${reference(e.data)};`)
  .join('\n')}
}

export type CommandName = keyof Commands;
export type EventName = keyof Events;
`;
const wanted = await format(text, { ...(await resolveConfig(path)), parser: 'typescript' });
if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== wanted) {
    console.error('src/qapi/types.generated.ts is not up to date: run npx tsx scripts/generate-types.mjs');
    process.exit(1);
  }
} else writeFileSync(path, wanted);
