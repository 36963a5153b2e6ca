/** Names of the tools and what they say of themselves. */

/** The version of QEMU whose tools these are. */
export const QEMU_VERSION = '9.1.0';

/** What `--version` prints. */
export function versionText(program: string): string {
  return `${program} version ${QEMU_VERSION} (qsd-web)\nA QEMU-compatible tool of the qsd-web project, under the MIT licence.\n`;
}
