/**
 * The server's side of a WebSocket (RFC 6455) over any stream of bytes. What it carries is again a stream: binary messages in
 * both directions, whose borders mean nothing. What is refused, and in which words, is as with QEMU.
 */
import { ByteReader, encodeText, viewOf, type ByteStream } from './stream';

/** Bytes of a request for a WebSocket, at most. */
const MAX_REQUEST = 4096;
/** Fields that a request has, at most. */
const MAX_FIELDS = 32;
/** Bytes that a control frame carries, at most. */
const MAX_CONTROL = 125;
/** What a client's key is hashed with. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
/** The only subprotocol. */
const PROTOCOL = 'binary';

const OPCODE = { more: 0, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Why a connection ends, as the frame that closes it says it. */
const STATUS = { normal: 1000, protocol: 1002, unacceptable: 1003 } as const;

/**
 * Answers a client's request. Rejects when it is none that can be granted; the client has been told then, and the connection is
 * to be closed.
 * @param allows whether pages of an origin may connect; null: the client is no page
 */
export async function acceptWebSocket(
  stream: ByteStream,
  allows: (origin: string | null) => boolean = () => true,
): Promise<ByteStream> {
  const { head, early } = await readHead(stream);
  let refusal = head === null ? '403 Request Entity Too Large' : refusalOf(head);
  if (refusal === null && !allows(head?.fields.get('origin') ?? null)) refusal = '403 Forbidden';
  if (head === null || refusal !== null) {
    const version = refusal?.startsWith('400') ? 'Sec-WebSocket-Version: 13\r\n' : '';
    await stream.write([encodeText(response(refusal ?? '', `Connection: close\r\n${version}`))]);
    throw new Error(`A WebSocket was refused: ${refusal}`);
  }
  const accept = await acceptKey(head.fields.get('sec-websocket-key') ?? '');
  const chosen = head.fields.has('sec-websocket-protocol') ? `Sec-WebSocket-Protocol: ${PROTOCOL}\r\n` : '';
  const fields = `Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${chosen}`;
  await stream.write([encodeText(response('101 Switching Protocols', fields))]);
  return new WebSocketStream(stream, early);
}

function response(status: string, fields: string): string {
  return `HTTP/1.1 ${status}\r\nServer: qsd-web\r\nDate: ${new Date().toUTCString()}\r\n${fields}\r\n`;
}

/** A request of HTTP: its first line, and its fields by names in small letters. */
interface RequestHead {
  readonly line: string;
  readonly fields: ReadonlyMap<string, string>;
}

/** @returns the head, null if it is too long; and what came behind it */
async function readHead(stream: ByteStream): Promise<{ head: RequestHead | null; early: Uint8Array }> {
  let bytes = new Uint8Array(0);
  for (;;) {
    const end = latin1(bytes.subarray(0, MAX_REQUEST)).indexOf('\r\n\r\n');
    if (end >= 0) return { head: parseHead(latin1(bytes.subarray(0, end))), early: bytes.subarray(end + 4) };
    if (bytes.length >= MAX_REQUEST) return { head: null, early: bytes };
    const piece = await stream.read();
    if (!piece) throw new Error('The client of a WebSocket has gone');
    const longer = new Uint8Array(bytes.length + piece.length);
    longer.set(bytes);
    longer.set(piece, bytes.length);
    bytes = longer;
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

/** Lines without a colon make the request a bad one: its first line is empty then. */
function parseHead(text: string): RequestHead {
  const [line = '', ...lines] = text.split('\r\n');
  const fields = new Map<string, string>();
  for (const field of lines) {
    const colon = field.indexOf(':');
    if (colon < 0 || lines.length > MAX_FIELDS) return { line: '', fields };
    fields.set(field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim());
  }
  return { line, fields };
}

/** The status that a request is refused with; null: it is granted. */
function refusalOf({ line, fields }: RequestHead): string | null {
  const bad = '400 Bad Request';
  const request = /^GET (\S+) HTTP\/1\.1$/.exec(line);
  if (!request) return bad;
  if (request[1] !== '/') return '404 Not Found';
  const has = (name: string, word: string): boolean =>
    (fields.get(name) ?? '').split(',').some((each) => each.trim().toLowerCase() === word);
  const isWebSocket =
    fields.has('host') &&
    has('upgrade', 'websocket') &&
    has('connection', 'upgrade') &&
    fields.get('sec-websocket-version') === '13' &&
    /^[A-Za-z0-9+/]{22}==$/.test(fields.get('sec-websocket-key') ?? '') &&
    (!fields.has('sec-websocket-protocol') || has('sec-websocket-protocol', PROTOCOL));
  return isWebSocket ? null : bad;
}

async function acceptKey(key: string): Promise<string> {
  if (!crypto.subtle) throw new Error('WebSockets need a page that was loaded safely');
  const digest = await crypto.subtle.digest('SHA-1', encodeText(key + GUID));
  return btoa(latin1(new Uint8Array(digest)));
}

/** A frame of which the beginning has come. */
interface Frame {
  readonly opcode: number;
  readonly mask: Uint8Array;
  /** Bytes of it that are still to come. */
  left: number;
  /** Bytes of it that have come. */
  done: number;
}

class WebSocketStream implements ByteStream {
  private readonly reader: ByteReader;
  /** The frame of data that is being read. */
  private frame: Frame | null = null;
  /** Whether a message goes on in the next frame. */
  private isOpen = false;
  private hasEnded = false;
  readonly ends?: ByteStream['ends'] & object;

  constructor(
    private readonly stream: ByteStream,
    early: Uint8Array,
  ) {
    this.reader = new ByteReader(stream, early);
    if (stream.ends) this.ends = stream.ends;
  }

  async read(): Promise<Uint8Array | null> {
    while (!this.hasEnded) {
      const frame = this.frame ?? (await this.nextFrame());
      if (!frame) break;
      if (frame.left === 0) {
        this.frame = null;
        continue;
      }
      this.frame = frame;
      // What has come of a long frame is given out at once: nothing is kept until it is whole.
      if (!(await this.reader.wait(1))) break;
      return unmask(frame, this.reader.some(frame.left));
    }
    this.hasEnded = true;
    return null;
  }

  /** The next frame of data; frames of control are dealt with. Null: there is none. */
  private async nextFrame(): Promise<Frame | null> {
    const { reader } = this;
    for (;;) {
      if (!(await reader.wait(2))) return null;
      const [first = 0, second = 0] = reader.take(2);
      const opcode = first & 15;
      const isControl = opcode >= OPCODE.close;
      const short = second & 127;
      if ((first & 0x70) !== 0) return this.refuse(STATUS.protocol, 'reserved bits must be zero');
      if ((second & 128) === 0) return this.refuse(STATUS.protocol, 'client frames must be masked');
      if (!isKnown(opcode))
        return this.refuse(STATUS.unacceptable, 'only binary, close, ping, and pong frames are supported');
      if (isControl && short > MAX_CONTROL) return this.refuse(STATUS.protocol, 'control frame is too large');
      if (isControl && first < 128) return this.refuse(STATUS.protocol, 'control frames must be whole');
      if (!isControl && this.isOpen !== (opcode === OPCODE.more))
        return this.refuse(STATUS.protocol, 'frames of a message must follow each other');
      const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
      if (!(await reader.wait(lengthBytes + 4))) return null;
      const length = lengthOf(short, reader.take(lengthBytes));
      if (length === null) return this.refuse(STATUS.protocol, 'frame is too large');
      const frame: Frame = { opcode, mask: reader.take(4).slice(), left: length, done: 0 };
      if (!isControl) {
        this.isOpen = first < 128;
        return frame;
      }
      if (!(await reader.wait(length))) return null;
      const content = unmask(frame, reader.take(length));
      if (opcode === OPCODE.close) return this.refuse(STATUS.normal, 'peer requested close');
      // Who sends pings and takes no answers is not read meanwhile.
      if (opcode === OPCODE.ping) await this.stream.write([frameHead(OPCODE.pong, content.length), content]);
    }
  }

  /** Ends the connection, and tells why. */
  private refuse(status: number, reason: string): null {
    this.hasEnded = true;
    void this.sendClose(status, reason);
    return null;
  }

  private sendClose(status: number, reason: string): Promise<boolean> {
    const text = encodeText(reason);
    const content = new Uint8Array(2 + text.length);
    viewOf(content).setUint16(0, status);
    content.set(text, 2);
    return this.stream.write([frameHead(OPCODE.close, content.length), content]);
  }

  async write(pieces: readonly Uint8Array[], sent?: () => void): Promise<boolean> {
    if (this.hasEnded) return false;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    return this.stream.write([frameHead(OPCODE.binary, length), ...pieces], sent);
  }

  close(): void {
    if (!this.hasEnded) this.refuse(STATUS.normal, '');
    this.stream.close();
  }

  destroy(): void {
    this.hasEnded = true;
    this.stream.destroy();
  }
}

function isKnown(opcode: number): boolean {
  return Object.values<number>(OPCODE).includes(opcode);
}

/** The length of a frame from its longer form; null if no program has that much memory. */
function lengthOf(short: number, bytes: Uint8Array): number | null {
  if (bytes.length === 0) return short;
  const view = viewOf(bytes);
  if (bytes.length === 2) return view.getUint16(0);
  const length = view.getBigUint64(0);
  return length > BigInt(Number.MAX_SAFE_INTEGER) ? null : Number(length);
}

function unmask(frame: Frame, bytes: Uint8Array): Uint8Array {
  const plain = new Uint8Array(bytes.length);
  for (let i = 0; i < plain.length; i++) plain[i] = (bytes[i] ?? 0) ^ (frame.mask[(frame.done + i) & 3] ?? 0);
  frame.done += plain.length;
  frame.left -= plain.length;
  return plain;
}

/** The head of a whole frame of the server, which has no mask. */
function frameHead(opcode: number, length: number): Uint8Array {
  const first = 128 | opcode;
  if (length < 126) return Uint8Array.of(first, length);
  const head = new Uint8Array(length < 65536 ? 4 : 10);
  const view = viewOf(head);
  head[0] = first;
  head[1] = length < 65536 ? 126 : 127;
  if (length < 65536) view.setUint16(2, length);
  else view.setBigUint64(2, BigInt(length));
  return head;
}
