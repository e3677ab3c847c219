// SPDX-License-Identifier: MIT
// Streams of a document: finding or making their regions, and the page's thread as host of their ends, or as the helper of a worker's.
import type { Access } from '../generated/protocol.js';
import { MemioError } from './errors.js';
import { isNativeError, type Native, type NativeError, type Opened } from './native.js';
import { Buffer, Bytes, Doubles, SharedBuffer, SignedWords } from './primordials.js';
import { needSharedBuffers } from './shared.js';
import { StreamReader, StreamWriter } from './stream.js';
import { type AnyRing, makeEnd, misuse, type StreamHost, streamInternals } from './stream_end.js';
import {
  countsOffset,
  descriptionOffset,
  descriptionRoom,
  getText,
  headSize,
  putText,
  streamMagic,
  streamWord as word,
  textOffset,
  textRoom,
  want,
} from './stream_mailbox.js';
import {
  checkGeometry,
  corrupt,
  makeRing,
  readRing,
  RingReader,
  ringSize,
  RingWriter,
  type StreamGeometry,
  type StreamMemory,
} from './stream_ring.js';

const { add, exchange, load, notify, store, waitAsync } = Atomics as typeof Atomics & {
  waitAsync(
    words: Int32Array,
    index: number,
    value: number,
  ): { async: false; value: string } | { async: true; value: Promise<string> };
};
const { setTimeout } = globalThis;

/** How long a stream's regions may be there before its ring is. */
const patience = 5_000;
/** The header before each payload: these regions are memio64. */
const headerSize = 64;
/** Room before the memory in the page's own buffer, for the word that the extension notes stores in. */
const ownHead = 64;

export interface NewStream {
  /** Bytes that one buffer carries; 1 MiB unless told otherwise. */
  chunkSize?: number;
  /** 1, 2, 4 and so on to 64; 4 unless told otherwise. */
  buffers?: number;
  /** How many bytes it will be, for those who show progress. */
  totalLength?: number;
}

export interface StreamOptions {
  /** Which end this is: the one that reads, unless told otherwise. */
  access?: Access;
  /** Makes the stream; the other side then joins it. Without it, this side joins. */
  create?: NewStream | boolean;
  /**
   * Milliseconds to wait for a stream that is not there yet; 0 unless told otherwise. It is joined as soon as it is there with the right
   * `watch` for `<name>__ctrl`, and within a quarter of a second without.
   */
  timeout?: number;
}

/** What a worker must know of its end. */
export interface StreamDescription {
  readonly name: string;
  readonly writes: boolean;
  readonly geometry: StreamGeometry;
  readonly ring: number;
  readonly chunks: readonly number[];
}

export type Ask = <T>(send: (request: number) => void) => Promise<T>;

export class Streams {
  readonly #native: Native;
  readonly #ask: Ask;
  readonly #hosts = new Set<PageHost>();

  constructor(native: Native, ask: Ask) {
    this.#native = native;
    this.#ask = ask;
  }

  /** Joins a stream. */
  async join(name: string, access: Access): Promise<StreamReader | StreamWriter> {
    return this.#open(name, async (open) => {
      const ring = await open(`${name}__ctrl`, 'write');
      if (ring.info.sequence === 0) await this.#published(ring);
      const host = new PageHost(this.#native, name, access === 'write', ring);
      const geometry = host.read();
      const buffers = await allOf(namesOf(name, geometry.buffers).map((each) => open(each, access)));
      if (buffers.some(({ info }) => info.capacity < geometry.chunkSize)) throw corrupt('its buffers are smaller than it says');
      host.join(geometry, buffers);
      return host;
    });
  }

  /** Makes a stream. */
  async create(name: string, access: Access, options: NewStream): Promise<StreamReader | StreamWriter> {
    const { chunkSize = 2 ** 20, buffers = 4, totalLength } = options;
    const geometry = { chunkSize, buffers, totalLength };
    checkGeometry(geometry);
    return this.#open(name, async (_open, create) => {
      const made = await allOf(namesOf(name, buffers).map((each) => create(each, chunkSize)));
      const host = new PageHost(this.#native, name, access === 'write', await create(`${name}__ctrl`, ringSize(buffers)));
      host.publish(geometry, made);
      return host;
    });
  }

  /** The document goes, and with it all regions. */
  suspend(): void {
    const reason = new MemioError('io.memio.client.Disconnected', 'The document was left.');
    for (const host of [...this.#hosts]) host.leave(reason);
  }

  /** Runs `work`, which opens or creates regions; if it fails, they are closed and removed again. */
  async #open(
    name: string,
    work: (open: (name: string, access: string) => Promise<Opened>, create: (name: string, capacity: number) => Promise<Opened>) => Promise<PageHost>,
  ): Promise<StreamReader | StreamWriter> {
    const native = this.#native;
    const opened: number[] = [];
    const created: string[] = [];
    const keep = (region: Opened): Opened => {
      opened.push(region.handle);
      if (region.info.slots !== 1 || region.info.layout !== 'memio64')
        throw corrupt(`the region ${region.info.name} is none of a stream's: it has ${region.info.slots} slots of ${region.info.layout}`);
      return region;
    };
    const open = async (region: string, access: string): Promise<Opened> =>
      keep(await this.#ask<Opened>((n) => native.open(n, region, access)));
    const create = async (region: string, capacity: number): Promise<Opened> => {
      const made = await this.#ask<Opened>((n) => native.create(n, region, capacity, 1, 'memio64', 'session', undefined, undefined));
      created.push(region);
      return keep(made);
    };
    try {
      const host = await work(open, create);
      this.#hosts.add(host);
      host.onend = () => {
        this.#hosts.delete(host);
        native.close(host.handle);
        this.#remove(created);
      };
      return host.end!;
    } catch (error) {
      for (const handle of opened) native.close(handle);
      this.#remove(created);
      throw error instanceof MemioError ? error : new MemioError('io.memio.client.System', `${name}: ${String(error)}`);
    }
  }

  /** The ring last to be made, first to go. Who may not remove has the names until the document goes. */
  #remove(names: readonly string[]): void {
    for (const name of [...names].reverse()) this.#ask<unknown>((n) => this.#native.remove(n, name)).catch(() => {});
  }

  /** Resolved when the ring has been published. */
  async #published({ handle, info }: Opened): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const failed = this.#native.subscribe(handle, 0, resolve);
      if (isNativeError(failed)) reject(new MemioError(failed.error, failed.message));
      const late = new MemioError('io.memio.client.TimedOut', `Who made ${info.name} has not published it within ${patience} ms.`);
      setTimeout(() => reject(late), patience);
    });
  }
}

