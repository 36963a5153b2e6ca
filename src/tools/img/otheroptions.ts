/** Options of creation of formats that `qemu-img measure` knows and cannot measure. */
import type { CreateOption } from '../../graph';

/** Names of options by format; those that are no texts have their type behind a colon. */
const OPTIONS: Readonly<Record<string, string>> = {
  file: 'extent_size_hint:size nocow:bool preallocation size:size',
  host_device: 'preallocation size:size',
  luks: 'cipher-alg cipher-mode detached-header:bool hash-alg iter-time:num ivgen-alg ivgen-hash-alg key-secret size:size',
  nbd: 'preallocation size:size',
  parallels: 'cluster_size:size size:size',
  qcow: 'backing_file backing_fmt encrypt.format encrypt.key-secret encryption:bool size:size',
  qed: 'backing_file backing_fmt cluster_size:size size:size table_size:size',
  ssh: 'size:size',
  vdi: 'size:size static:bool',
  vhdx: 'block_size:size block_state_zero:bool log_size:size size:size subformat',
  vmdk: 'adapter_type backing_file backing_fmt compat6:bool hwversion size:size subformat toolsversion zeroed_grain:bool',
  vpc: 'force_size:bool size:size subformat',
};

/** The options of a format; null: it is none of these. */
export function otherOptions(format: string): CreateOption[] | null {
  const list = Object.hasOwn(OPTIONS, format) ? OPTIONS[format] : undefined;
  if (list === undefined) return null;
  return list.split(' ').map((word) => {
    const [name = '', type = 'str'] = word.split(':');
    return { name, type: type as CreateOption['type'], help: '' };
  });
}
