// SPDX-License-Identifier: MIT
// The ring of a stream, both ends of it: proto/STREAM_FORMAT.md, which this mirrors. It works on memory alone; whoever
// has one of the ends waits for rings (stream_end.ts). The other side can write all of this memory at any time, so
// each word is loaded once and checked, and what was checked is kept here.
import { MemioError } from './errors.js';
import { toNumber } from './format.js';
import { atomicExchange, atomicLoad, atomicStore, Bytes, decodeText, encodeText, SignedWords } from './primordials.js';

const entriesOffset = 16;
const entrySize = 24;
const magicLow = 0x494d454d; // "MEMI"
const magicHigh = 0x5254534f; // "OSTR"
const version = 1;
const descriptionSize = 64;
const sideSize = 256;

/** Indices of 32-bit words: in the header, in an entry, in the description, and in a side. */
const header = { head: 0, tail: 1, capacity: 2, entrySize: 3 } as const;
const entry = { bufferIndex: 0, length: 1, offset: 2, offsetHigh: 3, finalize: 4, reserved: 5 } as const;
const description = { magic: 0, magicHigh: 1, version: 2, buffers: 3, chunkSize: 4, chunkSizeHigh: 5, total: 6, totalHigh: 7 } as const;
const side = { joined: 0, state: 1, waits: 2, reasonLength: 3, reason: 4 } as const;

const state = { open: 0, finished: 1, gaveUp: 2 } as const;

const mostBuffers = 64;
const longestChunk = 2 ** 32 - 1;
const longestReason = 176;
/** Of any lease table. */
const mostCells = 4096;

export interface StreamGeometry {
  readonly buffers: number;
  /** Bytes that a buffer holds. */
  readonly chunkSize: number;
  /** How many bytes the stream will have, if its maker has said so. A claim. */
  readonly totalLength: number | undefined;
}

/** Where the memory of a stream lies: all in one buffer. Offsets are in bytes. */
export interface StreamMemory {
  readonly buffer: ArrayBufferLike;
  /** Of the ring, that is, of the payload of `<name>__ctrl`. */
  readonly ring: number;
  /** Of the payload of each `<name>__data_<i>`. */
  readonly chunks: readonly number[];
}

function descriptionOffset(buffers: number): number {
  return Math.ceil((entriesOffset + entrySize * buffers) / 64) * 64;
}

/** Bytes of a ring. */
export function ringSize(buffers: number): number {
  return descriptionOffset(buffers) + descriptionSize + 2 * sideSize;
}

function isNumberOfBuffers(buffers: number): boolean {
  return Number.isInteger(buffers) && buffers >= 1 && buffers <= mostBuffers && (buffers & (buffers - 1)) === 0;
}

export function checkGeometry({ buffers, chunkSize, totalLength }: StreamGeometry): void {
  if (!isNumberOfBuffers(buffers))
    throw misuse(`A stream has 1, 2, 4, 8, 16, 32 or 64 buffers, not ${String(buffers).slice(0, 60)}.`);
  if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize > longestChunk)
    throw misuse(`chunkSize is 1 to ${longestChunk} bytes, not ${String(chunkSize).slice(0, 60)}.`);
  if (totalLength !== undefined && !(Number.isSafeInteger(totalLength) && totalLength >= 0))
    throw misuse(`totalLength is a number of bytes, not ${String(totalLength).slice(0, 60)}.`);
}

/** Lays out a new ring. Its maker's own side has joined already. */
export function makeRing(memory: StreamMemory, geometry: StreamGeometry, writes: boolean, cell: number): void {
  const { buffers, chunkSize, totalLength } = geometry;
  const words = wordsOf(memory, buffers);
  for (let i = 0; i < words.length; ++i) words[i] = 0;
  words[header.capacity] = buffers;
  words[header.entrySize] = entrySize;
  const about = descriptionOffset(buffers) / 4;
  words[about + description.magic] = magicLow;
  words[about + description.magicHigh] = magicHigh;
  words[about + description.version] = version;
  words[about + description.buffers] = buffers;
  words[about + description.chunkSize] = chunkSize | 0;
  words[about + description.total] = totalLength === undefined ? -1 : totalLength | 0;
  words[about + description.totalHigh] = totalLength === undefined ? -1 : (totalLength / 2 ** 32) | 0;
  const own = about + (descriptionSize + (writes ? 0 : sideSize)) / 4;
  words[own + side.joined] = cell + 1;
}

