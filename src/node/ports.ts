/** Ports as getaddrinfo(3) reads them. */
import { readFileSync } from 'node:fs';
import { QmpError } from '../qapi/index';

/** Names of services with their ports. */
const SERVICES = '/etc/services';

/** What is known of an address besides its host. */
export interface PortRequest {
  /** As it is shown, `HOST:PORT`. */
  shown: string;
  protocol: 'tcp' | 'udp';
  /** No name is looked up. */
  numeric?: boolean;
}

/** A port by its number, of which the lowest 16 bits count, or by the name of a service. Throws the text for the user. */
export function portOf(port: string, { shown, protocol, numeric = false }: PortRequest): number {
  if (/^\d+$/.test(port)) return Number(BigInt(port) & 0xffffn);
  const found = numeric ? undefined : serviceOf(port, protocol);
  if (found !== undefined) return found;
  const reason = numeric ? 'Name or service not known' : 'Servname not supported for ai_socktype';
  throw new QmpError(`address resolution failed for ${shown}: ${reason}`);
}

function serviceOf(name: string, protocol: string): number | undefined {
  let text = '';
  try {
    text = readFileSync(SERVICES, 'utf8');
  } catch {
    // Not every system has such a list.
  }
  for (const line of text.split('\n')) {
    // NAME PORT/PROTOCOL ALIAS... # comment
    const [first, place = '', ...aliases] = line.replace(/#.*/, '').split(/\s+/);
    const [number, spoken] = place.split('/');
    if (spoken === protocol && (first === name || aliases.includes(name)) && name !== '')
      return Number(number);
  }
  return undefined;
}
