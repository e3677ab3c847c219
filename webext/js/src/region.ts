// SPDX-License-Identifier: MIT
import type { Access, Region as RegionInfo } from '../generated/protocol.js';
import { MemioError } from './errors.js';
import { toBigInt, toNumber } from './format.js';
import { isNativeError, type Native, type NativeError } from './native.js';
import { Buffer, Bytes } from './primordials.js';
import { Reader } from './reader.js';
import type { RegionMemory } from './region_memory.js';
import { type ReleaseSlot, Snapshot } from './snapshot.js';

/** The label of a publish: any u64. A Number must be an integer up to 2^53 - 1. */
export type Version = number | bigint;

export interface PublishOptions {
  /** Without one, the label is that of the latest publish + 1. */
  version?: Version;
}

/** What a Region is made of while it is open. */
export interface OpenParts {
  readonly handle: number;
  readonly access: Access;
  readonly info: RegionInfo;
  readonly memory: RegionMemory;
  readonly owner: RegionOwner;
}

/** Who keeps account of the regions of a document. */
export interface RegionOwner {
  /** The region has listeners: it must live, even if nobody holds it. */
  listening(handle: number, region: Region): void;
  closed(handle: number, region: Region): void;
  /** The region was read, and somebody waits for that: see reportReadOf. */
  read(region: Region, sequence: number): void;
}

// What the rest of the runtime may do with a region and the page may not: pages have the class Region, so these are no
// members of it.

/** What a region is made of, for the layers in compat/, which show regions their own ways. Throws if it is closed. */
export let partsOf: (region: Region) => { handle: number; memory: RegionMemory; reader: Reader };
/** From now on reading this sequence or a later one is told to the owner; at once if it has been read. Infinity: none. */
export let reportReadOf: (region: Region, sequence: number) => void;

const fromRuntime = Symbol('only the runtime makes regions');

/**
 * An open region of shared memory.
 *
 * Fires `change` when it has been published: after the first listener is added once at once if there is something that `read()`
 * has not shown yet, and from then on after each publish, or once for several that came close together.
 *
 * Goes on working when memiod is gone. Ends with `close()` or with the document (at `pagehide`); then `data` of its
 * snapshots shows zeros, and all methods but `close()` and `Snapshot.release()` throw `io.memio.client.Misuse`.
 */
export class Region extends EventTarget {
  readonly #native: Native;
  readonly #owner: RegionOwner;
  readonly #handle: number;
  readonly #access: Access;
  readonly #info: RegionInfo;
  readonly #releaseSlot: ReleaseSlot;
  #memory: RegionMemory | undefined;
  #reader: Reader | undefined;
  #lastRead = 0;
  #reported = Infinity;
  #subscribed = false;
  #begun = -1;

