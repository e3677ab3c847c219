// SPDX-License-Identifier: MIT
// The two sides of a stream over one piece of ordinary memory, with doorbells that ring in a task of their own, as they do.
import type { MemioError } from '../src/errors.js';
import { StreamReader, StreamWriter } from '../src/stream.js';
import { type AnyEnd, makeEnd, type StreamHost, streamInternals } from '../src/stream_end.js';
import { makeRing, RingReader, ringSize, RingWriter, type StreamGeometry, type StreamMemory } from '../src/stream_ring.js';

// Node has none.
globalThis.ProgressEvent ??= class extends Event {
  constructor(type: string, { lengthComputable = false, loaded = 0, total = 0 }: ProgressEventInit = {}) {
    super(type);
    Object.assign(this, { lengthComputable, loaded, total });
  }
} as unknown as typeof ProgressEvent;

export const writerCell = 4;
export const readerCell = 2;

export function makeMemory(buffers: number, chunkSize: number): StreamMemory {
  const ring = 64;
  const first = ring + ringSize(buffers) + 8;
  const chunks = Array.from({ length: buffers }, (_, i) => first + i * (chunkSize + 8));
  return { buffer: new ArrayBuffer(first + buffers * (chunkSize + 8)), ring, chunks };
}

export class FakeHost implements StreamHost {
  end: AnyEnd | undefined;
  lives = true;
  rings = 0;
  mended = 0;
  released: MemioError | 'done' | undefined;

  /** Rings whom this is the host of, a moment later. */
  rang(): void {
    ++this.rings;
    setTimeout(() => streamInternals.rang(this.end!));
  }
  otherLives(): boolean {
    return this.lives;
  }
  showTrueBytes(): void {
    ++this.mended;
  }
  whyEnded(): undefined {}
  release(error: MemioError | undefined): void {
    this.released = error ?? 'done';
  }
  share(): never {
    throw new Error('not here');
  }
}

export class FakePipe {
  readonly memory: StreamMemory;
  readonly geometry: StreamGeometry;
  readonly words: Int32Array;
  readonly writerHost = new FakeHost();
  readonly readerHost = new FakeHost();
  readonly writer: StreamWriter;
  readonly reader: StreamReader;

  constructor({ buffers = 2, chunkSize = 8, totalLength = undefined as number | undefined, start = 0 } = {}) {
    this.memory = makeMemory(buffers, chunkSize);
    const geometry = (this.geometry = { buffers, chunkSize, totalLength });
    makeRing(this.memory, geometry, true, writerCell);
    this.words = new Int32Array(this.memory.buffer, this.memory.ring, ringSize(buffers) / 4);
    const [forWriter, forReader] = [new RingWriter(this.memory, geometry, () => this.readerHost.rang(), start), new RingReader(this.memory, geometry, () => this.writerHost.rang(), start)];
    this.words[0] = this.words[1] = start | 0;
    if (!forReader.join(readerCell)) throw new Error('somebody has joined');
    this.writer = makeEnd(StreamWriter, { name: 's', host: this.writerHost, geometry, ring: forWriter });
    this.reader = makeEnd(StreamReader, { name: 's', host: this.readerHost, geometry, ring: forReader });
    this.writerHost.end = this.writer;
    this.readerHost.end = this.reader;
  }

  /** The index of the first word of the reader's side. */
  get readerSide(): number {
    return this.words.length - 64;
  }

  /** What memiod does when a side's handle ends. */
  killWriter(): void {
    this.readerHost.lives = false;
    this.readerHost.rang();
  }
  killReader(): void {
    this.writerHost.lives = false;
    this.writerHost.rang();
  }
}
