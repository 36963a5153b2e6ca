/** preallocate: a file below a format is made longer ahead of writes, and cut back when its writer goes. */
import type { Engine, NodeHandle } from '../../engine/contract';
import type { PreallocateOptions } from '../../engine/storagefilters';
import { Permission } from '../../files/locks';
import { GraphError } from '../errors';
import { Role, type BlockNode, type PermissionFollower } from '../node';
import type { Options } from '../options';
import { filteredDetails, type Driver, type OpenContext } from './driver';

const SECTOR = 512;
const DEFAULT_ALIGN = 1024 * 1024;
const DEFAULT_SIZE = 128 * 1024 * 1024;

function takeOptions(options: Options): PreallocateOptions {
  const align = options.takeSize('prealloc-align') ?? DEFAULT_ALIGN;
  const ahead = options.takeSize('prealloc-size') ?? DEFAULT_SIZE;
  if (align % SECTOR !== 0) {
    throw new GraphError('prealloc-align parameter of preallocate filter is not aligned to 512');
  }
  return { align, ahead };
}

/** Users that write and make the node longer. Only for them there is something to be done ahead. */
const growing = (perm: number) => (perm & Permission.WRITE) !== 0 && (perm & Permission.RESIZE) !== 0;

/** Tells the engine who uses the node. What is too much of the file is cut off while it can still be written. */
class PreallocateFollower implements PermissionFollower {
  private allowed = false;
  private wanted = false;

  constructor(
    private readonly engine: Engine,
    private readonly handle: NodeHandle,
  ) {}

  async prepare(perm: number): Promise<void> {
    this.wanted = growing(perm);
    if (this.allowed && !this.wanted) this.engine.storageFilters.allowPreallocate(this.handle, false);
  }

  async commit(): Promise<void> {
    if (this.wanted && !this.allowed) this.engine.storageFilters.allowPreallocate(this.handle, true);
    this.allowed = this.wanted;
  }

  async abort(): Promise<void> {
    if (this.allowed && !this.wanted) this.engine.storageFilters.allowPreallocate(this.handle, true);
  }

  release(): void {
    // The engine cuts the file when it closes the node.
  }
}

export const preallocate: Driver = {
  name: 'preallocate',
  protocol: false,
  prefixes: [],
  filter: true,
  backing: false,
  needsFilename: false,
  strongOptions: [],
  resizable: true,
  async open(context: OpenContext): Promise<NodeHandle> {
    const { engine, node, options } = context;
    const given = takeOptions(options);
    const file = await context.openChild('file', Role.FILTERED | Role.PRIMARY, true);
    const handle = engine.storageFilters.openPreallocate(file.handle, { ...given, readOnly: node.readOnly });
    node.follower = new PreallocateFollower(engine, handle);
    return handle;
  },
  // Both options have to be said again, but may change.
  reopen({ engine, node, options, before, later }) {
    const now = takeOptions(options);
    const old = takeOptions(before.given.clone());
    later(() => {
      engine.storageFilters.setPreallocate(node.handle, now);
      return () => engine.storageFilters.setPreallocate(node.handle, old);
    });
  },
  childPermissions(_node: BlockNode, _link, { perm, shared }, cumulative) {
    if (!growing(cumulative.perm)) return { perm, shared };
    return { perm, shared: shared & ~(Permission.WRITE | Permission.RESIZE) };
  },
  details: filteredDetails,
};
