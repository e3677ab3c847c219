// SPDX-License-Identifier: MIT
import { toBigInt, toNumber } from './format.js';
import type { Payload, TypedArrayConstructor } from './payload.js';
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

/** For the runtime: the slot that a snapshot leases; -1 if none, or if it is no snapshot of the region that has `releaseSlot`. */
export let leasedSlotOf: (snapshot: unknown, releaseSlot: ReleaseSlot) => number;

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
   * memory, which writers may then change. What is stored into a region that is open for reading only stays here, and is gone
   * with the next read.
   */
  readonly data: Uint8Array<ArrayBuffer>;
  readonly #payload: Payload;
  readonly #versionLow: number;
  readonly #versionHigh: number;
  readonly #lease: Lease;

  static {
    leasedSlotOf = (snapshot, releaseSlot) => {
      if (typeof snapshot !== 'object' || snapshot === null || !(#lease in snapshot)) return -1;
      return snapshot.#lease.releaseSlot === releaseSlot ? snapshot.#lease.slot : -1;
    };
  }

  /** @internal */
  constructor(leased: Leased, releaseSlot: ReleaseSlot) {
    this.sequence = leased.sequence;
    this.length = leased.payload.length;
    this.data = leased.payload.bytes;
    this.#payload = leased.payload;
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

  /**
   * The payload as another typed array, such as `snapshot.as(Float32Array)`: its whole elements, in place. Like `data` it shows zeros
   * once the region is closed, and that happens by itself when neither the region nor a snapshot is held any more: a view holds neither.
   */
  as<T extends TypedArrayConstructor>(constructor: T): InstanceType<T> {
    return this.#payload.as(constructor);
  }

  // One number at a byte's offset in the payload, little-endian, as programs here write it. RangeError outside of it.
  getInt8(offset: number): number {
    return this.#payload.scalars.getInt8(offset);
  }
  getUint8(offset: number): number {
    return this.#payload.scalars.getUint8(offset);
  }
  getInt16(offset: number): number {
    return this.#payload.scalars.getInt16(offset, true);
  }
  getUint16(offset: number): number {
    return this.#payload.scalars.getUint16(offset, true);
  }
  getInt32(offset: number): number {
    return this.#payload.scalars.getInt32(offset, true);
  }
  getUint32(offset: number): number {
    return this.#payload.scalars.getUint32(offset, true);
  }
  getBigInt64(offset: number): bigint {
    return this.#payload.scalars.getBigInt64(offset, true);
  }
  getBigUint64(offset: number): bigint {
    return this.#payload.scalars.getBigUint64(offset, true);
  }
  getFloat32(offset: number): number {
    return this.#payload.scalars.getFloat32(offset, true);
  }
  getFloat64(offset: number): number {
    return this.#payload.scalars.getFloat64(offset, true);
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

/** What `as()` of a region shows: a snapshot that is leased until there is a newer one to show. */
export class Shown {
  #snapshot: Snapshot | undefined;

  as<T extends TypedArrayConstructor>(region: { readonly sequence: number; read(): Snapshot }, constructor: T): InstanceType<T> {
    let shown = this.#snapshot;
    if (shown === undefined || shown.sequence !== region.sequence) {
      shown?.release();
      this.#snapshot = undefined;
      this.#snapshot = shown = region.read();
    }
    return shown.as(constructor);
  }

  /** The region has ended, and with it all leases. */
  forget(): void {
    this.#snapshot = undefined;
  }
}
