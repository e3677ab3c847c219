// SPDX-License-Identifier: MIT
// Numbers as people read them.

const plain = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const grouped = [0, 1].map(
  (digits) => new Intl.NumberFormat('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }),
);

export const integer = (number) => plain.format(number);
export const decimal = (number, digits = 1) => grouped[digits].format(number);

/** As many digits as anyone reads. */
export function brief(number) {
  return decimal(number, number >= 100 || number === 0 ? 0 : 1);
}

function scaled(number, base, units) {
  let unit = 0;
  while (number >= base * 0.9995 && unit < units.length - 1) {
    number /= base;
    unit += 1;
  }
  return [unit === 0 ? integer(number) : brief(number), units[unit]];
}

/** Memory and files: binary units. */
export const bytes = (number) => scaled(number, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']).join(' ');
/** What goes by: decimal units. */
export const rate = (number) => scaled(number, 1000, ['B/s', 'kB/s', 'MB/s', 'GB/s']).join(' ');
export const count = (number) => scaled(number, 1000, ['', 'k', 'M']).join('').trim();

export function milliseconds(number) {
  if (number < 0.1) return `${brief(number * 1000)} µs`;
  return `${number < 10 ? decimal(number, 1) : integer(number)} ms`;
}
