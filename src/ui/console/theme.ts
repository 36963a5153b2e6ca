/** The colours of the terminal in light and dark. */
import type { ITheme } from '@xterm/xterm';

const LIGHT: ITheme = {
  background: '#ffffff',
  foreground: '#1c2430',
  cursor: '#0b5fd0',
  cursorAccent: '#ffffff',
  selectionBackground: '#bcd7fb',
  scrollbarSliderBackground: '#5b677833',
  scrollbarSliderHoverBackground: '#5b677866',
  scrollbarSliderActiveBackground: '#5b677899',
  black: '#1c2430',
  red: '#b3261e',
  green: '#1a6b35',
  yellow: '#8a5a00',
  blue: '#0b5fd0',
  magenta: '#8433a8',
  cyan: '#0a6c7d',
  white: '#5b6778',
  brightBlack: '#667386',
  brightRed: '#d1362c',
  brightGreen: '#21843f',
  brightYellow: '#a06a00',
  brightBlue: '#2f7de1',
  brightMagenta: '#9d48c4',
  brightCyan: '#0d8296',
  brightWhite: '#1c2430',
};

const DARK: ITheme = {
  background: '#131922',
  foreground: '#e4eaf2',
  cursor: '#6cb0ff',
  cursorAccent: '#131922',
  selectionBackground: '#2c4a73',
  scrollbarSliderBackground: '#93a1b533',
  scrollbarSliderHoverBackground: '#93a1b566',
  scrollbarSliderActiveBackground: '#93a1b599',
  black: '#0b0f15',
  red: '#ff7b72',
  green: '#7ee2a0',
  yellow: '#f0c062',
  blue: '#6cb0ff',
  magenta: '#d4a5ff',
  cyan: '#6fd3e3',
  white: '#c7d1de',
  brightBlack: '#8090a5',
  brightRed: '#ff9d95',
  brightGreen: '#9af0b6',
  brightYellow: '#ffd98a',
  brightBlue: '#93c5ff',
  brightMagenta: '#e2c2ff',
  brightCyan: '#97e4f0',
  brightWhite: '#ffffff',
};

/** Calls back with the theme now and whenever the user's preference changes; answers a function that ends it. */
export function followTheme(apply: (theme: ITheme) => void): () => void {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const update = (): void => apply(dark.matches ? DARK : LIGHT);
  update();
  dark.addEventListener('change', update);
  return () => dark.removeEventListener('change', update);
}
