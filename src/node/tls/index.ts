/** TLS as Node.js has it. */
import type { TlsSupport } from '../../daemon/objects/tls';
import { checkCertificates, checkDhParameters } from './certificates';
import { acceptTls, connectTls } from './sessions';

export const nodeTls: TlsSupport = {
  checkCertificates,
  checkDhParameters,
  accept: acceptTls,
  connect: connectTls,
};
