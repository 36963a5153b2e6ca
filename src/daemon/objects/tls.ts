/** TLS as the daemon sees it: what connections are made with, and what a platform that has TLS does with that. */
import type { Upgrade } from '../../nbd/index';

/** A file of credentials. */
export interface CredentialFile {
  readonly path: string;
  readonly content: Uint8Array;
}

/** Certificates and keys in PEM. */
export interface X509Files {
  readonly ca: CredentialFile;
  readonly crl: CredentialFile | null;
  /** Our own; null: a client without one. */
  readonly own: { readonly certificate: CredentialFile; readonly key: CredentialFile } | null;
  /** Opens the key. */
  readonly password: string | null;
}

/** What all kinds of credentials have. */
export interface CommonCredentials {
  readonly endpoint: 'client' | 'server';
  /** The other end has to prove who it is, too. */
  readonly verifyPeer: boolean;
  /** Priority string of GnuTLS; empty: the default. */
  readonly priority: string;
}

/** What a TLS connection is made with. */
export type TlsCredentials = CommonCredentials &
  (
    | { readonly kind: 'anon'; readonly dhParameters: CredentialFile | null }
    | {
        readonly kind: 'psk';
        readonly dhParameters: CredentialFile | null;
        /** The keys by the names of users; a client has one. */
        readonly keys: ReadonlyMap<string, Uint8Array>;
      }
    | { readonly kind: 'x509'; readonly dhParameters: CredentialFile | null; readonly files: X509Files }
  );

/** Whether somebody is let in, by the name that was proved; throws the text for the log where nobody can tell. */
export type Authorize = (identity: string) => boolean;

/** What a platform with TLS does. All throw a {@link QmpError} with the text for the user. */
export interface TlsSupport {
  /** @param sanityCheck whether certificates are looked at that TLS alone would take */
  checkCertificates(files: X509Files, endpoint: 'client' | 'server', sanityCheck: boolean): void;
  checkDhParameters(file: CredentialFile): void;
  /** How a server's connections begin TLS. `authorize` is asked about names in certificates that were verified. */
  accept(credentials: TlsCredentials, authorize: Authorize | null): Upgrade;
  /** How a client's do. `hostname` has to be in the server's certificate; null: nobody knows what has to be. */
  connect(credentials: TlsCredentials, hostname: string | null): Upgrade;
}
