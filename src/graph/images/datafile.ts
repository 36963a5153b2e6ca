/** The data file of a qcow2 image that is being made, held as the image is going to hold it. */
import { Permission } from '../../files/locks';
import { Role, type BlockNode, type Link } from '../node';
import type { Opener } from '../open';
import { attach, detach } from '../permissions';

const WRITER = Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE;

/** Uses of the nodes of a new image by the image, which is no node of the graph while it is made. */
export class NewImageLinks {
  private readonly links: Link[] = [];

  private constructor(private readonly opener: Opener) {}

  /** Takes the permissions that the image needs; on a conflict throws QEMU's text, in which the image has `name`. */
  static async attach(
    opener: Opener,
    name: string,
    file: BlockNode,
    data: BlockNode,
  ): Promise<NewImageLinks> {
    const held = new NewImageLinks(opener);
    try {
      // What the image does not share of its file is up to the user of the file that makes it.
      await held.add(name, 'file', file, Role.METADATA | Role.PRIMARY, Permission.ALL);
      await held.add(name, 'data-file', data, Role.DATA, Permission.ALL & ~Permission.RESIZE);
    } catch (error) {
      await held.release();
      throw error;
    }
    return held;
  }

  private async add(
    image: string,
    name: string,
    node: BlockNode,
    role: number,
    shared: number,
  ): Promise<void> {
    const parent = { describe: () => `node '${image}'` };
    const link: Link = { name, role, parent, node, perm: WRITER, shared };
    await attach(link, null);
    this.links.push(link);
  }

  /** Gives permissions and references back. */
  async release(): Promise<void> {
    for (const link of this.links.splice(0).reverse()) {
      await detach(link, null);
      await this.opener.unref(link.node);
    }
  }
}
