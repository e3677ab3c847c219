// SPDX-License-Identifier: MIT
import type { Access, Region as RegionInfo } from '../generated/protocol.js';
import { ChangeListeners } from './change_listeners.js';
import { MemioError } from './errors.js';
import { toBigInt, toNumber } from './format.js';
import { isNativeError, type Native, type NativeError } from './native.js';
import type { TypedArrayConstructor } from './payload.js';
import { beginCopy, checkLength, type Halves, type PublishOptions, toBytes, toHalves } from './publishing.js';
import { freeze } from './primordials.js';
import { Reader } from './reader.js';
import type { RegionMemory } from './region_memory.js';
import { leasedSlotOf, type ReleaseSlot, Shown, Snapshot } from './snapshot.js';

/** What a Region is made of. */
export interface OpenParts {
  readonly handle: number;
  readonly access: Access;
  readonly info: RegionInfo;
  readonly memory: RegionMemory;
  readonly owner: RegionOwner;
}

/** Who keeps account of the regions of a document. */
export interface RegionOwner {
  /** From now on the region must live until it is closed, even if nobody holds it. */
  hold(region: Region): void;
  closed(handle: number, region: Region): void;
  /** The region was read, and somebody waits for that: see RegionInternals.reportReadOf. */
  read(region: Region, sequence: number): void;
  share(region: Region): Promise<SharedArrayBuffer>;
}

/** What an open region is made of. */
export interface RegionParts {
  readonly handle: number;
  readonly memory: RegionMemory;
  readonly reader: Reader;
}

/** What only the runtime may do with regions: pages have the class Region, so these are no members of it. */
export interface RegionInternals {
  make(native: Native, parts: OpenParts): Region;
  /** The region's handle; undefined if it is not open, or no region at all. */
  handleOf(region: unknown): number | undefined;
  isRegion(value: object): boolean;
  infoOf(region: Region): RegionInfo;
  /** For the layers in compat/, which show regions their own ways. Throws if it is closed. */
  partsOf(region: Region): RegionParts;
  /**
   * Where, from the start of the slots on, the payload of a snapshot that is leased lies, or of what begin() gave last. Undefined if
   * it is neither, or not this region's.
   */
  placeOf(region: Region, payload: unknown): number | undefined;
  /** From now on reading this sequence or a later one is told to the owner; at once if it has been read. Infinity: none. */
  reportReadOf(region: Region, sequence: number): void;
  /** The document is left: the extension closes the handle, but the region may come back. */
  leave(region: Region): void;
  /** It is opened again, as another handle. False if the page has closed it meanwhile. Throws if it is not to be had. */
  comeBack(region: Region, handle: number, memory: RegionMemory): boolean;
  /** It will not come back. */
  end(region: Region): void;
}
export let regionInternals: RegionInternals;

const fromRuntime = Symbol('only the runtime makes regions');

/**
 * An open region of shared memory.
 *
 * Fires `change` when it has been published: after the first listener is added once at once if there is something that `read()`
 * has not shown yet, and from then on after each publish, or once for several that came close together.
 *
 *     for await (const snapshot of region) draw(snapshot.data);
 *
 * goes through the publishes from the latest on: it skips to the newest, waits where there is none, releases each snapshot, and
 * ends when the region is closed.
 *
 * Goes on working when memiod is gone. Ends with `close()` or with the document; then `data` of its snapshots shows zeros, and all
 * methods but `close()`, `abort()` and `Snapshot.release()` throw `io.memio.client.Misuse`. In a document that has
 * been left, but that WebKit keeps, they throw `io.memio.client.Disconnected`. When the user comes back to it the region is opened again,
 * listeners and loops go on, and `memio` fires `reconnected`; if the region has been removed meanwhile it is closed.
 */