  static {
    partsOf = (region) => ({ handle: region.#handle, reader: region.#open(), memory: region.#memory! });
    reportReadOf = (region, sequence) => {
      region.#reported = sequence;
      if (region.#lastRead >= sequence) region.#owner.read(region, region.#lastRead);
    };
  }

  /** @internal */
  constructor(key: typeof fromRuntime, native: Native, parts: OpenParts) {
    if (key !== fromRuntime) throw new TypeError('Regions come from memio.open() and memio.create()');
    super();
    this.#native = native;
    this.#owner = parts.owner;
    this.#handle = parts.handle;
    this.#access = parts.access;
    this.#info = Object.freeze(parts.info);
    this.#memory = parts.memory;
    this.#reader = new Reader(parts.memory);
    this.#releaseSlot = (slot) => {
      // Of a region that is closed nothing is leased any more.
      if (this.#reader?.release(slot)) native.wake(this.#handle);
    };
  }

  /** @internal */
  static make(native: Native, parts: OpenParts): Region {
    return new Region(fromRuntime, native, parts);
  }

  get name(): string {
    return this.#info.name;
  }
  /** As it was when the region was opened. */
  get info(): RegionInfo {
    return this.#info;
  }
  get access(): Access {
    return this.#access;
  }
  get closed(): boolean {
    return this.#reader === undefined;
  }

  /** Counts publishes. Reading it costs next to nothing: poll it at every frame if you like. */
  get sequence(): number {
    return this.#open().sequence;
  }
  /** The label of the latest publish; exact up to 2^53. */
  get version(): number {
    const { low, high } = this.#open().version();
    return toNumber(low, high);
  }
  get versionBigInt(): bigint {
    const { low, high } = this.#open().version();
    return toBigInt(low, high);
  }

  /** The latest publish, in the shared memory. Release it soon. Errors: Corrupt; Busy if the region stays half-written. */
  read(): Snapshot {
    const leased = this.#open().lease();
    this.#lastRead = leased.sequence;
    if (leased.sequence >= this.#reported) this.#owner.read(this, leased.sequence);
    return new Snapshot(leased, this.#releaseSlot);
  }

  /** Publishes a copy of `bytes`; gives the new sequence. Errors: PayloadTooLarge, ReadOnly, Busy, Corrupt, Evicted. */
  write(bytes: ArrayBuffer | ArrayBufferView, options: PublishOptions = {}): number {
    const source = toBytes(bytes);
    const version = toHalves(options.version);
    this.begin(source.length).set(source);
    return this.#commit(version);
  }

  /**
   * Publishing in place: the payload of a free slot, `length` bytes of unspecified content, to be filled before `commit()`.
   * Between the two other writers wait. Errors: as write(); Misuse if begun already.
   */
  begin(length: number): Uint8Array<ArrayBuffer> {
    this.#open();
    if (!Number.isSafeInteger(length) || length < 0)
      throw new MemioError('io.memio.client.Misuse', `begin() takes a number of bytes, not ${String(length)}`);
    this.#begun = this.#check(this.#native.begin(this.#handle, length));
    return this.#memory!.payload(this.#begun, length);
  }

  /** Makes what begin() gave the latest publish; gives the new sequence. Errors: Misuse if not begun; Evicted. */
  commit(options: PublishOptions = {}): number {
    return this.#commit(toHalves(options.version));
  }

  /** Gives up what begin() started. Does nothing if nothing was. */
  abort(): void {
    if (this.#begun < 0) return;
    this.#begun = -1;
    if (!this.closed) this.#native.abort(this.#handle);
  }

  /** Gives the memory back. Snapshots end too. More than once does no harm. */
  close(): void {
    if (this.closed) return;
    this.closedByNative();
    this.#owner.closed(this.#handle, this);
    this.#native.close(this.#handle);
  }

  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener, options);
    if (type !== 'change' || this.#subscribed || this.closed) return;
    this.#check(this.#native.subscribe(this.#handle, this.#lastRead));
    this.#subscribed = true;
    this.#owner.listening(this.#handle, this);
  }

  /** @internal The extension has closed the handle, or is about to. */
  closedByNative(): void {
    this.#reader = undefined;
    this.#memory = undefined;
    this.#begun = -1;
  }

  #open(): Reader {
    if (this.#reader === undefined)
      throw new MemioError('io.memio.client.Misuse', `The region ${this.name} has been closed; open it again.`);
    return this.#reader;
  }

  #commit(version: Halves | undefined): number {
    this.#open();
    this.#begun = -1;
    return this.#check(
      version === undefined
        ? this.#native.commit(this.#handle)
        : this.#native.commit(this.#handle, version.low, version.high),
    );
  }

  #check<T>(result: T | NativeError): T {
    if (isNativeError(result)) throw new MemioError(result.error, result.message);
    return result;
  }
}

interface Halves {
  readonly low: number;
  readonly high: number;
}

function toHalves(version: Version | undefined): Halves | undefined {
  if (version === undefined) return undefined;
  if (typeof version === 'number' && Number.isSafeInteger(version) && version >= 0)
    return { low: version % 2 ** 32, high: Math.floor(version / 2 ** 32) };
  if (typeof version === 'bigint' && version >= 0n && version < 1n << 64n)
    return { low: Number(version & 0xffff_ffffn), high: Number(version >> 32n) };
  throw new MemioError(
    'io.memio.client.Misuse',
    `A version is an integer from 0 to 2^53 - 1, or a BigInt from 0 to 2^64 - 1, not ${String(version)}`,
  );
}

function toBytes(bytes: ArrayBuffer | ArrayBufferView): Uint8Array {
  if (bytes instanceof Bytes) return bytes;
  if (Buffer.isView(bytes)) return new Bytes(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes instanceof Buffer) return new Bytes(bytes);
  throw new MemioError('io.memio.client.Misuse', 'write() takes an ArrayBuffer, a typed array or a DataView.');
}
