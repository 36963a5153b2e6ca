/** Runs the named cases of a module, for testInBrowser() of suite.ts. */
import type { Case } from '../files/conformance';

let cases: readonly Case[] = [];

export async function load(module: string): Promise<void> {
  ({ cases } = (await import(/* @vite-ignore */ module)) as { cases: readonly Case[] });
}

export async function run(name: string): Promise<void> {
  const found = cases.find((one) => one.name === name);
  if (!found) throw new Error(`no case ${name}`);
  await found.run();
}
