// SPDX-License-Identifier: MIT
// memio-client/worker: a region in a Web Worker.
//
//     const region = attach(event.data);                      // what region.shared() gave the page
//     for await (const snapshot of region) sum(snapshot.as(Float32Array));
//
// Reading, leasing and looking for news need nobody. Publishing asks the page's thread for the lock and a slot
// (mailbox.ts says how), so it waits until that thread has a moment; the bytes are written here.
import type { Access, Region as RegionInfo } from '../generated/protocol.js';
import { MemioError } from './errors.js';
import { geometryOf, toBigInt, toNumber } from './format.js';
import { descriptionOffset, descriptionRoom, getText, headSize, mailboxMagic, operation, textOffset, textRoom, word } from './mailbox.js';
import type { TypedArrayConstructor } from './payload.js';
import { beginCopy, checkLength, type Halves, halvesOf, type PublishOptions, toBytes, toHalves } from './publishing.js';
import { Reader } from './reader.js';
import { RegionMemory } from './region_memory.js';
import type { Description } from './shared.js';
import { Shown, Snapshot } from './snapshot.js';

export { MemioError } from './errors.js';
export type { StreamChunk, StreamReader, StreamSource, StreamWriter } from './stream.js';
export { attachStream } from './stream_worker.js';
export type { Snapshot } from './snapshot.js';

/** How long a worker waits for the page's thread. */
const patience = 5_000;

type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  timeout?: number,
) => { async: false; value: string } | { async: true; value: Promise<string> };
const waitAsync = (Atomics as unknown as { waitAsync: WaitAsync }).waitAsync;

/** The region that a page has posted. Error: Misuse, if `buffer` is none or a worker has it already. */
export function attach(buffer: SharedArrayBuffer): WorkerRegion {
  if (!(buffer instanceof SharedArrayBuffer) || buffer.byteLength < headSize)
    throw misuse('attach() takes the SharedArrayBuffer that region.shared() gave.');
  const head = new Int32Array(buffer, 0, headSize / 4);
  if (Atomics.load(head, word.magic) !== mailboxMagic)
    throw misuse('attach() takes the SharedArrayBuffer that region.shared() gave.');
  if (Atomics.compareExchange(head, word.taken, 0, 1) !== 0)
    throw misuse('A worker has attached this region already; call region.shared() once for each worker.');
  const length = Atomics.load(head, word.descriptionLength);
  const description = JSON.parse(getText(buffer, descriptionOffset, descriptionRoom, length)) as Description;
  return new WorkerRegion(buffer, head, description);
}

/** A region in a worker; the same as the page's Region where it has the same names. */
export class WorkerRegion {
  readonly info: RegionInfo;
  readonly access: Access;
  readonly #head: Int32Array;
  readonly #buffer: SharedArrayBuffer;
  readonly #memory: RegionMemory;
  readonly #reader: Reader;
  readonly #releaseSlot = (slot: number): void => {
    if (!this.closed && this.#reader.release(slot)) this.#ask(operation.wake);
  };
  #subscribed = false;
  readonly #shown = new Shown();