/** Promise.all(), but it fails only when nothing is on its way any more that would have to be undone. */
async function allOf<T>(promises: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(promises);
  return Promise.all(promises);
}

function namesOf(name: string, buffers: number): string[] {
  return Array.from({ length: buffers }, (_, i) => `${name}__data_${i}`);
}

/** One end in this document; or what a worker's needs of this thread. */
class PageHost implements StreamHost {
  readonly handle: number;
  readonly #native: Native;
  readonly #name: string;
  readonly #writes: boolean;
  /** The ring, then the buffers. */
  #regions: readonly Opened[];
  #memory: StreamMemory;
  /** The word that says that something was stored into what is only read. */
  #stored: Int32Array = new SignedWords(1);
  #ring: AnyRing | undefined;
  #geometry: StreamGeometry | undefined;
  end: StreamReader | StreamWriter | undefined;
  onend: () => void = () => {};
  /** The mailbox, once a worker has the end. */
  #head: Int32Array | undefined;

  constructor(native: Native, name: string, writes: boolean, ring: Opened) {
    this.#native = native;
    this.#name = name;
    this.#writes = writes;
    this.#regions = [ring];
    this.handle = ring.handle;
    this.#memory = this.#layHere([]);
  }

  /** What the ring says of itself. */
  read(): StreamGeometry {
    return readRing(this.#memory.buffer, this.#memory.ring, this.#regions[0]!.info.capacity);
  }

  /** Takes this side of a stream that somebody else has made. */
  join(geometry: StreamGeometry, buffers: readonly Opened[]): void {
    this.#memory = this.#layHere(buffers);
    const ring = this.#start(geometry);
    if (!ring.taken) {
      this.#join();
      if (ring.join(this.#cell)) return;
    }
    throw new MemioError(
      'io.memio.client.Busy',
      `The stream ${this.#name} has a ${this.#writes ? 'writer' : 'reader'} already, and never gets another; make a new one.`,
    );
  }

  /** Publishes the ring of a new stream, with this side in it. */
  publish(geometry: StreamGeometry, buffers: readonly Opened[]): void {
    const native = this.#native;
    this.#memory = this.#layHere(buffers);
    check(native.begin(this.handle, ringSize(geometry.buffers)));
    makeRing(this.#memory, geometry, this.#writes, this.#cell);
    this.#start(geometry);
    this.#join();
    check(native.commit(this.handle));
  }

  #join(): void {
    check(this.#native.joinStream(this.handle, this.#writes, () => this.#rang()));
  }

  /** The cell that stands for this side. */
  get #cell(): number {
    return this.#regions[this.#writes ? 0 : 1]!.cell;
  }

  leave(reason: MemioError): void {
    if (this.end !== undefined) streamInternals.leave(this.end, reason);
  }

  otherLives(cell: number): boolean {
    return this.#native.otherLives(this.handle, cell);
  }
  showTrueBytes(): void {
    if (this.#stored[0] !== 0) check(this.#native.mend(this.handle));
  }
  whyEnded(): MemioError | undefined {
    return undefined;
  }
  release(error: MemioError | undefined): void {
    if (this.#head !== undefined) this.#endWorker(this.#head, error);
    this.onend();
  }

  share(): { buffer: SharedArrayBuffer; memory: StreamMemory; counts: Float64Array } {
    needSharedBuffers(this.#native);
    const size = this.#size(headSize);
    let buffer: SharedArrayBuffer;
    try {
      buffer = new SharedBuffer!(size);
    } catch {
      throw this.#noMemory(size);
    }
    this.#memory = this.#lay(buffer, headSize, word.stored * 4, []);
    const head = (this.#head = new SignedWords(buffer, 0, headSize / 4));
    const { ring, chunks } = this.#memory;
    const description: StreamDescription = { name: this.#name, writes: this.#writes, geometry: this.#geometry!, ring, chunks };
    const text = JSON.stringify(description);
    store(head, word.descriptionLength, putText(buffer, descriptionOffset, descriptionRoom, text));
    store(head, word.magic, streamMagic);
    void this.#serve(head);
    return { buffer, memory: this.#memory, counts: new Doubles(buffer, countsOffset, 2) };
  }

  #start(geometry: StreamGeometry): AnyRing {
    this.#geometry = geometry;
    const ringOther = (): void => this.#native.ringOther(this.handle);
    const parts = { name: this.#name, host: this, geometry };
    if (this.#writes) {
      const ring = (this.#ring = new RingWriter(this.#memory, geometry, ringOther));
      this.end = makeEnd(StreamWriter, { ...parts, ring });
    } else {
      const ring = (this.#ring = new RingReader(this.#memory, geometry, ringOther));
      this.end = makeEnd(StreamReader, { ...parts, ring });
    }
    return this.#ring;
  }

  #rang(): void {
    if (this.end === undefined) return;
    if (this.#head === undefined) return streamInternals.rang(this.end);
    this.#forward(this.#head);
    streamInternals.workerMoved(this.end);
  }

  // --- for a worker ---

  #forward(head: Int32Array): void {
    try {
      const cell = this.#ring!.otherCell();
      if (cell >= 0 && !this.otherLives(cell)) store(head, word.gone, 1);
    } catch {
      // A lie, which the worker finds as well.
    }
    add(head, word.rings, 1);
    notify(head, word.rings);
  }

  async #serve(head: Int32Array): Promise<void> {
    this.#forward(head); // what was before the worker had it
    for (let seen = 0; ; ) {
      const waiting = waitAsync(head, word.requests, seen);
      if (waiting.async) await waiting.value;
      if (load(head, word.closed) !== 0) return;
      seen = load(head, word.requests);
      const wants = exchange(head, word.wants, 0);
      if (wants & want.ring) this.#native.ringOther(this.handle);
      if (wants & want.mend) this.#mendFor(head);
      if (wants & want.end) streamInternals.workerEnded(this.end!, this.#errorOf(head));
      else streamInternals.workerMoved(this.end!);
    }
  }

  #mendFor(head: Int32Array): void {
    this.#native.mend(this.handle);
    add(head, word.mended, 1);
    notify(head, word.mended);
  }

  #errorOf(head: Int32Array): MemioError | undefined {
    if (load(head, word.done) === 1) return undefined;
    const text = getText(head.buffer, textOffset, textRoom, load(head, word.textLength));
    const end = text.indexOf('\n');
    return new MemioError(text.slice(0, end), text.slice(end + 1));
  }

  #endWorker(head: Int32Array, error: MemioError | undefined): void {
    const { name, message } = error ?? misuse(`The stream ${this.#name} is done.`);
    store(head, word.textLength, putText(head.buffer, textOffset, textRoom, `${name}\n${message}`));
    store(head, word.closed, 1);
    for (const index of [word.rings, word.requests, word.mended]) {
      add(head, index, 1); // else who is about to sleep would
      notify(head, index);
    }
  }

  // --- memory ---

  #size(head: number): number {
    return this.#regions.reduce((sum, { dataSize }) => sum + dataSize, head + this.#native.pageSize);
  }

  #lay(buffer: ArrayBufferLike, head: number, stored: number, more: readonly Opened[]): StreamMemory {
    const handles = more.map(({ handle }) => handle);
    let at = check(this.#native.layStream(this.handle, new Bytes(buffer), head, stored, ...handles)) + headerSize;
    const places = this.#regions.map(({ dataSize }) => {
      const place = at;
      at += dataSize;
      return place;
    });
    const [ring, ...chunks] = places as [number, ...number[]];
    return { buffer, ring, chunks };
  }

  /** Lays what there is, and these buffers, under a buffer of the page's own. */
  #layHere(more: readonly Opened[]): StreamMemory {
    this.#regions = [...this.#regions, ...more];
    const size = this.#size(ownHead);
    let buffer: ArrayBuffer;
    try {
      buffer = new Buffer(size);
    } catch {
      throw this.#noMemory(size);
    }
    this.#stored = new SignedWords(buffer, 0, 1);
    return this.#lay(buffer, ownHead, 0, more);
  }

  #noMemory(size: number): MemioError {
    const text = `WebKit had no buffer of ${size} bytes for the stream ${this.#name}; make it with fewer or smaller buffers.`;
    return new MemioError('io.memio.OutOfResources', text);
  }
}

function check<T>(result: T | NativeError): T {
  if (isNativeError(result)) throw new MemioError(result.error, result.message);
  return result;
}
