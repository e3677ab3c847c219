// SPDX-License-Identifier: MIT
// The globals that MemioTauri's WebKit extension gives its pages on Linux, over memio's regions.
//
// They are synchronous, so everything is opened ahead of time: every region that the page may read, for reading, and a
// second time for writing where it may. The globals appear once that is done; until then MemioTauri's client waits. What comes
// later is looked for when a page asks for a list, or for a name that is not there.
//
// A region appears as a Uint8Array over one slot, header and payload up to the capacity, in the shared memory. Only
// regions laid out as memio64 do, because that is the one layout these pages know.
//
// - A classic region has one slot, so its array shows every write.
// - A region with more slots shows the latest publish. The slot stays leased until the next one arrives; asking by name again
//   gives the next one. An array from before that may change under its holder, as MemioTauri's do.
//
// MemioTauri's client also writes through the array, header and payload. The array's memory is private to the page, so that
// nobody sees half of that; what changed is published as a whole when the page's task ends.
import { isClassic, magicHighWord, magicLowWord } from '../format.js';
import type { Memio } from '../memio.js';
import { isNativeError, type Native } from '../native.js';
import { Bytes, ByteView, construct, defineProperty, microtask, Words } from '../primordials.js';
import { toBytes } from '../publishing.js';
import { type Region, regionInternals, type RegionParts } from '../region.js';
import { fence, type RegionMemory } from '../region_memory.js';
import { upload, type UploadOptions } from '../upload.js';

/** What the client asks for if it is not told a name. */
const defaultName = 'state';
const headerSize = 64;
/** Names of regions that streams are made of. */
const ofStreams = /__(ctrl|data_\d+)$/;

export class MemioTauri {
  readonly #native: Native;
  readonly #memio: Memio;
  readonly #shown = new Map<string, ShownRegion>();
  /** What the page sees: a live property for each region. */
  readonly #buffers: Record<string, Uint8Array> = {};
  readonly #manifest: Record<string, { readonly length: number }> = {};
  #installed = false;
  #looking = false;

  constructor(native: Native, memio: Memio) {
    this.#native = native;
    this.#memio = memio;
    letDataViewsTakeShown();
  }