/**
 * What a ring that has been published says of itself. `size` is the capacity of its region. Error: Corrupt.
 */
export function readRing(buffer: ArrayBufferLike, ring: number, size: number): StreamGeometry {
  if (size < ringSize(1) || size % 4 !== 0) throw corrupt('its region is too small for one');
  const words = new SignedWords(buffer, ring, size / 4);
  const buffers = words[header.capacity]!;
  if (!isNumberOfBuffers(buffers) || ringSize(buffers) !== size || words[header.entrySize] !== entrySize)
    throw corrupt('its header does not fit its size');
  const about = descriptionOffset(buffers) / 4;
  const at = (word: number): number => words[about + word]! >>> 0;
  if (at(description.magic) !== magicLow || at(description.magicHigh) !== magicHigh)
    throw corrupt('it has no description, so it is no stream of ours');
  if (at(description.version) !== version) throw corrupt(`it is of version ${at(description.version)}, and this program knows ${version}`);
  const chunkSize = at(description.chunkSize);
  if (at(description.buffers) !== buffers || chunkSize === 0 || at(description.chunkSizeHigh) !== 0)
    throw corrupt('its description is impossible');
  const total = toNumber(at(description.total), at(description.totalHigh));
  return { buffers, chunkSize, totalLength: Number.isSafeInteger(total) ? total : undefined };
}

function wordsOf(memory: StreamMemory, buffers: number): Int32Array {
  return new SignedWords(memory.buffer, memory.ring, ringSize(buffers) / 4);
}

/** Rings the other side's doorbell. */
export type Ring = () => void;

/** What both ends have in common. All that throws throws MemioError: Corrupt or Aborted. */
abstract class RingEnd {
  protected words: Int32Array;
  protected memory: StreamMemory;
  protected readonly chunkSize: number;
  protected readonly buffers: number;
  readonly #own: number;
  readonly #other: number;
  readonly #ring: Ring;
  #otherCell = -1;

  constructor(memory: StreamMemory, geometry: StreamGeometry, writes: boolean, ring: Ring) {
    this.buffers = geometry.buffers;
    this.chunkSize = geometry.chunkSize;
    this.memory = memory;
    this.words = wordsOf(memory, geometry.buffers);
    const sides = (descriptionOffset(geometry.buffers) + descriptionSize) / 4;
    this.#own = sides + (writes ? 0 : sideSize / 4);
    this.#other = sides + (writes ? sideSize / 4 : 0);
    this.#ring = ring;
  }

  /** Whether there is something to go on with. */
  abstract ready(): boolean;

  /** The same memory is laid somewhere else now. */
  moveTo(memory: StreamMemory): void {
    this.memory = memory;
    this.words = wordsOf(memory, this.buffers);
  }

