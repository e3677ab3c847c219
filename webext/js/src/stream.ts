// SPDX-License-Identifier: MIT
// The two ends of a stream, as pages and workers have them.
import { Bytes, Readable, Writable } from './primordials.js';
import { describe, toBytes } from './publishing.js';
import { misuse, StreamEnd } from './stream_end.js';
import type { RingReader, RingWriter, Taken } from './stream_ring.js';

const { setTimeout } = globalThis;

/** What can be written. */
export type StreamSource = ArrayBufferLike | ArrayBufferView;

/**
 * The end that writes. `await file.stream().pipeTo(stream.writable)`, or `write()` and `finish()`, or in place: `begin()`, fill, `commit()`.
 * One of them at a time.
 */
export class StreamWriter extends StreamEnd<RingWriter> {
  #writable: WritableStream<StreamSource> | undefined;
  #controller: WritableStreamDefaultController | undefined;
  #place: Uint8Array<ArrayBuffer> | undefined;
  #looksSoon = false;

  /**
   * As a WritableStream of bytes in chunks of any size. What it takes is put in at once, so backpressure is the reader's pace; `close()`
   * waits until the reader has done with all of it; `abort()` gives up at once. A `signal` of `pipeTo()` waits, as the web's standard says, until
   * the chunk on its way is in; to give up though the reader takes nothing, have it call this object's `abort()`.
   */
  get writable(): WritableStream<StreamSource> {
    return (this.#writable ??= this.#makeWritable());
  }

  /** A free buffer, `chunkSize` bytes of unspecified content, to be filled before `commit()`. Waits until there is one. */
  async begin(): Promise<Uint8Array<ArrayBuffer>> {
    if (this.use().lastIsIn) throw this.#afterTheEnd();
    if (this.#place === undefined) await this.untilReady();
    return (this.#place ??= this.attempt((ring) => ring.place()));
  }

  /** Puts in the first `length` bytes of what begin() gave. With 0 nothing happens. */
  commit(length: number): void {
    const place = this.#place;
    this.use();
    if (place === undefined) throw misuse('commit() comes after begin().');
    if (!Number.isInteger(length) || length < 0 || length > this.chunkSize)
      throw misuse(`commit() takes a number of bytes up to ${this.chunkSize}, not ${describe(length)}.`);
    if (length === 0) return;
    this.#place = undefined;
    this.attempt((ring) => ring.put(length, false));
    this.progressed();
  }

  /** Puts in a copy of `bytes`; done when the last of them are in. */
  async write(bytes: StreamSource): Promise<void> {
    const source = toBytes(bytes);
    const { length, buffer, byteOffset } = source;
    for (let at = 0; at < length; at += this.chunkSize) {
      const count = Math.min(this.chunkSize, length - at);
      const place = await this.begin();
      place.set(new Bytes(buffer, byteOffset + at, count));
      this.commit(count);
    }
  }

  /** Says that this was all, and waits until the reader is done with it. */
  async finish(): Promise<void> {
    if (!this.use().lastIsIn) {
      await this.begin();
      this.#place = undefined;
      this.attempt((ring) => ring.put(0, true));
    }
    await this.untilReady();
    this.finished();
  }

  /** Gives up: the reader gets what is in, and then Aborted with this reason. More than once does no harm. */
  abort(reason?: unknown): void {
    this.giveUp(reason);
  }

  protected override rangIdle(): void {
    try {
      this.attempt((ring) => {
        // Who has a WritableStream hears of an end at once, so every move of the reader's is to ring.
        if (this.#controller !== undefined) ring.wantRing();
        const alive = this.otherLives;
        ring.look();
        if (!alive && !(ring.lastIsIn && ring.empty)) throw this.peerGone;
      });
      this.progressed();
    } catch (error) {
      this.#controller?.error(error);
    }
  }

  /** What rangIdle() does, when nothing has been written for a moment. */
  #lookSoon(): void {
    if (this.#looksSoon || this.ended) return;
    this.#looksSoon = true;
    setTimeout(() => {
      this.#looksSoon = false;
      if (!this.ended && !this.busy) this.rangIdle();
    }, 0);
  }

  #afterTheEnd(): Error {
    return misuse(`The stream ${this.name} has been finished; nothing can come after that.`);
  }

  #makeWritable(): WritableStream<StreamSource> {
    this.use();
    return new Writable<StreamSource>({
      start: (controller) => {
        this.#controller = controller;
        // The sink's abort() waits for the chunk that is on its way, which may wait for the reader.
        controller.signal.addEventListener('abort', () => this.abort(controller.signal.reason));
        this.#lookSoon();
      },
      write: async (chunk) => {
        try {
          await this.write(chunk);
        } catch (error) {
          this.abort(error); // a chunk that was no bytes; else it has ended already
          throw error;
        }
        this.#lookSoon();
      },
      close: () => this.finish(),
      abort: (reason) => this.abort(reason),
    });
  }
}

/** What one buffer of a stream carries. Until `release()` the writer cannot use the buffer again. */
export class StreamChunk {
  /** The bytes, in the shared memory itself. Copy what you want to keep. */
  readonly data: Uint8Array<ArrayBuffer>;
  /** How many bytes of the stream come before it. */
  readonly offset: number;
  /** Whether nothing comes after it. */
  readonly last: boolean;
  #release: (() => void) | undefined;

  /** @internal */
  constructor({ data, offset, last }: Taken, release: () => void) {
    this.data = data;
    this.offset = offset;
    this.last = last;
    this.#release = release;
  }

  get length(): number {
    return this.data.length;
  }

  /** In any order. More than once does no harm. */
  release(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }
}

// `using chunk = await stream.next()`, where the engine has it.
if (typeof Symbol.dispose === 'symbol')
  Object.defineProperty(StreamChunk.prototype, Symbol.dispose, {
    value: StreamChunk.prototype.release,
    writable: true,
    configurable: true,
  });
export interface StreamChunk extends Partial<Disposable> {}

/**
 * The end that reads. `readable` gives copies that stay what they are; without a copy it goes by
 *
 *     for await (const chunk of stream) hash.update(chunk.data);
 *
 * which releases each chunk, and gives the stream up if the loop is left; or by `next()`. One of them at a time.
 */
export class StreamReader extends StreamEnd<RingReader> implements AsyncIterable<StreamChunk> {
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;

  /** As a ReadableStream of bytes. `cancel()` gives up. A byte stream where the browser has those. */
  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return (this.#readable ??= this.#makeReadable());
  }

  /** The next chunk, in the shared memory, to be released; undefined at the end. */
  async next(): Promise<StreamChunk | undefined> {
    if (this.ended && this.error === undefined) return undefined;
    await this.untilReady();
    const taken = this.attempt((ring) => ring.take());
    if (taken === undefined) return undefined;
    this.showTrueBytes();
    const chunk = new StreamChunk(taken, () => this.#giveBack(taken.n));
    if (chunk.length > 0) return chunk;
    chunk.release(); // the last one, and nothing in it
    return undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StreamChunk, void, void> {
    let atEnd = false;
    try {
      for (;;) {
        const chunk = await this.next();
        atEnd = chunk === undefined;
        if (chunk === undefined) return;
        try {
          yield chunk;
        } finally {
          chunk.release();
        }
      }
    } finally {
      if (!atEnd) this.cancel('the loop over it was left');
    }
  }

  /** Gives up: the writer gets Aborted with this reason. More than once does no harm. */
  cancel(reason?: unknown): void {
    this.giveUp(reason);
  }

  #giveBack(n: number): void {
    if (this.ended) return;
    const finished = this.attempt((ring) => {
      ring.giveBack(n);
      return ring.finished;
    });
    this.progressed();
    if (finished) this.finished();
  }

  #makeReadable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.use();
    const source = new BytesOfStream(this);
    try {
      return new Readable({ type: 'bytes', pull: (controller) => source.fill(controller), cancel: (reason) => this.cancel(reason) });
    } catch {
      // WebKit without byte streams.
      return new Readable<Uint8Array<ArrayBuffer>>(
        { pull: (controller) => source.fill(controller), cancel: (reason) => this.cancel(reason) },
        { highWaterMark: 0 },
      );
    }
  }
}

/** Hands a stream's bytes to a ReadableStream: as they come, or into the buffers of those who bring their own. */
class BytesOfStream {
  readonly #stream: StreamReader;
  #chunk: StreamChunk | undefined;
  #at = 0;

  constructor(stream: StreamReader) {
    this.#stream = stream;
  }

  async fill(controller: ReadableByteStreamController | ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>): Promise<void> {
    const chunk = (this.#chunk ??= await this.#stream.next());
    const request = 'byobRequest' in controller ? controller.byobRequest : null;
    if (chunk === undefined) {
      controller.close();
      request?.respond(0);
      return;
    }
    const left = chunk.length - this.#at;
    const view = request?.view ?? new Bytes(left);
    const count = Math.min(left, view.byteLength);
    const { buffer, byteOffset } = chunk.data;
    new Bytes(view.buffer, view.byteOffset, count).set(new Bytes(buffer, byteOffset + this.#at, count));
    this.#at += count;
    if (count === left) {
      this.#chunk = undefined;
      this.#at = 0;
      chunk.release();
    }
    if (request) request.respond(count);
    else controller.enqueue(view as Uint8Array<ArrayBuffer>);
    if (chunk.last && this.#chunk === undefined) controller.close();
  }
}
