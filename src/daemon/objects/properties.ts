/** Objects whose properties are values that are stored, checked by a type of the schema. */
import { dictOrder, visitType, type QmpObject, type QmpValue } from '../../qapi/index';
import type { DaemonObject, PropertyValue } from './object';

type Values = Record<string, PropertyValue>;

export abstract class StoredProperties implements DaemonObject {
  private readonly given: Values = {};

  /**
   * @param schema the type of the schema that has the properties as its members
   * @param defaults what is read of properties that nobody has set
   */
  protected constructor(
    readonly typeName: string,
    private readonly schema: string,
    private readonly defaults: Values,
  ) {}

  /** The values of a new object, set one by one as QEMU does; the first that is refused is thrown. */
  protected start(properties: QmpObject): void {
    for (const name of dictOrder(Object.keys(properties))) {
      const value = properties[name] as PropertyValue;
      this.check(name, value);
      this.given[name] = value;
    }
  }

  get(property: string): PropertyValue {
    return this.given[property] ?? this.defaults[property] ?? null;
  }

  /** The value of a property that is text. */
  protected text(property: string): string {
    const value = this.get(property);
    return typeof value === 'string' ? value : '';
  }

  /** The value that was set, if any was. */
  protected option<T extends PropertyValue>(property: string): T | undefined {
    return this.given[property] as T | undefined;
  }

  set(property: string, value: QmpValue): void {
    // Members that the type needs are there: it was made with them.
    const visited = visitType(this.schema, { ...(this.given as QmpObject), [property]: value }) as Values;
    const checked = visited[property] ?? null;
    this.check(property, checked);
    this.given[property] = checked;
    this.changed(property);
  }

  /** Forgets what was set. */
  protected unset(property: string): void {
    delete this.given[property];
  }

  /** Throws what the schema does not know to be wrong with a value. */
  protected check(_property: string, _value: PropertyValue): void {
    // Most take every value of their type.
  }

  /** A property of a complete object has changed; what this throws does not bring the old value back. */
  protected changed(_property: string): void {
    // Most only keep it.
  }
}