  /** Takes the place on this side; false if somebody has or had it. The own cell's will must be set. */
  join(cell: number): boolean {
    return atomicExchange(this.words, this.#own + side.joined, 0, cell + 1) === 0;
  }

  /** Whether somebody has or had the place on this side. */
  get taken(): boolean {
    return atomicLoad(this.words, this.#own + side.joined) !== 0;
  }

  /** The other side's cell; -1 as long as it has not joined. */
  otherCell(): number {
    if (this.#otherCell >= 0) return this.#otherCell;
    const joined = atomicLoad(this.words, this.#other + side.joined) >>> 0;
    if (joined > mostCells) throw corrupt('a side that cannot have joined');
    return (this.#otherCell = joined - 1);
  }

  /** From now on the next thing that the other does rings. */
  wantRing(): void {
    atomicStore(this.words, this.#own + side.waits, 1);
  }
  unwantRing(): void {
    atomicStore(this.words, this.#own + side.waits, 0);
  }

  giveUp(reason: string): void {
    const bytes = encodeText(reason, longestReason);
    new Bytes(this.memory.buffer, this.memory.ring + (this.#own + side.reason) * 4, longestReason).set(bytes);
    this.words[this.#own + side.reasonLength] = bytes.length;
    this.setState(state.gaveUp);
  }

  protected setState(value: number): void {
    atomicStore(this.words, this.#own + side.state, value);
    this.wake();
  }

  /** The other's state: open or finished; throws if it gave up. */
  protected otherState(): number {
    const found = atomicLoad(this.words, this.#other + side.state);
    if (found < 0 || found > state.gaveUp) throw corrupt('a state that there is not');
    return found;
  }

  protected otherGaveUp(who: string): MemioError {
    const length = Math.min(this.words[this.#other + side.reasonLength]! >>> 0, longestReason);
    const shared = new Bytes(this.memory.buffer, this.memory.ring + (this.#other + side.reason) * 4, length);
    const bytes = new Bytes(length); // TextDecoder takes no shared memory
    bytes.set(shared);
    const reason = decodeText(bytes);
    return new MemioError('io.memio.client.Aborted', `The ${who} gave the stream up${reason === '' ? '.' : `: ${reason}`}`);
  }

  /** To be called after each store that the other may wait for. */
  protected wake(): void {
    const waits = this.#other + side.waits;
    if (atomicLoad(this.words, waits) === 0) return;
    atomicStore(this.words, waits, 0);
    this.#ring();
  }

  /** The index of the first word of entry `n`. */
  protected entryAt(n: number): number {
    return (entriesOffset + entrySize * (n & (this.buffers - 1))) / 4;
  }
}

export class RingWriter extends RingEnd {
  #tail = 0;
  #knownHead = 0;
  #lastIsIn = false;
  /** Bytes put in, and bytes given back. */
  #written = 0;
  #taken = 0;
  /** The lengths of the entries that are in, by n % capacity. */
  readonly #lengths: number[];

  /** `start`: where the counters begin; not 0 in tests of the wrap alone. */
  constructor(memory: StreamMemory, geometry: StreamGeometry, ring: Ring, start = 0) {
    super(memory, geometry, true, ring);
    this.#tail = this.#knownHead = start >>> 0;
    this.#lengths = new Array<number>(geometry.buffers).fill(0);
  }

  get bytesWritten(): number {
    return this.#written;
  }
  /** As of the last look(). */
  get bytesTaken(): number {
    return this.#taken;
  }
  get lastIsIn(): boolean {
    return this.#lastIsIn;
  }
  /** Whether the reader has given everything back. As of the last look(). */
  get empty(): boolean {
    return this.#knownHead === this.#tail;
  }
  get full(): boolean {
    return ((this.#tail - this.#knownHead) >>> 0) === this.buffers;
  }

  /** Learns what the reader has done. */
  look(): void {
    const head = atomicLoad(this.words, header.head) >>> 0;
    const inRing = (this.#tail - this.#knownHead) >>> 0;
    const given = (head - this.#knownHead) >>> 0;
    if (given > inRing) throw corrupt('a head that cannot be true');
    for (let i = 0; i < given; ++i) this.#taken += this.#lengths[(this.#knownHead + i) & (this.buffers - 1)]!;
    this.#knownHead = head;
    const reader = this.otherState();
    if (reader === state.finished && !(this.#lastIsIn && this.empty)) throw corrupt('a reader that was ready too early');
    if (reader === state.gaveUp) throw this.otherGaveUp('reader');
  }

  /** After the last entry: whether all has been taken; before: whether a buffer is free. */
  ready(): boolean {
    this.look();
    return this.#lastIsIn ? this.empty : !this.full;
  }

  /** The buffer to be filled next, which must be free. */
  place(): Uint8Array<ArrayBuffer> {
    const place = new Bytes(this.memory.buffer, this.memory.chunks[this.#tail & (this.buffers - 1)]!, this.chunkSize);
    return place as Uint8Array<ArrayBuffer>; // for a worker it is shared memory, and nobody minds
  }

  /** Puts in what is in place(): `length` bytes, which is not 0 unless it is the last. */
  put(length: number, last: boolean): void {
    const at = this.entryAt(this.#tail);
    const { words } = this;
    words[at + entry.bufferIndex] = this.#tail & (this.buffers - 1);
    words[at + entry.length] = length | 0;
    words[at + entry.offset] = this.#written | 0;
    words[at + entry.offsetHigh] = (this.#written / 2 ** 32) | 0;
    words[at + entry.finalize] = last ? 1 : 0;
    words[at + entry.reserved] = 0;
    this.#lengths[this.#tail & (this.buffers - 1)] = length;
    this.#written += length;
    this.#tail = (this.#tail + 1) >>> 0;
    atomicStore(words, header.tail, this.#tail | 0);
    if (!last) return this.wake();
    this.#lastIsIn = true;
    this.setState(state.finished);
  }
}

/** An entry that was taken. */
export interface Taken {
  readonly data: Uint8Array<ArrayBuffer>;
  /** How many bytes of the stream come before it. */
  readonly offset: number;
  readonly last: boolean;
  /** To be given back. */
  readonly n: number;
}

export class RingReader extends RingEnd {
  #head = 0;
  #next = 0;
  #knownTail = 0;
  #offset = 0;
  #lastWasTaken = false;
  #finished = false;
  /** Bytes given back. */
  #givenBack = 0;
  /** Of the entries that are taken, by n % capacity: what was given back out of order, and their lengths. */
  readonly #back: boolean[];
  readonly #lengths: number[];

  /** `start`: as the writer's. */
  constructor(memory: StreamMemory, geometry: StreamGeometry, ring: Ring, start = 0) {
    super(memory, geometry, false, ring);
    this.#head = this.#next = this.#knownTail = start >>> 0;
    this.#back = new Array<boolean>(geometry.buffers).fill(false);
    this.#lengths = new Array<number>(geometry.buffers).fill(0);
  }

  /** As far as entries were taken. */
  get bytesWritten(): number {
    return this.#offset;
  }
  get bytesTaken(): number {
    return this.#givenBack;
  }
  get lastWasTaken(): boolean {
    return this.#lastWasTaken;
  }
  /** Everything was given back, the last entry included. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Whether take() will give something, or the end. */
  ready(): boolean {
    if (this.#lastWasTaken || this.#next !== this.#knownTail) return true;
    const writer = this.otherState(); // before tail: what was put in before the end is not overlooked
    const tail = atomicLoad(this.words, header.tail) >>> 0;
    const taken = (this.#knownTail - this.#head) >>> 0;
    if ((tail - this.#knownTail) >>> 0 > this.buffers - taken) throw corrupt('a tail that cannot be true');
    this.#knownTail = tail;
    if (this.#next !== tail) return true;
    if (writer === state.finished) throw corrupt('a writer that was ready too early');
    if (writer === state.gaveUp) throw this.otherGaveUp('writer');
    return false;
  }

  /** The next entry, after ready() said that there is something; undefined after the last. */
  take(): Taken | undefined {
    if (this.#lastWasTaken) return undefined;
    const n = this.#next;
    const at = this.entryAt(n);
    const index = this.words[at + entry.bufferIndex]! >>> 0;
    const length = this.words[at + entry.length]! >>> 0;
    const offset = toNumber(this.words[at + entry.offset]! >>> 0, this.words[at + entry.offsetHigh]! >>> 0);
    const finalize = this.words[at + entry.finalize]!;
    const last = finalize === 1;
    if (index >= this.buffers || length > this.chunkSize || offset !== this.#offset || (finalize !== 0 && !last))
      throw corrupt('an entry that cannot be true');
    if (length === 0 && !last) throw corrupt('an empty entry that is not the last');
    const next = (n + 1) >>> 0;
    if (last && this.#knownTail !== next) throw corrupt('an entry behind the last');
    this.#lengths[n & (this.buffers - 1)] = length;
    this.#offset += length;
    this.#next = next;
    this.#lastWasTaken = last;
    const data = new Bytes(this.memory.buffer, this.memory.chunks[index]!, length) as Uint8Array<ArrayBuffer>;
    return { data, offset, last, n };
  }

  /** Gives an entry back, in any order, once. */
  giveBack(n: number): void {
    const mask = this.buffers - 1;
    this.#back[n & mask] = true;
    if (n !== this.#head) return;
    let head = n;
    while (head !== this.#next && this.#back[head & mask]) {
      this.#back[head & mask] = false;
      this.#givenBack += this.#lengths[head & mask]!;
      head = (head + 1) >>> 0;
    }
    this.#head = head;
    atomicStore(this.words, header.head, head | 0);
    if (!this.#lastWasTaken || head !== this.#next) return this.wake();
    this.#finished = true;
    this.setState(state.finished);
  }
}

export function corrupt(what: string): MemioError {
  return new MemioError(
    'io.memio.client.Corrupt',
    `The stream's ring holds a lie: ${what}. A program that may write it has damaged it; make the stream anew.`,
  );
}

function misuse(message: string): MemioError {
  return new MemioError('io.memio.client.Misuse', message);
}
