/** What goes wrong in a handshake of TLS, in the words of GnuTLS, which the real programs use. */

/** Codes of Node.js and OpenSSL. */
const HANDSHAKE: Readonly<Record<string, string>> = {
  ECONNRESET: 'The TLS connection was non-properly terminated.',
  EPIPE: 'The TLS connection was non-properly terminated.',
  ERR_SSL_NO_SHARED_CIPHER: 'No supported cipher suites have been found.',
  ERR_SSL_NO_CIPHERS_AVAILABLE: 'No supported cipher suites have been found.',
  ERR_SSL_BINDER_DOES_NOT_VERIFY: 'An illegal parameter has been received.',
  ERR_SSL_PSK_IDENTITY_NOT_FOUND: 'An illegal parameter has been received.',
  ERR_SSL_NO_SUITABLE_SIGNATURE_ALGORITHM: 'Insufficient credentials for that request.',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'A packet with illegal or unsupported version was received.',
  ERR_SSL_WRONG_VERSION_NUMBER: 'An unexpected TLS packet was received.',
  ERR_SSL_HTTP_REQUEST: 'An unexpected TLS packet was received.',
  ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC: 'Decryption has failed.',
  ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE: 'No certificate was found.',
};

/** What is said about a handshake that failed. */
export function handshakeFailure(error: unknown): string {
  const {
    code = '',
    reason = '',
    message = '',
  } = error as { code?: string; reason?: string; message?: string };
  const said = HANDSHAKE[code] ?? (/ALERT/i.test(code) ? 'A TLS fatal alert has been received.' : undefined);
  return `TLS handshake failed: ${said ?? `${reason || message}.`}`;
}

/** What is said about a certificate that was not believed. `code` is OpenSSL's name of the reason. */
export function certificateFailure(code: string): string {
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return "The certificate hasn't got a known issuer";
    case 'CERT_REVOKED':
      return 'The certificate has been revoked';
    case 'CA_MD_TOO_WEAK':
    case 'CA_KEY_TOO_SMALL':
    case 'EE_KEY_TOO_SMALL':
      return 'The certificate uses an insecure algorithm';
    default:
      return 'The certificate is not trusted';
  }
}
