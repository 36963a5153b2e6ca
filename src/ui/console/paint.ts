/** The console's colours, as numbers of the terminal's palette: the theme decides how they look in light and dark. */

const CODES = {
  prompt: '1;34',
  key: '34',
  string: '32',
  number: '36',
  constant: '35',
  error: '31',
  event: '33',
  heading: '1',
  dim: '90',
  accent: '36',
} as const;

export type Colour = keyof typeof CODES;

/** A text in a colour, each of its lines. */
export function paint(colour: Colour, text: string): string {
  const begin = `\x1b[${CODES[colour]}m`;
  if (!text.includes('\n')) return text === '' ? '' : `${begin}${text}\x1b[0m`;
  return text
    .split('\n')
    .map((line) => (line === '' ? '' : `${begin}${line}\x1b[0m`))
    .join('\n');
}
