/** Connections over TLS, in either direction, on top of a socket that is connected already. */
import type { Socket } from 'node:net';
import type { SecureContextOptions, ConnectionOptions, TlsOptions, TLSSocket } from 'node:tls';
import type { Authorize, TlsCredentials } from '../../daemon/objects/tls';
import type { Upgrade } from '../../nbd/index';
import { tlsModule } from '../builtins';
import { SocketStream } from '../socketstream';
import { certificateFailure, handshakeFailure } from './failures';
import { subjectName } from './name';
import { versionsOf } from './priority';

/** Suites whose keys both ends have beforehand. Those of TLS 1.3 need the hash of the key, which is SHA-256. */
const PSK_CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:PSK+HIGH';
/** Suites without any proof of who is who. OpenSSL has them on its lowest level only. */
const ANONYMOUS_CIPHERS = 'ADH:@SECLEVEL=0';

type Common = Pick<
  SecureContextOptions,
  'ca' | 'cert' | 'key' | 'passphrase' | 'crl' | 'ciphers' | 'dhparam' | 'minVersion' | 'maxVersion'
>;

/** What both ends of a connection say of their credentials. */
function contextOf(credentials: TlsCredentials): Common {
  const versions = versionsOf(credentials.priority);
  const dhparam = credentials.dhParameters ? Buffer.from(credentials.dhParameters.content) : undefined;
  switch (credentials.kind) {
    case 'anon':
      return {
        minVersion: 'TLSv1.2',
        maxVersion: 'TLSv1.2',
        ciphers: ANONYMOUS_CIPHERS,
        dhparam: dhparam ?? 'auto',
      };
    case 'psk':
      return { ...versions, ciphers: PSK_CIPHERS, dhparam: dhparam ?? 'auto' };
    case 'x509': {
      const { ca, crl, own, password } = credentials.files;
      return {
        ...versions,
        ca: Buffer.from(ca.content),
        ...(dhparam && { dhparam }),
        ...(crl && { crl: Buffer.from(crl.content) }),
        ...(own && { cert: Buffer.from(own.certificate.content), key: Buffer.from(own.key.content) }),
        ...(password !== null && { passphrase: password }),
      };
    }
  }
}

function socketOf(stream: Parameters<Upgrade>[0], early: Uint8Array): Socket {
  if (!(stream instanceof SocketStream)) throw new TypeError('TLS needs a socket below it');
  return stream.release(early);
}

/** The side of a server; see {@link TlsSupport.accept}. */
export function acceptTls(credentials: TlsCredentials, authorize: Authorize | null): Upgrade {
  const isCertified = credentials.kind === 'x509';
  const options: TlsOptions = {
    ...contextOf(credentials),
    requestCert: isCertified && credentials.verifyPeer,
    // What is wrong with a certificate is looked at, and told, here.
    rejectUnauthorized: false,
    ...(credentials.kind === 'psk' && {
      pskCallback: (_socket: TLSSocket, user: string) => credentials.keys.get(user) ?? null,
    }),
  };
  return async (stream, early) => {
    const raw = socketOf(stream, early);
    const socket = await accepted(options, raw);
    const secret = new SocketStream(socket);
    if (isCertified && credentials.verifyPeer) checkClient(socket, authorize);
    return secret;
  };
}

function accepted(options: TlsOptions, raw: Socket): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const server = tlsModule().createServer(options);
    server.once('secureConnection', resolve);
    server.once('tlsClientError', (error) => {
      raw.destroy();
      reject(new Error(handshakeFailure(error)));
    });
    server.emit('connection', raw);
  });
}

/** Throws why a client is not let in. */
function checkClient(socket: TLSSocket, authorize: Authorize | null): void {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) throw new Error('Verify failed: No certificate was found.');
  if (!socket.authorized) throw new Error(certificateFailure(codeOf(socket)));
  if (!authorize) return;
  const name = subjectName(certificate.raw);
  if (!authorize(name)) throw new Error(`TLS x509 authz check for ${name} is denied`);
}

/** OpenSSL's name of the reason. Its type says that it is an error, but it is a text. */
function codeOf({ authorizationError }: TLSSocket): string {
  return String(authorizationError);
}

/** The side of a client; see {@link TlsSupport.connect}. */
export function connectTls(credentials: TlsCredentials, hostname: string | null): Upgrade {
  const context = contextOf(credentials);
  const psk = credentials.kind === 'psk' ? [...credentials.keys][0] : undefined;
  return async (stream, early) => {
    const raw = socketOf(stream, early);
    const socket = await connected({
      ...context,
      socket: raw,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ...(psk && { pskCallback: () => ({ identity: psk[0], psk: psk[1] }) }),
    });
    const secret = new SocketStream(socket);
    if (credentials.kind === 'x509' && credentials.verifyPeer) checkServer(socket, hostname);
    return secret;
  };
}

function connected(options: ConnectionOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = tlsModule().connect(options);
    const fail = (error: unknown): void => {
      socket.destroy();
      reject(new Error(handshakeFailure(error)));
    };
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

/** Throws why a server is not believed. */
function checkServer(socket: TLSSocket, hostname: string | null): void {
  if (!socket.authorized) throw new Error(certificateFailure(codeOf(socket)));
  if (hostname === null) throw new Error('No hostname for certificate validation');
  if (tlsModule().checkServerIdentity(hostname, socket.getPeerCertificate()))
    throw new Error(`Certificate does not match the hostname ${hostname}`);
}
