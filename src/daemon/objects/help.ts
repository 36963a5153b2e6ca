/** What `--object help` and `--object TYPE,help` print. */
import { UNAVAILABLE } from './kinds';
import { listTypes, propertiesOf } from './types';

/**
 * The text, if the value of --object asks for one.
 * @param hidden types that the program has not
 */
export function objectHelp(value: string, hidden: readonly string[] = []): string | null {
  const [name = '', ...rest] = value.split(',');
  if (![name, ...rest].some((word) => word === 'help' || word === '?')) return null;
  const types = listTypes('user-creatable', false)
    .map((type) => type.name)
    .filter((type) => UNAVAILABLE[type] === undefined && !hidden.includes(type))
    .sort();
  if (!types.includes(name)) {
    return `List of user creatable objects:\n${types.map((type) => `  ${type}\n`).join('')}`;
  }
  const options = propertiesOf(name)
    .filter((property) => property.name !== 'type')
    .map((property) => `  ${property.name}=<${property.type}>\n`)
    .sort();
  return `${name} options:\n${options.join('')}`;
}
