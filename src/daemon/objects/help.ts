/** What `--object help` and `--object TYPE,help` print. */
import { parseKeyvalRequest } from '../../qapi/index';
import { UNAVAILABLE } from './kinds';
import { listTypes, propertiesOf } from './types';

/**
 * The text, if the value of --object asks for one. Throws the text for the user for what is wrong with it.
 * @param hidden types that the program has not
 */
export function objectHelp(value: string, hidden: readonly string[] = []): string | null {
  if (value.startsWith('{')) return null;
  const { options: given, help } = parseKeyvalRequest(value, 'qom-type');
  if (!help) return null;
  const name = typeof given['qom-type'] === 'string' ? given['qom-type'] : '';
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
