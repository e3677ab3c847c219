// SPDX-License-Identifier: MIT
// What both ends of a stream have in common, in a page and in a worker: waiting for the other, and how it ends.
//
// An end waits by asking for a ring and looking once more; its host (the page's thread, to which a worker's talks through a
// mailbox) calls rang() for each ring. Nothing is looked at in between.
import { MemioError } from './errors.js';
import { describe } from './publishing.js';
import { Doubles } from './primordials.js';
import type { RingReader, RingWriter, StreamGeometry, StreamMemory } from './stream_ring.js';

/** What an end needs besides the memory. */
export interface StreamHost {
  /** Whether the handle that has this cell is still open. */
  otherLives(cell: number): boolean;
  /** Undoes what somebody here has stored into buffers that are open for reading only. */
  showTrueBytes(): void;
  /** The end is done with the stream: the handles are given back. `error` says why, unless all went well. */
  release(error: MemioError | undefined): void;
  /** Why the stream has ended whatever the memory may show, which can be zeros by then; undefined if it has not. */
  whyEnded(): MemioError | undefined;
  /** Lays the memory under a SharedArrayBuffer, for a worker that is the end from now on and keeps these counts. */
  share(): { readonly buffer: SharedArrayBuffer; readonly memory: StreamMemory; readonly counts: Float64Array };
}

export type AnyRing = RingReader | RingWriter;
export type AnyEnd = StreamEnd<RingReader> | StreamEnd<RingWriter>;

/** What only the runtime may do with streams. */
export interface StreamInternals {
  rang(end: AnyEnd): void;
  /** The worker that has the end has moved on, or is done with it. */
  workerMoved(end: AnyEnd): void;
  workerEnded(end: AnyEnd, error: MemioError | undefined): void;
  /** The end cannot go on here, because the document goes. */
  leave(end: AnyEnd, error: MemioError): void;
}
export let streamInternals: StreamInternals;

/** What an end is made of. */
export interface StreamParts<R> {
  readonly name: string;
  readonly ring: R;
  readonly host: StreamHost;
  readonly geometry: StreamGeometry;
  /** Bytes written and taken, kept up to date by the end, wherever it is; in a worker in memory that the page sees. */
  readonly counts?: Float64Array;
}

const fromRuntime = Symbol('only the runtime makes streams');
export type FromRuntime = typeof fromRuntime;

/** For the runtime and the worker's: makes an end of one of the classes in stream.ts. */
export function makeEnd<R, E>(make: new (key: FromRuntime, parts: StreamParts<R>) => E, parts: StreamParts<R>): E {
  return new make(fromRuntime, parts);
}

/**
 * One end of a stream. Fires `progress`, a ProgressEvent: `loaded` is `taken`, and `total` is `totalLength` if that is known.
 *
 * Errors that end it, with which all that waits rejects, and all that is begun later: PeerGone, if the other side ended before it was
 * done; Aborted, if either side gave up; Corrupt; Disconnected, if the document was left.
 */
export abstract class StreamEnd<R extends AnyRing> extends EventTarget {
  readonly name: string;
  /** Bytes that one buffer carries, and how many buffers there are. */
  readonly chunkSize: number;
  readonly buffers: number;
  /** How many bytes it will be, if who made the stream has said so. A claim. */
  readonly totalLength: number | undefined;
  /** Resolved when this end is done with the stream, rejected if it ends otherwise. */
  readonly closed: Promise<void>;
  #resolve!: () => void;
  #reject!: (error: MemioError) => void;
  readonly #ring: R;
  readonly #host: StreamHost;
  #counts: Float64Array;
  #workers = false;
  #used = false;
  #ended = false;
  #error: MemioError | undefined;
  #busy = false;
  #wakeUp: (() => void) | undefined;
  #told = 0;
  #listenedTo = false;
  #onprogress: ((event: ProgressEvent) => unknown) | null = null;
  readonly #callOnprogress = (event: Event): unknown => this.#onprogress?.call(this, event as ProgressEvent);

  static {
    streamInternals = {
      rang: (end: StreamEnd<AnyRing>) => end.#rang(),
      workerMoved: (end: StreamEnd<AnyRing>) => end.#tellProgress(),
      workerEnded: (end: StreamEnd<AnyRing>, error) => end.#workerEnded(error),
      leave: (end: StreamEnd<AnyRing>, error) => end.#fail(error),
    };
  }

  /** @internal */
  constructor(key: FromRuntime, { name, ring, host, geometry, counts = new Doubles(2) }: StreamParts<R>) {
    if (key !== fromRuntime) throw new TypeError('Streams come from memio.stream()');
    super();
    this.name = name;
    this.#ring = ring;
    this.#host = host;
    this.#counts = counts;
    this.chunkSize = geometry.chunkSize;
    this.buffers = geometry.buffers;
    this.totalLength = geometry.totalLength;
    this.closed = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.closed.catch(() => {}); // who wants to know asks
  }

  /** Bytes that were put in; for a reader, as far as it has looked. */
  get written(): number {
    return this.#counts[0]!;
  }
  /** Bytes that the reader is done with; for a writer, as far as it has looked. */
  get taken(): number {
    return this.#counts[1]!;
  }

