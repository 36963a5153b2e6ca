/** What a visitor reads first. */
import type { StartInfo } from '../../client';
import { paint } from './paint';

const WIDE = 76;

/** The first lines of the console; short ones on a narrow screen. */
export function welcome({ version, qemu, storage }: StartInfo, columns: number): string {
  const lines = [
    columns >= WIDE
      ? `${paint('heading', `qsd-web ${version}`)}: QEMU ${qemu}'s storage daemon by its interface, in this tab.`
      : `${paint('heading', `qsd-web ${version}`)}, as QEMU ${qemu}`,
    '',
    columns >= WIDE
      ? 'Drop disk images on this page, or make one and look at it:'
      : 'Drop disk images here, or try:',
    '',
    `  ${paint('accent', 'qemu-img create -f qcow2 disk.qcow2 1G')}`,
    `  ${paint('accent', 'blockdev-add driver=qcow2 node-name=disk file.driver=file file.filename=disk.qcow2')}`,
    `  ${paint('accent', 'query-named-block-nodes')}`,
    '',
    `${paint('accent', 'help')} lists all commands, ${paint('accent', 'Tab')} completes them and their arguments.`,
    `${paint('accent', 'sample')} makes images to look at.`,
  ];
  if (!storage) {
    lines.push(
      '',
      paint('event', 'This browser keeps no files for this page: they are in memory until it is closed.'),
    );
  }
  return lines.join('\n') + '\n\n';
}
