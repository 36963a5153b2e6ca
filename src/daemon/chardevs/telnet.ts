/**
 * The server's side of telnet (RFC 854), and of telnet for terminals of the 3270 kind (RFC 1576): a server says what it does and
 * wants when a client comes, and takes the commands of the client out of what comes in.
 */
import type { ByteStream } from '../../nbd/index';

const IAC = 255;
const [SE, SB, WILL, DO, DONT] = [240, 250, 251, 253, 254];
const [BINARY, ECHO, SUPPRESS_GO_AHEAD, TERMINAL_TYPE, END_OF_RECORD] = [0, 1, 3, 24, 25];
/** Asks for the value of an option. */
const SEND = 1;

/** The server echoes, both send bytes at any time, and any bytes. */
const HELLO = Uint8Array.of(
  ...[IAC, WILL, ECHO],
  ...[IAC, WILL, SUPPRESS_GO_AHEAD],
  ...[IAC, WILL, BINARY],
  ...[IAC, DO, BINARY],
);

/** Both send records of any bytes, and the client says what terminal it is. */
const HELLO_3270 = Uint8Array.of(
  ...[IAC, DO, END_OF_RECORD, IAC, WILL, END_OF_RECORD],
  ...[IAC, DO, BINARY, IAC, WILL, BINARY],
  ...[IAC, DO, TERMINAL_TYPE, IAC, SB, TERMINAL_TYPE, SEND, IAC, SE],
);

/** Greets a client; the result carries the bytes that are no commands. */
export async function acceptTelnet(stream: ByteStream, protocol: 'telnet' | 'tn3270'): Promise<ByteStream> {
  await stream.write([protocol === 'telnet' ? HELLO : HELLO_3270]);
  const filter = protocol === 'telnet' ? telnetFilter() : filter3270();
  return {
    async read() {
      for (let piece = await stream.read(); piece; piece = await stream.read()) {
        const text = Uint8Array.from([...piece].flatMap(filter));
        if (text.length > 0) return text;
      }
      return null;
    },
    write: (pieces, sent) => stream.write(protocol === 'telnet' ? pieces.map(escaped) : pieces, sent),
    close: () => stream.close(),
    destroy: () => stream.destroy(),
    ...(stream.ends && { ends: stream.ends }),
  };
}

/** Answers the bytes of the text that a byte completes. What a command is, the bytes before say. */
type Filter = (byte: number) => number[];

function isVerb(byte: number): boolean {
  return byte >= WILL && byte <= DONT;
}

function telnetFilter(): Filter {
  let state: 'text' | 'command' | 'option' | 'value' | 'value-command' = 'text';
  return (byte) => {
    switch (state) {
      case 'text':
        if (byte !== IAC) return [byte];
        state = 'command';
        return [];
      case 'command':
        state = isVerb(byte) ? 'option' : byte === SB ? 'value' : 'text';
        // Twice, it is a byte of the text.
        return byte === IAC ? [IAC] : [];
      case 'option':
        state = 'text';
        return [];
      case 'value':
        if (byte === IAC) state = 'value-command';
        return [];
      case 'value-command':
        state = byte === SE ? 'text' : 'value';
        return [];
    }
  };
}

/** Records, and what the terminal says of itself, are for the user of the device: only options are taken out. */
function filter3270(): Filter {
  let state: 'text' | 'command' | 'option' = 'text';
  return (byte) => {
    if (state === 'text' && byte !== IAC) return [byte];
    if (state === 'text') state = 'command';
    else if (state === 'command' && isVerb(byte)) state = 'option';
    else {
      const text = state === 'command' ? [IAC, byte] : [];
      state = 'text';
      return text;
    }
    return [];
  };
}

/** A byte that would begin a command is sent twice. */
function escaped(bytes: Uint8Array): Uint8Array {
  if (!bytes.includes(IAC)) return bytes;
  return Uint8Array.from([...bytes].flatMap((byte) => (byte === IAC ? [IAC, IAC] : [byte])));
}