  /** Opens what there is now and was not before, and closes what is not there any more. */
  async look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      await this.#follow();
    } catch {
      // Without memiod there is nothing to show; the next question for a region looks again.
    }
    this.#looking = false;
    this.#install();
  }

  /** The document goes: its regions are closed already. */
  forget(): void {
    for (const name of [...this.#shown.keys()]) this.#hide(name);
  }

  async #follow(): Promise<void> {
    const listed = (await this.#memio.list()).filter(({ name }) => !ofStreams.test(name));
    const names = new Set(listed.map((info) => info.name));
    for (const name of [...this.#shown.keys()]) if (!names.has(name)) this.#hide(name);
    await Promise.all(listed.filter((info) => info.layout === 'memio64').map((info) => this.#show(info.name, info.generation)));
  }

  async #show(name: string, generation: number): Promise<void> {
    if (this.#shown.get(name)?.generation === generation) return;
    this.#hide(name);
    try {
      const reader = await this.#memio.open(name);
      const writer = await this.#memio.open(name, { access: 'write' }).catch(() => undefined);
      this.#shown.set(name, new ShownRegion(this.#native, reader, writer));
    } catch {
      return; // watched only, or gone again
    }
    const property = { enumerable: true, configurable: true };
    defineProperty(this.#buffers, name, { ...property, get: () => this.buffer(name) });
    const shown = this;
    const entry = Object.freeze({
      get length() {
        return shown.#shown.get(name)?.length ?? 0;
      },
    });
    defineProperty(this.#manifest, name, { ...property, value: entry });
  }

  #hide(name: string): void {
    this.#shown.get(name)?.close();
    this.#shown.delete(name);
    delete this.#buffers[name];
    delete this.#manifest[name];
  }

  // Each of these takes anything from the page and throws nothing, as MemioTauri's own do.

  buffer(name: unknown): Uint8Array | null {
    const shown = this.#find(name);
    try {
      return shown?.show() ?? null;
    } catch {
      return null; // closed, or its memory holds lies
    }
  }

  write(name: unknown, data: unknown): boolean {
    const shown = this.#find(name);
    if (shown === undefined) return false;
    try {
      return shown.write(toBytes(data as ArrayBufferView));
    } catch {
      return false;
    }
  }

  /** As the npm package's: through the stream of that name, or else into the region. Rejects as streams do. */
  async upload(name: string, file: Blob, options?: UploadOptions): Promise<boolean> {
    return (await upload(this.#memio, name, file, options)) || this.write(name, await file.arrayBuffer());
  }

  list(): string[] {
    void this.look();
    return [...this.#shown.keys()];
  }

  #find(name: unknown): ShownRegion | undefined {
    const asked = name === undefined || name === null || name === '' ? defaultName : name;
    if (typeof asked !== 'string') return undefined;
    const shown = this.#shown.get(asked);
    if (shown === undefined) void this.look();
    return shown;
  }

  #install(): void {
    if (this.#installed) return;
    this.#installed = true;
    const globals = {
      memioSharedBuffer: (name?: unknown) => this.buffer(name),
      memioWriteSharedBuffer: (name?: unknown, data?: unknown) => this.write(name, data),
      memioListBuffers: () => this.list(),
      memioUploadFile: (name: string, file: Blob, options?: UploadOptions) => this.upload(name, file, options),
      __memioSharedBuffers: this.#buffers,
      __memioSharedManifest: { version: 1, buffers: this.#manifest },
    };
    for (const [name, value] of Object.entries(globals))
      defineProperty(globalThis, name, { value, writable: true, configurable: true, enumerable: true });
  }
}

/** The buffers under the arrays that pages have been shown. */
const buffersOfShown = new WeakMap<object, ArrayBuffer>();

/**
 * memioRead() of MemioTauri's client makes a DataView of what memioSharedBuffer() gives, as if it were an ArrayBuffer. So in these
 * documents a DataView can be made of one of our arrays; of anything else as ever. To be called before any script of the page.
 */
function letDataViewsTakeShown(): void {
  const value = new Proxy(ByteView, {
    construct(target, given: unknown[], newTarget) {
      given[0] = buffersOfShown.get(given[0] as object) ?? given[0];
      return construct(target, given, newTarget) as DataView;
    },
  });
  for (const [object, name] of [
    [globalThis, 'DataView'],
    [ByteView.prototype, 'constructor'],
  ] as const)
    defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });
}

/** A region as these pages see it. */
class ShownRegion {
  readonly #native: Native;
  readonly #reader: Region;
  readonly #writer: Region | undefined;
  /** The page's array over each slot, made when it is first shown. */
  readonly #arrays: (Uint8Array<ArrayBuffer> | undefined)[] = [];
  /** The slot shown last, and its lease; -1: none yet. */
  #slot = -1;
  #sequence = -1;
  #leased = false;
  #checking = false;

  constructor(native: Native, reader: Region, writer: Region | undefined) {
    this.#native = native;
    this.#reader = reader;
    this.#writer = writer;
    if (!isClassic(reader.info)) reader.addEventListener('change', () => this.#endLease());
  }

  get generation(): number {
    return this.#reader.info.generation;
  }

  /** Bytes of payload in use. */
  get length(): number {
    if (this.#reader.closed) return 0;
    try {
      return this.#source().reader.length;
    } catch {
      return 0;
    }
  }

  show(): Uint8Array<ArrayBuffer> {
    // Stores that can't be published go; else the page of memory would not follow the region any more.
    if (this.#writer === undefined) regionInternals.partsOf(this.#reader).memory.showTrueBytes();
    else this.#publishStores();
    this.#chooseSlot();
    if (this.#writer !== undefined && !this.#checking) {
      this.#checking = true;
      microtask(() => {
        this.#checking = false;
        this.#publishStores(true);
      });
    }
    return (this.#arrays[this.#slot] ??= this.#window(this.#slot));
  }

  write(data: Uint8Array): boolean {
    // Copied first: `length` and the like may be the page's own by now.
    const copy = new Bytes(data);
    if (this.#writer === undefined || copy.length === 0) return false;
    this.#writer.write(copy);
    return true;
  }

  close(): void {
    this.#reader.close();
    this.#writer?.close();
  }

  /** Where to look for what is published: reading the reader's memory would undo the page's stores before they are published. */
  #source(): RegionParts {
    return regionInternals.partsOf(this.#writer ?? this.#reader);
  }

  #chooseSlot(): void {
    if (isClassic(this.#reader.info)) {
      this.#slot = 0;
      return;
    }
    const { reader } = this.#source();
    if (this.#leased && reader.sequence === this.#sequence) return;
    this.#releaseLease();
    const leased = reader.lease();
    this.#slot = leased.slot;
    this.#sequence = leased.sequence;
    this.#leased = true;
  }

  #endLease(): void {
    if (this.#leased && !this.#reader.closed && this.#source().reader.sequence !== this.#sequence) this.#releaseLease();
  }

  #releaseLease(): void {
    if (!this.#leased) return;
    this.#leased = false;
    const { handle, reader } = this.#source();
    if (reader.release(this.#slot)) this.#native.wake(handle);
  }

  #window(slot: number): Uint8Array<ArrayBuffer> {
    const { handle, memory } = regionInternals.partsOf(this.#reader);
    const { stride, capacity } = memory.geometry;
    const window = this.#native.window(handle, slot * stride, headerSize + capacity);
    if (isNativeError(window)) throw new Error(window.message);
    const array = new Bytes(window);
    buffersOfShown.set(array, window);
    return array;
  }

  /** Publishes what the page has stored through the array, if it has changed the header; at the end of its task also if not. */
  #publishStores(atEnd = false): void {
    if (this.#writer === undefined || this.#slot < 0 || this.#reader.closed || this.#writer.closed) return;
    if (!this.#isThePages(() => this.#headerDiffers()) && !(atEnd && this.#payloadIsThePages())) return;
    const { memory } = regionInternals.partsOf(this.#reader);
    const { magicLow, magicHigh, capacity } = memory.geometry;
    const word = (index: number) => memory.headerWord(this.#slot, index);
    const length = word(5) === 0 ? word(4) : capacity + 1;
    if (word(magicLowWord) === magicLow && word(magicHighWord) === magicHigh && length <= capacity) {
      const version = (BigInt(word(3)) << 32n) | BigInt(word(2));
      try {
        this.#writer.write(new Bytes(memory.payload(this.#slot, length).bytes), { version });
      } catch {
        return; // a writer is at work; the stores stay, for the next look
      }
    }
    memory.showTrueBytes();
  }

  #headerDiffers(): boolean {
    const { mine, shared } = this.#memories();
    for (let word = 0; word < 6; ++word)
      if (mine.headerWord(this.#slot, word) !== shared.headerWord(this.#slot, word)) return true;
    return false;
  }

  /** Under the same header: a page that labels its states itself may write two alike. */
  #payloadIsThePages(): boolean {
    const { mine, shared } = this.#memories();
    // A slot that is not the latest any more may have been filled anew, and then the page's stores are not a state.
    const current = isClassic(this.#reader.info) || (this.#leased && this.#source().reader.sequence === this.#sequence);
    const length = mine.headerWord(this.#slot, 4);
    if (!mine.stored || !current || length > mine.geometry.capacity || mine.headerWord(this.#slot, 5) !== 0) return false;
    const mineBytes = mine.payload(this.#slot, length);
    const sharedBytes = shared.payload(this.#slot, length);
    const differ = (one: ArrayLike<number>, other: ArrayLike<number>, from: number) => {
      for (let i = from; i < one.length; ++i) if (one[i] !== other[i]) return true;
      return false;
    };
    return this.#isThePages(
      () =>
        differ(mineBytes.as(Words), sharedBytes.as(Words), 0) ||
        differ(mineBytes.bytes, sharedBytes.bytes, length - (length % 4)),
    );
  }

  /** Looks three times, because somebody may be writing the region just now; memory that is the page's own stays different. */
  #isThePages(differs: () => boolean): boolean {
    for (let i = 0; i < 3; ++i) {
      if (!differs()) return false;
      fence();
    }
    return true;
  }

  /** The page's private memory, and the region's. */
  #memories(): { mine: RegionMemory; shared: RegionMemory } {
    return { mine: regionInternals.partsOf(this.#reader).memory, shared: regionInternals.partsOf(this.#writer!).memory };
  }
}
