/** qemu-nbd --list: what a server exports, and what it says of each. */
import { ClientHandshake, flagNames, NbdFailure, type ListedExport, type Upgrade } from '../../nbd/index';
import type { SocketAddress } from '../../qapi/index';
import { ToolFailure } from '../../tools/failure';
import { connectTo } from '../connect';

/** Milliseconds that a server may be silent. The real program waits for ever. */
const PATIENCE = 60_000;

/** The text that the program prints. `upgrade` begins TLS; null: there is to be none. */
export async function listOf(address: SocketAddress, upgrade: Upgrade | null): Promise<string> {
  const stream = await connectTo(address);
  const timer = setTimeout(() => stream.destroy(), PATIENCE);
  const handshake = new ClientHandshake(stream, upgrade);
  try {
    return listing(await handshake.list());
  } catch (error) {
    throw error instanceof NbdFailure ? new ToolFailure(error.message, error.hints) : error;
  } finally {
    clearTimeout(timer);
    handshake.stream.close();
  }
}

/** A list as the program prints it. */
export function listing({ exports, style }: Awaited<ReturnType<ClientHandshake['list']>>): string {
  const header = style === 'extended' ? 64 : 32;
  return [
    `exports available: ${exports.length}\n`,
    ...exports.map((listed) => describe(listed, header)),
  ].join('');
}

function describe({ name, description, details, contexts }: ListedExport, header: number): string {
  const lines = [` export: '${name}'`];
  if (description !== '') lines.push(`  description: ${description}`);
  if (details?.flags) {
    lines.push(`  size:  ${details.size}`);
    lines.push(
      `  flags: 0x${details.flags.toString(16)} ( ${flagNames(details.flags)
        .map((name) => `${name} `)
        .join('')})`,
    );
  }
  if (details?.blocks) {
    lines.push(`  min block: ${details.blocks.minimum}`);
    lines.push(`  opt block: ${details.blocks.preferred}`);
    lines.push(`  max block: ${details.blocks.maximum}`);
  }
  lines.push(`  transaction size: ${header}-bit`);
  if (contexts.length > 0) {
    lines.push(`  available meta contexts: ${contexts.length}`);
    for (const context of contexts) lines.push(`   ${context}`);
  }
  return `${lines.join('\n')}\n`;
}
