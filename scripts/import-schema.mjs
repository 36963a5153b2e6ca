#!/usr/bin/env node
// Makes src/qapi/schema/*.json: the interface as data, one file a chapter of the reference.
//
//   node scripts/import-schema.mjs INTERFACE.json REPLY.json REFERENCE.md
//
// INTERFACE.json  the 9.1 interface: {commands, events, objects, enums, alternates}, members in no order
// REPLY.json      what a real storage daemon answers to query-qmp-schema: the order of members and commands (they are
//                 visited in it, so it decides which error comes first) and the conditions that hold on Linux
// REFERENCE.md    the reference manual as text: chapters, and the order of what the reply does not show
//
// Needed again only when the specification changes. Afterwards run scripts/generate-types.mjs.
import { readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';

const [interfacePath, replyPath, referencePath] = process.argv.slice(2);
if (!referencePath) {
  console.error('usage: import-schema.mjs INTERFACE.json REPLY.json REFERENCE.md');
  process.exit(2);
}
const spec = JSON.parse(readFileSync(interfacePath, 'utf8'));
const reply = JSON.parse(readFileSync(replyPath, 'utf8')).return;
const reference = readFileSync(referencePath, 'utf8').split('\n');

const CHAPTERS = {
  'COMMON DATA TYPES': 'common',
  'SOCKET DATA TYPES': 'sockets',
  CRYPTOGRAPHY: 'crypto',
  'BACKGROUND JOBS': 'jobs',
  'BLOCK DEVICES': 'block',
  'CHARACTER DEVICES': 'chardev',
  'USER AUTHORIZATION': 'authz',
  TRANSACTIONS: 'transaction',
  'QMP MONITOR CONTROL': 'control',
  'QMP INTROSPECTION': 'introspect',
  'QEMU OBJECT MODEL (QOM)': 'qom',
};

// ---- the reference: chapter and member order of each definition

const chapterOf = new Map();
const documented = new Map();
{
  let chapter = 'common';
  let current = null;
  let inMembers = false;
  for (const line of reference) {
    if (line.startsWith('# ')) chapter = CHAPTERS[line.slice(2)] ?? chapter;
    const head = /^## (\S+) \((\w+)\)$/.exec(line);
    if (head) {
      current = { own: [], bases: [] };
      inMembers = false;
      chapterOf.set(head[1], chapter);
      documented.set(head[1], current);
    } else if (line.startsWith('**')) inMembers = /^\*\*(Members|Arguments)\*\*/.test(line);
    else if (current && inMembers) {
      const base = /^- The members of (\S+)$/.exec(line);
      const own = /^- ([\w-]+): /.exec(line);
      if (base) current.bases.push(base[1]);
      else if (own) current.own.push(own[1]);
    }
  }
}
const documentedOrder = (name) => {
  const doc = documented.get(name);
  return doc ? [...doc.bases.flatMap(documentedOrder), ...doc.own] : [];
};

// ---- the reply: order of what is reachable, and the conditions

const types = new Map();
const roots = new Map();
for (const e of reply) {
  if (e['meta-type'] === 'command' || e['meta-type'] === 'event') roots.set(e.name, e);
  else types.set(e.name, e);
}
const realName = new Map();
const holds = new Map();
function match(name, masked) {
  if (!name || realName.has(name)) return;
  if (name.startsWith('[')) return match(name.slice(1, -1), types.get(masked)['element-type']);
  realName.set(name, masked);
  const real = types.get(masked);
  if (spec.enums[name]) {
    const values = new Set(real.members.map((m) => m.name));
    for (const v of spec.enums[name].values) if (v.if) holds.set(v.if, values.has(v.name));
  } else if (spec.alternates[name]) {
    for (const type of Object.values(spec.alternates[name])) {
      const kind = spec.objects[type] ? 'object' : spec.enums[type] ? 'enum' : 'builtin';
      const found = real.members.find((m) => types.get(m.type)['meta-type'] === kind);
      if (kind !== 'builtin') match(type, found.type);
    }
  } else if (spec.objects[name]) {
    const members = new Map(real.members.map((m) => [m.name, m.type]));
    for (const [key, m] of Object.entries(spec.objects[name].members)) {
      if (m.if) holds.set(m.if, members.has(key));
      if (members.has(key)) match(m.type, members.get(key));
    }
    const variants = new Map((real.variants ?? []).map((v) => [v.case, v.type]));
    for (const [key, b] of Object.entries(spec.objects[name].branches ?? {}))
      if (variants.has(key)) match(b.type, variants.get(key));
  }
}
for (const kind of ['commands', 'events'])
  for (const [name, def] of Object.entries(spec[kind])) {
    match(def.arg, roots.get(name)['arg-type']);
    match(def.ret, roots.get(name)['ret-type']);
  }

/** The wanted names in the given order; what it does not have comes where the second order has it, or last. */
function inOrder(names, first, second) {
  const sorted = first.filter((n) => names.includes(n));
  for (const name of [...second, ...names]) {
    if (!names.includes(name) || sorted.includes(name)) continue;
    const before = second.slice(0, second.indexOf(name)).filter((n) => sorted.includes(n));
    if (!second.includes(name)) sorted.push(name);
    else sorted.splice(before.length ? sorted.indexOf(before.at(-1)) + 1 : 0, 0, name);
  }
  return sorted;
}

// ---- chapters

const chapters = Object.fromEntries(
  Object.values(CHAPTERS).map((c) => [
    c,
    { commands: {}, events: {}, objects: {}, enums: {}, alternates: {} },
  ]),
);
const chapterFor = (name) => {
  const implicit = /^q_obj_(.*)-(arg|base)$/.exec(name) ?? /^(.*?)Wrapper$/.exec(name);
  const chapter = chapterOf.get(name) ?? (implicit && chapterOf.get(implicit[1]));
  if (!chapter) console.error(`no chapter for ${name}`);
  return chapter ?? 'common';
};
const member = (m) => {
  const plain = Object.keys(m).every((k) => k === 'type' || k === 'optional');
  return plain
    ? m.type
    : { type: m.type, ...(m.features && { features: m.features }), ...(m.if && { if: m.if }) };
};
const annotations = (d) => ({ ...(d.features && { features: d.features }), ...(d.if && { if: d.if }) });

for (const [name, def] of Object.entries(spec.enums)) {
  const values = def.values.map((v) => (typeof v === 'string' || Object.keys(v).length > 1 ? v : v.name));
  chapters[chapterFor(name)].enums[name] = def.if ? { values, if: def.if } : values;
}
for (const [name, def] of Object.entries(spec.alternates))
  chapters[chapterFor(name)].alternates[name] = Object.values(def);
for (const [name, def] of Object.entries(spec.objects)) {
  const real = types.get(realName.get(name));
  const names = Object.keys(def.members);
  const order = inOrder(names, real ? real.members.map((m) => m.name) : [], documentedOrder(name));
  const members = {};
  for (const key of order) members[def.members[key].optional ? `${key}?` : key] = member(def.members[key]);
  const out = { members, ...annotations(def) };
  if (def.tag) {
    out.tag = def.tag;
    const branches = Object.keys(def.branches);
    out.variants = {};
    for (const key of inOrder(branches, real ? real.variants.map((v) => v.case) : [], [])) {
      const branch = def.branches[key];
      out.variants[key] = branch.if ? { type: branch.type, if: branch.if } : branch.type;
    }
  }
  if (name.startsWith('q_obj_') && name.endsWith('-base')) continue; // only the flattened types are needed
  chapters[chapterFor(name)].objects[name] = out;
}
for (const name of roots.keys()) {
  const command = spec.commands[name];
  const event = spec.events[name];
  if (command)
    chapters[chapterFor(name)].commands[name] = {
      ...(command.arg && { arguments: command.arg }),
      ...(command.ret && { returns: command.ret }),
      ...(command.oob && { oob: true }),
      ...annotations(command),
    };
  if (event)
    chapters[chapterFor(name)].events[name] = {
      ...(event.arg && { data: event.arg }),
      ...annotations(event),
    };
}

const options = { ...(await resolveConfig('src/qapi/schema/x.json')), parser: 'json' };
for (const [name, chapter] of Object.entries(chapters))
  writeFileSync(`src/qapi/schema/${name}.json`, await format(JSON.stringify(chapter), options));
console.log(
  'conditions that hold:',
  [...holds]
    .filter(([, v]) => v)
    .map(([k]) => k)
    .sort()
    .join(' '),
);
console.log(
  'conditions that do not:',
  [...holds]
    .filter(([, v]) => !v)
    .map(([k]) => k)
    .sort()
    .join(' '),
);
