// SPDX-License-Identifier: MIT
// One end of a stream in a Web Worker: see stream_mailbox.ts.
import { MemioError } from './errors.js';
import { Doubles, SignedWords } from './primordials.js';
import { StreamReader, StreamWriter } from './stream.js';
import { type AnyEnd, makeEnd, misuse, type StreamHost, streamInternals } from './stream_end.js';
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
import type { StreamDescription } from './stream_page.js';
import { RingReader, RingWriter } from './stream_ring.js';

/** How long a worker waits for the page's thread to undo stores. */
const patience = 5_000;

const { add, compareExchange, load, notify, or, store, wait, waitAsync } = Atomics as typeof Atomics & {
  waitAsync(
    words: Int32Array,
    index: number,
    value: number,
  ): { async: false; value: string } | { async: true; value: Promise<string> };
};

/**
 * The end of a stream that a page has posted, as `stream.shared()` gave it: a StreamWriter or a StreamReader, as it was in the page.
 * Error: Misuse, if `buffer` is none or a worker has it already.
 */
export function attachStream(buffer: SharedArrayBuffer): StreamWriter | StreamReader {
  const wrong = misuse('attachStream() takes the SharedArrayBuffer that stream.shared() gave.');
  if (!(buffer instanceof SharedArrayBuffer) || buffer.byteLength < headSize) throw wrong;
  const head = new SignedWords(buffer, 0, headSize / 4);
  if (load(head, word.magic) !== streamMagic) throw wrong;
  if (compareExchange(head, word.taken, 0, 1) !== 0) throw misuse('A worker has attached this end of the stream already.');
  const text = getText(buffer, descriptionOffset, descriptionRoom, load(head, word.descriptionLength));
  const { name, writes, geometry, ring, chunks } = JSON.parse(text) as StreamDescription;
  const host = new WorkerHost(buffer, head);
  const memory = { buffer, ring, chunks };
  const parts = { name, host, geometry, counts: new Doubles(buffer, countsOffset, 2) };
  const end = writes
    ? makeEnd(StreamWriter, { ...parts, ring: new RingWriter(memory, geometry, host.ringOther) })
    : makeEnd(StreamReader, { ...parts, ring: new RingReader(memory, geometry, host.ringOther) });
  void host.serve(end);
  return end;
}

class WorkerHost implements StreamHost {
  readonly #buffer: SharedArrayBuffer;
  readonly #head: Int32Array;
  #released = false;
  readonly ringOther = (): void => this.#want(want.ring);

  constructor(buffer: SharedArrayBuffer, head: Int32Array) {
    this.#buffer = buffer;
    this.#head = head;
  }

  /** Passes rings on to the end, until it is done. */
  async serve(end: AnyEnd): Promise<void> {
    for (let seen = 0; !this.#released; ) {
      const waiting = waitAsync(this.#head, word.rings, seen);
      if (waiting.async) await waiting.value;
      seen = load(this.#head, word.rings);
      const error = this.whyEnded();
      if (error !== undefined) return streamInternals.leave(end, error);
      streamInternals.rang(end);
    }
  }

  otherLives(): boolean {
    return load(this.#head, word.gone) === 0;
  }

  showTrueBytes(): void {
    const head = this.#head;
    if (load(head, word.stored) === 0) return;
    const mended = load(head, word.mended);
    this.#want(want.mend);
    if (load(head, word.mended) === mended && wait(head, word.mended, mended, patience) === 'timed-out')
      throw new MemioError('io.memio.client.TimedOut', `The page's thread had no time for this worker within ${patience} ms.`);
  }

  whyEnded(): MemioError | undefined {
    if (this.#released || load(this.#head, word.closed) === 0) return undefined;
    const text = getText(this.#buffer, textOffset, textRoom, load(this.#head, word.textLength));
    const end = text.indexOf('\n');
    return new MemioError(text.slice(0, end), text.slice(end + 1));
  }

  release(error: MemioError | undefined): void {
    this.#released = true;
    const head = this.#head;
    if (load(head, word.closed) !== 0) return;
    if (error !== undefined)
      store(head, word.textLength, putText(this.#buffer, textOffset, textRoom, `${error.name}\n${error.message}`));
    store(head, word.done, error === undefined ? 1 : 2);
    this.#want(want.end);
    add(head, word.rings, 1); // ends serve()
    notify(head, word.rings);
  }

  share(): never {
    throw misuse('A stream is shared by the page; it is this worker that has it.');
  }

  #want(bit: number): void {
    or(this.#head, word.wants, bit);
    add(this.#head, word.requests, 1);
    notify(this.#head, word.requests);
  }
}
