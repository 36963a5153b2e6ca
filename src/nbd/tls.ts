/** TLS below the protocol: the option STARTTLS makes of a connection a secret one. What TLS is, the platform knows. */
import type { ByteStream } from './stream';

/**
 * Does the handshake of TLS on a connection. Rejects with a text for the user ({@link Error.message}) when it fails, or when
 * the other end is not who it has to be; the connection is to be closed then.
 * @param early bytes that were read from the connection already and not used: they belong to the handshake
 */
export type Upgrade = (stream: ByteStream, early: Uint8Array) => Promise<ByteStream>;
