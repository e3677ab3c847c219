// SPDX-License-Identifier: MIT
// A region in ordinary array buffers, laid out as the extension lays it, with the writer's side of the protocol.
import type { Layout } from '../generated/protocol.js';
import { type Geometry, geometryOf } from '../src/format.js';
import { RegionMemory } from '../src/region_memory.js';

export const pageSize = 4096;
const dataOffset = 512;
const controlOffset = 1024;

export class FakeRegion {
  readonly geometry: Geometry;
  readonly memory: RegionMemory;
  readonly cell = 3;
  readonly #data: ArrayBuffer;
  readonly #directory: DataView;
  readonly #table: DataView;
  readonly #stored: Int32Array;
  /** How often the true bytes were asked for. */
  mended = 0;

  constructor({ slots = 4, capacity = 1000, layout = 'memio64' as Layout } = {}) {
    this.geometry = geometryOf({ layout, slots, capacity, stride: pageSize });
    const data = (this.#data = new ArrayBuffer(dataOffset + slots * pageSize));
    const storedOffset = controlOffset + 2 * pageSize;
    const control = new ArrayBuffer(storedOffset + 4);
    this.#stored = new Int32Array(control, storedOffset, 1);
    this.#directory = new DataView(control, controlOffset, pageSize);
    this.#table = new DataView(control, controlOffset + pageSize);
    const mend = (): void => {
      ++this.mended;
      this.#stored[0] = 0;
    };
    this.memory = new RegionMemory(this.geometry, {
      ...{ data, dataOffset, control, controlOffset, pageSize, cell: this.cell, storedOffset, mend },
    });
    for (let slot = 0; slot < slots; ++slot) this.header(slot, 0n, 0n);
  }

  header(slot: number, version: bigint, length: bigint, magicLow = this.geometry.magicLow): void {
    const view = this.#slot(slot);
    view.setUint32(0, magicLow, true);
    view.setUint32(4, this.geometry.magicHigh, true);
    view.setBigUint64(8, version, true);
    view.setBigUint64(16, length, true);
  }

  setLatest(sequence: bigint, index: number): void {
    this.#directory.setBigUint64(64, (sequence << 6n) | BigInt(index), true);
  }

  publish(slot: number, sequence: bigint, version: bigint, bytes: number[]): void {
    this.header(slot, version, BigInt(bytes.length));
    const start = dataOffset + slot * pageSize + this.geometry.headerSize;
    new Uint8Array(this.#data, start, bytes.length).set(bytes);
    this.setLatest(sequence, this.geometry.slots === 1 ? 0 : slot);
  }

  /** As the extension notes it. */
  noteStore(): void {
    this.#stored[0] = 1;
  }

  /** The mask of leased slots that writers see. */
  get leases(): bigint {
    return this.#table.getBigUint64(256 + 64 * this.cell, true);
  }

  set slotWanted(value: number) {
    this.#table.setUint32(128, value, true);
  }

  #slot(slot: number): DataView {
    return new DataView(this.#data, dataOffset + slot * pageSize);
  }
}