  /** @internal */
  constructor(buffer: SharedArrayBuffer, head: Int32Array, { info, access, cell, pageSize, dataOffset }: Description) {
    this.info = Object.freeze(info);
    this.access = access;
    this.#head = head;
    this.#buffer = buffer;
    const geometry = geometryOf(info);
    this.#memory = new RegionMemory(geometry, {
      data: buffer,
      dataOffset,
      control: buffer,
      controlOffset: dataOffset + geometry.slots * geometry.stride,
      pageSize,
      cell,
      storedOffset: word.stored * 4,
      mend: () => void this.#ask(operation.mend),
    });
    this.#reader = new Reader(this.#memory);
  }

  get name(): string {
    return this.info.name;
  }
  get closed(): boolean {
    return Atomics.load(this.#head, word.closed) !== 0;
  }
  get sequence(): number {
    return this.#open().sequence;
  }
  get version(): number {
    const { low, high } = this.#open().version();
    return toNumber(low, high);
  }
  get versionBigInt(): bigint {
    const { low, high } = this.#open().version();
    return toBigInt(low, high);
  }

  read(): Snapshot {
    return new Snapshot(this.#open().lease(), this.#releaseSlot);
  }

  as<T extends TypedArrayConstructor>(constructor: T): InstanceType<T> {
    return this.#shown.as(this, constructor);
  }

  write(bytes: ArrayBufferLike | ArrayBufferView, options: PublishOptions = {}): number {
    const source = toBytes(bytes);
    const version = toHalves(options.version);
    beginCopy(this, source);
    return this.#commit(version);
  }

  begin(length: number): Uint8Array {
    checkLength(length);
    return this.#memory.payload(this.#ask(operation.begin, halvesOf(length)), length).bytes;
  }

  commit(options: PublishOptions = {}): number {
    return this.#commit(toHalves(options.version));
  }

  abort(): void {
    if (!this.closed) this.#ask(operation.abort);
  }

  /**
   * Sleeps until the sequence is another than `lastSeen`; false if the time is up first. Blocks this worker; `for await` does not.
   */
  wait(lastSeen: number, milliseconds = Infinity): boolean {
    this.#subscribe();
    const end = performance.now() + milliseconds;
    for (;;) {
      const changes = Atomics.load(this.#head, word.changes);
      if (this.sequence !== lastSeen) return true;
      const left = end - performance.now();
      if (!(left > 0)) return false;
      Atomics.wait(this.#head, word.changes, changes, left);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Snapshot, void, void> {
    this.#subscribe();
    let seen = 0;
    for (;;) {
      const changes = Atomics.load(this.#head, word.changes);
      if (this.closed) return;
      if (this.sequence === seen) {
        const waiting = waitAsync(this.#head, word.changes, changes);
        if (waiting.async) await waiting.value;
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

  /** Gives the handle back. More than once does no harm. */
  close(): void {
    if (!this.closed) this.#ask(operation.close);
  }

  #open(): Reader {
    if (this.closed) throw misuse(`The region ${this.name} has been closed; have the page share it again.`);
    return this.#reader;
  }

  #subscribe(): void {
    if (this.#subscribed) return;
    this.#ask(operation.subscribe);
    this.#subscribed = true;
  }

  #commit(version: Halves | undefined): number {
    return this.#ask(operation.commit, version);
  }

  /** Has the page's thread do something; gives its result. */
  #ask(what: number, argument?: Halves): number {
    this.#open();
    const head = this.#head;
    const answered = Atomics.load(head, word.answered);
    Atomics.store(head, word.argument, (argument?.low ?? 0) | 0);
    Atomics.store(head, word.argumentHigh, (argument?.high ?? 0) | 0);
    Atomics.store(head, word.hasVersion, argument === undefined ? 0 : 1);
    Atomics.store(head, word.request, what);
    Atomics.notify(head, word.request);
    while (Atomics.load(head, word.answered) === answered) {
      if (Atomics.wait(head, word.answered, answered, patience) !== 'timed-out') continue;
      if (Atomics.compareExchange(head, word.request, what, operation.none) === what)
        throw new MemioError(
          'io.memio.client.TimedOut',
          `The page's thread had no time for this worker within ${patience} ms, or the page is gone.`,
        );
    }
    if (what === operation.close) return 0;
    this.#open();
    if (Atomics.load(head, word.failed) !== 0) throw this.#error();
    return toNumber(Atomics.load(head, word.result) >>> 0, Atomics.load(head, word.resultHigh) >>> 0);
  }

  #error(): MemioError {
    const text = getText(this.#buffer, textOffset, textRoom, Atomics.load(this.#head, word.textLength));
    const end = text.indexOf('\n');
    return new MemioError(text.slice(0, end), text.slice(end + 1));
  }
}

function misuse(message: string): MemioError {
  return new MemioError('io.memio.client.Misuse', message);
}
