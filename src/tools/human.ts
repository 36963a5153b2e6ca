/** Sizes and times as the tools of QEMU print them for people. */

const UNITS = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/**
 * A number below 1000 with three significant digits, like `%0.3g` of C: what lies exactly between two is rounded to the
 * even one (192.5 becomes 192), and 999.5 becomes `1e+03`.
 */
function threeDigits(value: number): string {
  if (value === 0) return '0';
  if (value >= 999.5) return '1e+03';
  const digits = 2 - Math.floor(Math.log10(value));
  const scaled = value * 10 ** digits;
  const below = Math.floor(scaled);
  const tie = scaled - below === 0.5;
  const rounded = tie && below % 2 === 0 ? below : Math.round(scaled);
  return String(Number((rounded / 10 ** digits).toFixed(Math.max(digits, 0))));
}

/**
 * A size as qemu-img prints it: `1.28 MiB`, `192 KiB`, `512 B`. The next unit starts at 1000 of the one before, so that
 * three digits are enough.
 */
export function humanSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${threeDigits(value)} ${UNITS[unit]}B`;
}

/** A number like `%.2f` or the like of C, which rounds ties to even: 1.0625 with three digits becomes 1.062. */
function fixed(value: number, digits: number): string {
  const unit = 10 ** digits;
  const scaled = value * unit;
  const below = Math.floor(scaled);
  return scaled - below === 0.5 && below % 2 === 0 ? (below / unit).toFixed(digits) : value.toFixed(digits);
}

/** A number of per cent, like `%.2f` of C. */
export const twoDecimals = (value: number): string => fixed(value, 2);

/** A size as qemu-io prints it: `1.500 KiB`, `64 KiB`, `512 bytes`; fractions of bytes with six digits. */
export function ioSize(bytes: number): string {
  if (bytes < 1024) return Number.isInteger(bytes) ? `${bytes} bytes` : `${bytes.toFixed(6)} bytes`;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${fixed(value, 3).replace(/\.000$/, '')} ${UNITS[unit]}B`;
}

/** A duration as qemu-io prints it: `00.01 sec`, from one second on `H:MM:SS.cc`. */
export function ioDuration(seconds: number, always = false): string {
  const hundredths = Math.floor(seconds * 100);
  const part = String(hundredths % 100).padStart(2, '0');
  const whole = Math.floor(hundredths / 100);
  if (!always && whole === 0) return `00.${part} sec`;
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${Math.floor(whole / 3600)}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}.${part}`;
}