  /**
   * The end for one Web Worker, to be posted to it: `attachStream()` of `memio-client/worker` makes of it what this is here. This object then
   * only tells of progress and of the end, and can give the stream up. To be called before anything else. Errors: PermissionDenied
   * if the application has not turned workers on; Misuse.
   */
  async shared(): Promise<SharedArrayBuffer> {
    this.open();
    if (this.#used) throw misuse(`The stream ${this.name} has been used here already; call shared() before anything else.`);
    const { buffer, memory, counts } = this.#host.share();
    this.#ring.moveTo(memory);
    this.#counts = counts;
    this.#workers = true;
    return buffer;
  }

  get onprogress(): ((event: ProgressEvent) => unknown) | null {
    return this.#onprogress;
  }
  set onprogress(handler: ((event: ProgressEvent) => unknown) | null) {
    this.#onprogress = typeof handler === 'function' ? handler : null;
    if (this.#onprogress === null) this.removeEventListener('progress', this.#callOnprogress);
    else this.addEventListener('progress', this.#callOnprogress);
  }

  override addEventListener(...given: Parameters<EventTarget['addEventListener']>): void {
    this.#listenedTo = true;
    super.addEventListener(...given);
  }

  /** The ring, to be used. Throws if the end has ended, or is a worker's. */
  protected open(): R {
    if (this.#error !== undefined) throw this.#error;
    if (this.#ended) throw misuse(`The stream ${this.name} is done.`);
    if (this.#workers) throw misuse(`The stream ${this.name} is a worker's.`);
    return this.#ring;
  }

  protected get ended(): boolean {
    return this.#ended;
  }
  /** Why it has ended, if not because it was done. */
  protected get error(): MemioError | undefined {
    return this.#error;
  }
  /** Whether a call waits for the other side. */
  protected get busy(): boolean {
    return this.#busy;
  }
  /** Whether the other side is there, or may still come. */
  protected get otherLives(): boolean {
    const cell = this.#ring.otherCell();
    return cell < 0 || this.#host.otherLives(cell);
  }
  protected get peerGone(): MemioError {
    return new MemioError('io.memio.client.PeerGone', `The other side of the stream ${this.name} is gone, and was not done.`);
  }

  /** Waits until the ring is ready(). One at a time. Whatever goes wrong ends the stream. */
  protected async untilReady(): Promise<void> {
    const ring = this.use();
    if (this.#busy) throw misuse('Another call waits for this stream; wait for its promise first.');
    this.#busy = true;
    try {
      while (!this.#readyOrAsleep(ring)) {
        await new Promise<void>((resolve) => (this.#wakeUp = resolve));
        this.open();
      }
      this.progressed();
    } catch (error) {
      throw this.#fail(error);
    } finally {
      this.#busy = false;
    }
  }

  /** open(), for what cannot be taken back by shared(). */
  protected use(): R {
    const ring = this.open();
    this.#used = true;
    return ring;
  }

  /** Does something with the ring. Whatever goes wrong ends the stream. */
  protected attempt<T>(work: (ring: R) => T): T {
    const ring = this.open();
    try {
      return work(ring);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** Something has moved: the counts are to be told. */
  protected progressed(): void {
    this.#counts[0] = this.#ring.bytesWritten;
    this.#counts[1] = this.#ring.bytesTaken;
    this.#tellProgress();
  }

  protected showTrueBytes(): void {
    this.#host.showTrueBytes();
  }

  /** All is done. */
  protected finished(): void {
    this.#end(undefined);
  }

  /** This side gives up. More than once does no harm. */
  protected giveUp(reason: unknown): void {
    if (this.#ended) return;
    const text = textOf(reason);
    this.#ring.giveUp(text);
    this.#end(new MemioError('io.memio.client.Aborted', `The stream ${this.name} was given up here${text === '' ? '.' : `: ${text}`}`));
  }

  /** A ring came for which nobody waits. */
  protected rangIdle(): void {}

  /** The order is that of STREAM_FORMAT.md, "Sleeping and waking". True if there is something; else the next move of the other rings. */
  #readyOrAsleep(ring: R): boolean {
    if (ring.ready()) return true;
    ring.wantRing();
    const alive = this.otherLives;
    if (ring.ready()) {
      ring.unwantRing();
      return true;
    }
    if (!alive) throw this.peerGone;
    return false;
  }

  #rang(): void {
    if (this.#workers || this.#ended) return;
    const wakeUp = this.#wakeUp;
    this.#wakeUp = undefined;
    if (wakeUp !== undefined) return wakeUp();
    if (!this.#busy) this.rangIdle();
  }

  #fail(cause: unknown): MemioError {
    if (this.#error !== undefined) return this.#error;
    const found = cause instanceof MemioError ? cause : new MemioError('io.memio.client.System', String(cause));
    const error = this.#host.whyEnded() ?? found;
    if (this.#ended || error.name === 'io.memio.client.Misuse') return error;
    // The other side is not to be left asleep.
    if (error.name !== 'io.memio.client.Aborted') this.#ring.giveUp(error.message);
    this.#end(error);
    return error;
  }

  #workerEnded(error: MemioError | undefined): void {
    this.#tellProgress();
    this.#end(error);
  }

  #end(error: MemioError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#counts = new Doubles([this.written, this.taken]);
    this.#host.release(error);
    if (error === undefined) this.#resolve();
    else this.#reject(error);
    this.#wakeUp?.();
    this.#wakeUp = undefined;
  }

  #tellProgress(): void {
    const { taken, totalLength } = this;
    if (taken === this.#told || !this.#listenedTo) return;
    this.#told = taken;
    const total = totalLength ?? 0;
    this.dispatchEvent(new ProgressEvent('progress', { lengthComputable: totalLength !== undefined, loaded: taken, total }));
  }
}

/** Why somebody gives up, for people. */
function textOf(reason: unknown): string {
  if (reason === undefined) return '';
  if (reason instanceof Error) return String(reason.message);
  return typeof reason === 'string' ? reason : describe(reason);
}

export function misuse(message: string): MemioError {
  return new MemioError('io.memio.client.Misuse', message);
}
