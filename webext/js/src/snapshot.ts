// SPDX-License-Identifier: MIT
import { toBigInt, toNumber } from './format.js';
import type { Leased } from './reader.js';

/** Ends the lease of a slot. */
export type ReleaseSlot = (slot: number) => void;

/** What a snapshot and the net under it share. */
interface Lease {
  slot: number;
  readonly releaseSlot: ReleaseSlot;
}

function release(lease: Lease): void {
  const { slot } = lease;
  if (slot < 0) return;
  lease.slot = -1;
  lease.releaseSlot(slot);
}

// The net under snapshots that nobody released. When it catches one is up to the garbage collector, so a page that
// counts on it makes writers run out of slots.
const forgotten = new FinalizationRegistry<Lease>(release);

/**
 * One publish of a region. Until `release()` no writer touches its bytes.
 *
 * Keep it short: a region with n slots has room for n - 2 snapshots of older publishes before its writers find no slot free.
 */
export class Snapshot {
  /** Counts publishes from 1; 0 means that nothing has been published yet, and `data` is empty. */
  readonly sequence: number;
  /** Bytes of payload. */
  readonly length: number;
  /**
   * The payload, in the shared memory itself (in a region with one slot: a copy). After `release()` it goes on showing the same
   * memory, which writers may then change.
   */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly #versionLow: number;
  readonly #versionHigh: number;
  readonly #lease: Lease;

  /** @internal */
  constructor(leased: Leased, releaseSlot: ReleaseSlot) {
    this.sequence = leased.sequence;
    this.length = leased.data.length;
    this.data = leased.data;
    this.#versionLow = leased.versionLow;
    this.#versionHigh = leased.versionHigh;
    this.#lease = { slot: leased.slot, releaseSlot };
    if (leased.slot >= 0) forgotten.register(this, this.#lease, this);
  }

  /** The writer's label for this publish; exact up to 2^53. */
  get version(): number {
    return toNumber(this.#versionLow, this.#versionHigh);
  }

  get versionBigInt(): bigint {
    return toBigInt(this.#versionLow, this.#versionHigh);
  }

  /** Lets writers have the memory again. More than once does no harm. */
  release(): void {
    if (this.#lease.slot < 0) return;
    forgotten.unregister(this);
    release(this.#lease);
  }
}

// `using snapshot = region.read()`, where the engine has it.
if (typeof Symbol.dispose === 'symbol')
  Object.defineProperty(Snapshot.prototype, Symbol.dispose, {
    value: Snapshot.prototype.release,
    writable: true,
    configurable: true,
  });
export interface Snapshot extends Partial<Disposable> {}
