/** A small curve of numbers over time. */

/** The line and the area below it, as data of SVG paths, in a box of a width and height. */
export function sparkline(
  values: readonly number[],
  width: number,
  height: number,
): { line: string; area: string; top: number } {
  const top = Math.max(...values, 0);
  if (values.length < 2 || top === 0) return { line: '', area: '', top };
  const step = width / (values.length - 1);
  // Half a line of room above and below.
  const points = values.map((value, index) => {
    const y = height - 1 - (value / top) * (height - 2);
    return `${(index * step).toFixed(1)} ${y.toFixed(1)}`;
  });
  const line = `M${points.join('L')}`;
  return { line, area: `${line}L${width} ${height}L0 ${height}z`, top };
}
