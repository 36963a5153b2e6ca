/** The types of objects that can be made; a new one is a file of its own and an entry here. */
import { authzList, authzListFile, authzSimple } from './authz';
import { iothread, mainLoop } from './event-loop';
import type { MakeObject } from './object';
import { secret } from './secret';
import { throttleGroup } from './throttle-group';
import { tlsCredsAnon, tlsCredsPsk, tlsCredsX509 } from './tls-creds';

/** By the name of the schema's ObjectType. */
export const KINDS: Readonly<Partial<Record<string, MakeObject>>> = {
  'authz-list': authzList,
  'authz-listfile': authzListFile,
  'authz-simple': authzSimple,
  iothread,
  'main-loop': mainLoop,
  secret,
  'throttle-group': throttleGroup,
  'tls-creds-anon': tlsCredsAnon,
  'tls-creds-psk': tlsCredsPsk,
  'tls-creds-x509': tlsCredsX509,
};

/** Types that QEMU has and this daemon cannot have, with the reason. */
export const UNAVAILABLE: Readonly<Partial<Record<string, string>>> = {
  secret_keyring:
    'neither a browser nor Node.js reaches the keyrings of the kernel; use type secret with a file',
  'thread-context': 'neither a browser nor Node.js lets a program choose the processors of its threads',
  'pr-manager-helper': 'neither a browser nor Node.js sends SCSI commands to a device of the host',
};
