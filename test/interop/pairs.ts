/** Pairwise combinations: few rows in which every two values of different parameters meet. */

/** The values of each parameter. */
export type Parameters<K extends string> = Readonly<Record<K, readonly string[]>>;

/**
 * Rows that together have every pair of values that `allowed` does not forbid. Greedy and the same in every run: each row
 * starts with a pair that is still missing, and takes for the other parameters the values with the most missing pairs.
 */
export function pairwise<K extends string>(
  parameters: Parameters<K>,
  allowed: (row: Readonly<Record<K, string>>) => boolean,
): Record<K, string>[] {
  const names = Object.keys(parameters) as K[];
  const key = (a: K, x: string, b: K, y: string) => (a < b ? `${a}=${x} ${b}=${y}` : `${b}=${y} ${a}=${x}`);
  const missing = new Map<string, [K, string, K, string]>();
  names.forEach((a, i) => {
    for (const b of names.slice(i + 1))
      for (const x of parameters[a])
        for (const y of parameters[b]) missing.set(key(a, x, b, y), [a, x, b, y]);
  });
  const gain = (row: Partial<Record<K, string>>, name: K, value: string) =>
    names.filter((other) => row[other] !== undefined && missing.has(key(name, value, other, row[other])))
      .length;

  const rows: Record<K, string>[] = [];
  for (const [a, x, b, y] of [...missing.values()]) {
    if (!missing.has(key(a, x, b, y))) continue;
    const row = complete({ [a]: x, [b]: y } as Partial<Record<K, string>>, 0);
    // The pair itself is forbidden.
    if (!row) continue;
    rows.push(row);
    for (const one of names) for (const two of names) missing.delete(key(one, row[one], two, row[two]));
  }
  return rows;

  /** Fills what a row lacks, with the best values that are allowed together. */
  function complete(row: Partial<Record<K, string>>, from: number): Record<K, string> | null {
    const name = names.slice(from).find((one) => row[one] === undefined);
    if (name === undefined) return allowed(row as Record<K, string>) ? (row as Record<K, string>) : null;
    const best = [...parameters[name]].sort((p, q) => gain(row, name, q) - gain(row, name, p));
    for (const value of best) {
      const done = complete({ ...row, [name]: value }, names.indexOf(name) + 1);
      if (done) return done;
    }
    return null;
  }
}
