// SPDX-License-Identifier: MIT
import { type Region, regionInternals } from './region.js';

interface Wait {
  readonly number: number;
  readonly name: string;
  readonly sequence: number;
}

/**
 * What the application waits for: that a script here has read some publish of a region, or a later one. A region that
 * nobody waits for has `Infinity` to compare with when it is read, and that is all it costs.
 */
export class ReadWaits {
  readonly #came: (number: number) => void;
  #waits: Wait[] = [];

  constructor(came: (number: number) => void) {
    this.#came = came;
  }

  add(wait: Wait, open: Iterable<Region>): void {
    this.#waits.push(wait);
    for (const region of open) this.expect(region);
  }

  /** Tells a region what to look out for; at once done if it has been read already. */
  expect(region: Region): void {
    const lowest = Math.min(...this.#waits.filter((wait) => wait.name === region.name).map((wait) => wait.sequence));
    regionInternals.reportReadOf(region, lowest);
  }

  /** A region was read that somebody waits for. */
  read(region: Region, sequence: number): void {
    const came = this.#waits.filter((wait) => wait.name === region.name && wait.sequence <= sequence);
    this.#waits = this.#waits.filter((wait) => !came.includes(wait));
    for (const { number } of came) this.#came(number);
    this.expect(region);
  }

  forget(): void {
    this.#waits = [];
  }
}
