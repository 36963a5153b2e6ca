/** The help of qemu-img, made from the declarations of its verbs. */
import type { VerbDeclaration, VerbOption } from './declaration';

const WIDTH = 30;

/** `qemu-img VERB --help`. */
export function verbHelp(verb: VerbDeclaration): string {
  const rows = verb.options.map((option) => row(optionNames(option), option.help));
  return `${verb.summary}.\n\nUsage: qemu-img ${verb.name} [options] ${verb.operands}\n\nOptions:\n${rows.join('')}`;
}

/** `qemu-img --help`. */
export function mainHelp(verbs: readonly VerbDeclaration[]): string {
  return [
    'Makes, shows and converts disk images.\n\n',
    'Usage: qemu-img [--help | --version] VERB [options]\n\nVerbs (qemu-img VERB --help tells more):\n',
    ...verbs.map((verb) => row(verb.name, verb.summary)),
    '\nSizes are bytes in decimal or, with 0x, hexadecimal digits; a suffix k, M, G, T, P or E multiplies by 1024, 1024^2 ...\n',
  ].join('');
}

function optionNames(option: VerbOption): string {
  const names = option.short ? [`-${option.short}`] : [];
  if (option.long?.[0] !== undefined) names.push(`--${option.long[0]}`);
  return names.join(', ') + (option.value ? ` ${option.value}` : '');
}

function row(left: string, right: string): string {
  return left.length < WIDTH
    ? `  ${left.padEnd(WIDTH)}${right}\n`
    : `  ${left}\n  ${' '.repeat(WIDTH)}${right}\n`;
}
