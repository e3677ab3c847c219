// SPDX-License-Identifier: MIT
// A region's memory as JavaScript sees it: the slots in one buffer, which the page gets to see, and the directory page
// followed by the lease table in another, which it doesn't.
//
// How the shared words are read. A read-only region is mapped privately (a store by the page must neither crash it
// nor reach anybody), and a private page stops following the region once it is written. Atomics.load is compiled to
// `lock xadd` on x86, which is a write; so the directory is read with plain loads. To keep the compiler from reusing or
// hoisting them, and the processor from reordering them, each is preceded by an atomic operation on memory of
// our own: JavaScriptCore treats that as a write to any typed array. `latest` has 64 bits and two loads of halves
// could disagree, so it is loaded as one double and taken apart in `parts`. (Only bit patterns of NaN would not
// survive that; they mean sequences that no region reaches.)
import {
  cellSize,
  directoryLatestOffset,
  type Geometry,
  leaseTableCellsOffset,
  leaseTableSlotWantedOffset,
} from './format.js';
import { Payload } from './payload.js';
import { atomicLoad, atomicStore, Doubles, SignedWords, Words } from './primordials.js';

const fenceWord = new SignedWords(1);
const partsDouble = new Doubles(1);
const parts = new Words(partsDouble.buffer);

/** What comes before this call stays before it, and what comes after stays after. */
export function fence(): void {
  atomicStore(fenceWord, 0, 0);
  atomicLoad(fenceWord, 0);
}

/** Where in two buffers a region lies. For workers both are one SharedArrayBuffer. */
export interface Placement {
  readonly data: ArrayBufferLike;
  readonly dataOffset: number;
  readonly control: ArrayBufferLike;
  readonly controlOffset: number;
  readonly pageSize: number;
  /** This handle's cell in the lease table. */
  readonly cell: number;
  /** Where in `control` the extension notes that something was stored into read-only memory: a word of its own, not shared. */
  readonly storedOffset: number;
  /** Undoes such stores, and clears the word. */
  readonly mend: () => void;
}

export class RegionMemory {
  readonly geometry: Geometry;
  readonly #data: ArrayBufferLike;
  readonly #dataOffset: number;
  readonly #slotWords: Uint32Array;
  readonly #control: Int32Array;
  readonly #latest: Float64Array;
  readonly #cellIndex: number;
  readonly #slotWantedIndex: number;
  readonly #stored: Int32Array;
  readonly #mend: () => void;

  /** The halves of `latest` as loadLatest() found it. */
  low = 0;
  high = 0;

  constructor(geometry: Geometry, placement: Placement) {
    const { data, dataOffset, control, controlOffset, pageSize, cell } = placement;
    this.geometry = geometry;
    this.#data = data;
    this.#dataOffset = dataOffset;
    this.#slotWords = new Words(data, dataOffset, (geometry.slots * geometry.stride) / 4);
    this.#latest = new Doubles(control, controlOffset + directoryLatestOffset, 1);
    const table = controlOffset + pageSize;
    const cells = leaseTableCellsOffset + (cell + 1) * cellSize;
    this.#control = new SignedWords(control, table, cells / 4);
    this.#cellIndex = (leaseTableCellsOffset + cell * cellSize) / 4;
    this.#slotWantedIndex = leaseTableSlotWantedOffset / 4;
    this.#stored = new SignedWords(control, placement.storedOffset, 1);
    this.#mend = placement.mend;
  }

  /**
   * To be called before anything is read: what somebody here has stored into read-only memory goes, and the region's own bytes
   * show again. One plain load if nobody has.
   */
  showTrueBytes(): void {
    if (this.#stored[0] !== 0) this.#mend();
  }

  /** Whether somebody here has stored into read-only memory since showTrueBytes(); so does reading it with Atomics. */
  get stored(): boolean {
    return this.#stored[0] !== 0;
  }

  /** Loads `latest` into `low` and `high`, after all that was stored or loaded before the last atomic operation. */
  loadLatest(): void {
    atomicLoad(fenceWord, 0);
    partsDouble[0] = this.#latest[0]!;
    this.low = parts[0]!;
    this.high = parts[1]!;
  }

  /**
   * The same word as one double, which is good for nothing but telling whether it has changed. NaN never equals itself: then it
   * seems to have.
   */
  latest(): number {
    atomicLoad(fenceWord, 0);
    return this.#latest[0]!;
  }

  /** A word of a slot's header: 0, 1 magic; 2, 3 version; 4, 5 length. */
  headerWord(slot: number, word: number): number {
    return this.#slotWords[(slot * this.geometry.stride) / 4 + word]!;
  }

  /** The first `length` bytes of a slot's payload, in place. */
  payload(slot: number, length: number): Payload {
    return new Payload(this.#data, this.#dataOffset + this.placeOf(slot), length);
  }

  /** Where a slot's payload starts, from the start of the slots on. */
  placeOf(slot: number): number {
    return slot * this.geometry.stride + this.geometry.headerSize;
  }

  /** Stores this handle's mask of leased slots; `half` 0 has slots 0 to 31, 1 the others. */
  storeLeases(half: 0 | 1, mask: number): void {
    atomicStore(this.#control, this.#cellIndex + half, mask);
  }

  /** Whether a writer sleeps until a lease ends. Ordered after storeLeases(). */
  slotWanted(): boolean {
    return atomicLoad(this.#control, this.#slotWantedIndex) !== 0;
  }
}