export class Region extends EventTarget {
  readonly #native: Native;
  readonly #owner: RegionOwner;
  readonly #access: Access;
  readonly #info: RegionInfo;
  #handle = 0;
  #releaseSlot: ReleaseSlot = () => {};
  #memory: RegionMemory | undefined;
  #reader: Reader | undefined;
  #lastRead = 0;
  #reported = Infinity;
  #subscribed = false;
  /** The document has been left, and nobody has closed the region. */
  #away = false;
  readonly #listeners = new ChangeListeners(this);
  /** The slot that is being written, and the view of it that begin() gave. */
  #begun = -1;
  #place: Uint8Array | undefined;
  readonly #shown = new Shown();
  #waiting: (() => void)[] = [];
  #onchange: ((this: Region, event: Event) => unknown) | null = null;
  readonly #callOnchange = (event: Event): unknown => this.#onchange?.call(this, event);

  static {
    regionInternals = {
      make: (native, parts) => new Region(fromRuntime, native, parts),
      handleOf: (region) =>
        typeof region === 'object' && region !== null && #handle in region && region.#reader !== undefined ? region.#handle : undefined,
      isRegion: (value) => #handle in value,
      infoOf: (region) => region.#info,
      partsOf: (region) => ({ handle: region.#handle, reader: region.#open(), memory: region.#memory! }),
      placeOf: (region, payload) => region.#placeOf(payload),
      reportReadOf: (region, sequence) => {
        region.#reported = sequence;
        if (region.#lastRead >= sequence) region.#owner.read(region, region.#lastRead);
      },
      leave: (region) => region.#leave(),
      comeBack: (region, handle, memory) => region.#comeBack(handle, memory),
      end: (region) => region.#end(),
    };
  }

  /** @internal */
  constructor(key: typeof fromRuntime, native: Native, parts: OpenParts) {
    if (key !== fromRuntime) throw new TypeError('Regions come from memio.open() and memio.create()');
    super();
    this.#native = native;
    this.#owner = parts.owner;
    this.#access = parts.access;
    this.#info = freeze(parts.info);
    this.#attach(parts.handle, parts.memory);
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
    return this.#reader === undefined && !this.#away;
  }

  /** Counts publishes. Reading it costs next to nothing: poll it at every frame if you like. */
  get sequence(): number {
    return this.#open().sequence;
  }
  /** The label of the latest publish; exact up to 2^53. Costs as little as `sequence`. */
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

  /**
   * The latest publish as a typed array: `region.as(Float32Array)`. It is leased until the next call, or `close()`; so a region that
   * is looked at in this way has one slot less for its writers. Errors: as read().
   */
  as<T extends TypedArrayConstructor>(constructor: T): InstanceType<T> {
    return this.#shown.as(this, constructor);
  }

  /** Publishes a copy of `bytes`; gives the new sequence. Errors: PayloadTooLarge, ReadOnly, Busy, Corrupt, Evicted. */
  write(bytes: ArrayBufferLike | ArrayBufferView, options: PublishOptions = {}): number {
    const source = toBytes(bytes);
    const version = toHalves(options.version);
    beginCopy(this, source);
    return this.#commit(version);
  }

  /**
   * Publishing in place: the payload of a free slot, `length` bytes of unspecified content, to be filled before `commit()`.
   * Between the two other writers wait. Errors: as write(); Misuse if begun already.
   */
  begin(length: number): Uint8Array<ArrayBuffer> {
    this.#open();
    checkLength(length);
    this.#begun = this.#check(this.#native.begin(this.#handle, length));
    const { bytes } = this.#memory!.payload(this.#begun, length);
    this.#place = bytes;
    return bytes;
  }

  /** Makes what begin() gave the latest publish; gives the new sequence. Errors: Misuse if not begun; Evicted. */
  commit(options: PublishOptions = {}): number {
    return this.#commit(toHalves(options.version));
  }

  /** Gives up what begin() started. Does nothing if nothing was. */
  abort(): void {
    if (this.#begun < 0) return;
    this.#begun = -1;
    if (this.#reader !== undefined) this.#native.abort(this.#handle);
  }

  /** Gives the memory back. Snapshots end too, and what workers have of it. More than once does no harm. */
  close(): void {
    if (this.closed) return;
    const away = this.#away;
    this.#end();
    if (away) return;
    this.#owner.closed(this.#handle, this);
    this.#native.close(this.#handle);
  }

  /**
   * The region for one Web Worker: a SharedArrayBuffer over the same memory, to be posted to it. There `attach()` of
   * `memio-client/worker` reads, writes and leases in it. It is a handle of its own, and so needs a call for each worker; it ends
   * with the worker's `close()`, with this region, and with the document.
   *
   * Errors: PermissionDenied if the application has not turned this on; those of `memio.open()`.
   */
  shared(): Promise<SharedArrayBuffer> {
    return this.#owner.share(this);
  }

  get onchange(): ((this: Region, event: Event) => unknown) | null {
    return this.#onchange;
  }
  set onchange(handler: ((this: Region, event: Event) => unknown) | null) {
    this.#onchange = typeof handler === 'function' ? handler : null;
    if (this.#onchange === null) this.removeEventListener('change', this.#callOnchange);
    else this.addEventListener('change', this.#callOnchange);
  }

  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    if (type !== 'change') return super.addEventListener(type, listener, options);
    this.#listeners.add(listener, options);
    if (!this.closed) this.#subscribe();
  }

  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void {
    if (type !== 'change') return super.removeEventListener(type, listener, options);
    this.#listeners.remove(listener, options);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Snapshot, void, void> {
    let seen = 0;
    while (!this.closed) {
      if (this.#away || this.sequence === seen) {
        await this.#nextChange();
        continue;
      }
      const snapshot = this.read();
      seen = snapshot.sequence;
      try {
        yield snapshot;
      } finally {
        snapshot.release();
      }
    }
  }

  /** Resolved with the next publish that has not been read, and with the region's end. */
  #nextChange(): Promise<void> {
    this.#subscribe();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #subscribe(): void {
    if (this.#subscribed) return;
    if (!this.#away) this.#subscribeTo(this.#handle);
    this.#subscribed = true;
  }

  #subscribeTo(handle: number): void {
    this.#check(this.#native.subscribe(handle, this.#lastRead, () => this.#changed()));
    this.#owner.hold(this);
  }

  #changed(): void {
    if (this.#waiting.length > 0) this.#wake();
    this.#listeners.call();
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #end(): void {
    this.#detach();
    this.#away = false;
    this.#wake();
  }

  #attach(handle: number, memory: RegionMemory): void {
    const reader = new Reader(memory);
    this.#handle = handle;
    this.#memory = memory;
    this.#reader = reader;
    this.#releaseSlot = (slot) => {
      // What was leased through a handle that has been closed is not leased any more.
      if (this.#reader === reader && reader.release(slot)) this.#native.wake(handle);
    };
  }

  #detach(): void {
    this.#reader = undefined;
    this.#memory = undefined;
    this.#shown.forget();
    this.#begun = -1;
    this.#reported = Infinity;
  }

  #leave(): void {
    this.#detach();
    this.#away = true;
  }

  #comeBack(handle: number, memory: RegionMemory): boolean {
    if (!this.#away) return false;
    if (this.#subscribed) this.#subscribeTo(handle);
    this.#away = false;
    this.#attach(handle, memory);
    this.#wake();
    return true;
  }

  #placeOf(payload: unknown): number | undefined {
    const slot = payload === this.#place ? this.#begun : leasedSlotOf(payload, this.#releaseSlot);
    return slot < 0 ? undefined : this.#memory?.placeOf(slot);
  }

  #open(): Reader {
    if (this.#away)
      throw new MemioError(
        'io.memio.client.Disconnected',
        `The page has been left, and ${this.name} is not open again yet; wait for "reconnected" of memio.`,
      );
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

// `using region = await memio.open(...)`, where the engine has it.
if (typeof Symbol.dispose === 'symbol')
  Object.defineProperty(Region.prototype, Symbol.dispose, {
    value: Region.prototype.close,
    writable: true,
    configurable: true,
  });
export interface Region extends Partial<Disposable> {}
