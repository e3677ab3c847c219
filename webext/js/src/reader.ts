// SPDX-License-Identifier: MIT
// Leasing publishes; the same protocol as libclient/src/reader.cpp, in JavaScript because a call into native code costs
// more than all of it. In this process only the reader here leases through the handle's cell.
import { MemioError } from './errors.js';
import { highWordLimit, indexMask, indexBits, sequencesPerHighWord, toNumber } from './format.js';
import { Payload } from './payload.js';
import type { Halves } from './publishing.js';
import { Buffer } from './primordials.js';
import { fence, type RegionMemory } from './region_memory.js';

/** How often a classic region's reader tries before it reports that a write stays unfinished. */
const classicTries = 10_000;

/** A publish that was read. `slot` is -1 for one of a classic region: those are copied, so there is nothing to release. */
export interface Leased {
  readonly slot: number;
  readonly sequence: number;
  readonly versionLow: number;
  readonly versionHigh: number;
  readonly payload: Payload;
}

export class Reader {
  readonly #memory: RegionMemory;
  /** Leases of each slot. */
  readonly #counts: number[];
  /** What version() found last, and at which publish. */
  #polledLatest = NaN;
  #polledVersion: Halves = { low: 0, high: 0 };
  /** What the cell is to hold; the shared copy is not trusted. */
  readonly #masks: [number, number] = [0, 0];
  /** The views made of each slot's payload, as long as its length stays the same. */
  readonly #payloads: (Payload | undefined)[];

  constructor(memory: RegionMemory) {
    this.#memory = memory;
    this.#counts = new Array<number>(memory.geometry.slots).fill(0);
    this.#payloads = new Array<undefined>(memory.geometry.slots).fill(undefined);
  }

  /** Counts publishes; 0 if there was none. */
  get sequence(): number {
    this.#memory.showTrueBytes();
    this.#memory.loadLatest();
    return this.#loadedSequence();
  }

  /** Bytes of the latest publish's payload. */
  get length(): number {
    this.#memory.showTrueBytes();
    const { low, high } = this.#headerField(4);
    return toNumber(low, high);
  }

  /** The halves of the latest publish's version. */
  version(): Halves {
    const memory = this.#memory;
    memory.showTrueBytes();
    // Who polls finds mostly what was there before, and in a snapshot region a publish keeps its version.
    const latest = memory.latest();
    if (latest === this.#polledLatest) return this.#polledVersion;
    const version = this.#headerField(2);
    if (memory.geometry.slots > 1 && memory.latest() === latest) {
      this.#polledLatest = latest;
      this.#polledVersion = version;
    }
    return version;
  }

  /** A field of the latest publish's header, by its first word. */
  #headerField(word: number): Halves {
    const memory = this.#memory;
    const classic = memory.geometry.slots === 1;
    for (let i = 0; i < classicTries; ++i) {
      memory.loadLatest();
      const { low, high } = memory;
      const slot = classic ? 0 : this.#loadedSlot();
      if (classic && (low & indexMask) !== 0) continue;
      const field = { low: memory.headerWord(slot, word), high: memory.headerWord(slot, word + 1) };
      fence();
      memory.loadLatest();
      if (memory.low === low && memory.high === high) return field;
    }
    throw halfWritten();
  }

  lease(): Leased {
    this.#memory.showTrueBytes();
    return this.#memory.geometry.slots === 1 ? this.#copyClassic() : this.#leaseSlot();
  }

  /** Ends a lease. True if a writer sleeps until one does. */
  release(slot: number): boolean {
    const count = this.#counts[slot]! - 1;
    this.#counts[slot] = count;
    if (count !== 0) return false;
    this.#setLeased(slot, false);
    return this.#memory.slotWanted();
  }

