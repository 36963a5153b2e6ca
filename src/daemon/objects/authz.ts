/** authz-simple, authz-list and authz-listfile: who may use something, by the name that was proved (a certificate's). */
import { isObject, parseJson, QmpError, visitType, type QmpValue } from '../../qapi/index';
import type { AuthZListProperties, QAuthZListRule } from '../../qapi/index';
import type { MakeContext } from './object';
import { StoredProperties } from './properties';
import { readWhole } from './read-file';

class SimpleAuthz extends StoredProperties {
  constructor({ properties }: MakeContext) {
    super('authz-simple', 'AuthZSimpleProperties', { identity: '' });
    this.start(properties);
  }

  allows(identity: string): boolean {
    return identity === this.get('identity');
  }
}

export const authzSimple = (context: MakeContext): SimpleAuthz => new SimpleAuthz(context);

class ListAuthz extends StoredProperties {
  constructor({ properties }: MakeContext) {
    super('authz-list', 'AuthZListProperties', { policy: 'deny', rules: [] });
    this.start(properties);
  }

  override set(property: string, value: QmpValue): void {
    try {
      super.set(property, value);
    } catch (error) {
      // As QEMU does: the old rules are gone before the new ones are read. Nobody is let in by rules that were replaced.
      if (property === 'rules') this.unset('rules');
      throw error;
    }
  }

  allows(identity: string): boolean {
    return decide(identity, this.text('policy'), this.rules);
  }

  private get rules(): QAuthZListRule[] {
    return this.get('rules') as unknown as QAuthZListRule[];
  }
}

export const authzList = (context: MakeContext): ListAuthz => new ListAuthz(context);

/** Rules as JSON in a file. It is read once; QEMU notices changes of it, and neither Node.js nor a browser promises that. */
class ListFileAuthz extends StoredProperties {
  private list: AuthZListProperties = {};

  constructor(private readonly context: MakeContext) {
    super('authz-list-file', 'AuthZListFileProperties', { filename: '', refresh: true });
    this.start(context.properties);
  }

  async complete(): Promise<void> {
    const path = this.text('filename');
    const bytes = await readWhole(this.context.host.graph.files, path).catch((error: unknown) => {
      throw error instanceof QmpError ? new QmpError(`Unable to read '${path}': ${error.desc}`) : error;
    });
    const value = parseJson(new TextDecoder().decode(bytes));
    if (!isObject(value)) throw new QmpError('File must contain a JSON object');
    this.list = visitType('AuthZListProperties', value) as AuthZListProperties;
  }

  allows(identity: string): boolean {
    return decide(identity, this.list.policy ?? 'deny', this.list.rules ?? []);
  }
}

export const authzListFile = (context: MakeContext): ListFileAuthz => new ListFileAuthz(context);

/** The first rule that fits decides, and the policy if none does. */
function decide(identity: string, policy: string, rules: readonly QAuthZListRule[]): boolean {
  const rule = rules.find(({ match, format }) =>
    format === 'glob' ? globPattern(match).test(identity) : match === identity,
  );
  return (rule?.policy ?? policy) === 'allow';
}

/** A pattern of fnmatch(3) without flags: `*`, `?`, `[...]`, and `\` for a character that stands for itself. */
export function globPattern(glob: string): RegExp {
  let source = '';
  for (let at = 0; at < glob.length; at++) {
    const char = glob.charAt(at);
    const set = char === '[' ? /^\[(!?)(\]?[^\]]*)\]/.exec(glob.slice(at)) : null;
    if (set) {
      const [whole, not = '', members = ''] = set;
      source += `[${not && '^'}${members.replace(/[\\\]^[]/g, '\\$&')}]`;
      at += whole.length - 1;
    } else if (char === '*') {
      source += '.*';
    } else if (char === '?') {
      source += '.';
    } else {
      const literal = char === '\\' && at + 1 < glob.length ? glob.charAt(++at) : char;
      source += literal.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
    }
  }
  return new RegExp(`^${source}$`, 's');
}
