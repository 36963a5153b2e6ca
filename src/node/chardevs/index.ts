/** Character devices that the system brings: the standard input and output, files of any kind, pipes, datagrams and terminals. */
import type { ChardevKind, PlatformChardevs } from '../../daemon/chardevs/device';
import type { ByteStream } from '../../nbd/index';
import { QmpError, type ChardevBackend } from '../../qapi/index';
import { openDatagrams } from './datagrams';
import { DuplexStream } from './duplex';
import { openFile, openPipe } from './files';
import { parallelRefusal } from './parallel';
import { openSerial } from './serial';
import { openTerminal } from './terminal';

const KINDS: readonly ChardevKind[] = ['file', 'pipe', 'pty', 'serial', 'stdio', 'udp'];

/** @param directory where relative paths begin */
export function nodeChardevs(directory = ''): PlatformChardevs {
  let hasStdio = false;
  return {
    kinds: KINDS,
    reason: (backend) =>
      backend.type === 'parallel' ? parallelRefusal(backend.data.device, directory) : undefined,
    openTerminal,
    async open(backend: ChardevBackend): Promise<ByteStream> {
      switch (backend.type) {
        case 'stdio':
          if (hasStdio) throw new QmpError('cannot use stdio by multiple character devices');
          hasStdio = true;
          return new DuplexStream(process.stdin, process.stdout, () => (hasStdio = false));
        case 'file':
          return openFile(backend.data, directory);
        case 'pipe':
          return openPipe(backend.data.device, directory);
        case 'serial':
          return openSerial(backend.data.device, directory);
        case 'udp':
          return openDatagrams(backend.data);
        default:
          throw new TypeError(`no character device of kind ${backend.type}`);
      }
    },
  };
}