  #leaseSlot(): Leased {
    const memory = this.#memory;
    for (;;) {
      memory.loadLatest();
      const { low, high } = memory;
      const slot = this.#loadedSlot();
      const sequence = this.#loadedSequence(); // both may throw, so before anything is leased
      if (this.#counts[slot] === 0) {
        this.#setLeased(slot, true);
        memory.loadLatest();
        if (memory.low !== low || memory.high !== high) {
          // Too late: a writer may already be at work in the slot.
          this.#setLeased(slot, false);
          continue;
        }
      }
      ++this.#counts[slot]!;
      const length = this.#checkedLength(slot);
      if (length < 0) {
        this.release(slot);
        throw corrupt('a header that cannot be true');
      }
      const versionLow = memory.headerWord(slot, 2);
      const versionHigh = memory.headerWord(slot, 3);
      return { slot, sequence, versionLow, versionHigh, payload: this.#payload(slot, length) };
    }
  }

  /** In a region with one slot nothing can be leased: copy, and check that the copy is whole. */
  #copyClassic(): Leased {
    const memory = this.#memory;
    for (let i = 0; i < classicTries; ++i) {
      memory.loadLatest();
      const { low, high } = memory;
      const writing = low & indexMask;
      if (writing > 1) throw corrupt('a directory that cannot be true');
      if (writing === 1) continue;
      const sequence = this.#loadedSequence();
      const length = this.#checkedLength(0);
      if (length < 0) throw corrupt('a header that cannot be true');
      const versionLow = memory.headerWord(0, 2);
      const versionHigh = memory.headerWord(0, 3);
      const payload = new Payload(new Buffer(length), 0, length);
      payload.bytes.set(this.#payload(0, length).bytes);
      fence();
      memory.loadLatest();
      // Programs that know only the header write it first or last: it too must not have moved.
      const headerStayed =
        memory.headerWord(0, 2) === versionLow &&
        memory.headerWord(0, 3) === versionHigh &&
        this.#checkedLength(0) === length;
      if (memory.low === low && memory.high === high && headerStayed)
        return { slot: -1, sequence, versionLow, versionHigh, payload };
    }
    throw halfWritten();
  }

  #loadedSequence(): number {
    const { low, high } = this.#memory;
    if (high >= highWordLimit) throw corrupt('an impossible sequence');
    return high * sequencesPerHighWord + (low >>> indexBits);
  }

  #loadedSlot(): number {
    const slot = this.#memory.low & indexMask;
    if (slot >= this.#memory.geometry.slots) throw corrupt('the index of a slot that is not there');
    return slot;
  }

  /** The length of a slot's payload, or -1 if its header cannot be true. */
  #checkedLength(slot: number): number {
    const memory = this.#memory;
    const { magicLow, magicHigh, capacity } = memory.geometry;
    if (memory.headerWord(slot, 0) !== magicLow || memory.headerWord(slot, 1) !== magicHigh) return -1;
    const length = toNumber(memory.headerWord(slot, 4), memory.headerWord(slot, 5));
    return length <= capacity ? length : -1;
  }

  #setLeased(slot: number, leased: boolean): void {
    const half = slot < 32 ? 0 : 1;
    const bit = 1 << (slot & 31);
    const mask = leased ? this.#masks[half] | bit : this.#masks[half] & ~bit;
    this.#masks[half] = mask;
    this.#memory.storeLeases(half, mask);
  }

  #payload(slot: number, length: number): Payload {
    const cached = this.#payloads[slot];
    if (cached !== undefined && cached.length === length) return cached;
    const payload = this.#memory.payload(slot, length);
    this.#payloads[slot] = payload;
    return payload;
  }
}

function corrupt(what: string): MemioError {
  return new MemioError(
    'io.memio.client.Corrupt',
    `The region's memory holds ${what}: a program that may write it has damaged it. The next write mends its slot.`,
  );
}

function halfWritten(): MemioError {
  return new MemioError(
    'io.memio.client.Busy',
    'A writer has left the region half-written; the next write mends it.',
  );
}
