// SPDX-License-Identifier: MIT

/** Reads values out of a state in place, little-endian; of states that rkyv has written, strings and vectors too. */
export class StateView {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(data: ArrayBuffer | Uint8Array) {
    if (!(data instanceof ArrayBuffer) && !(data instanceof Uint8Array))
      throw new TypeError('A StateView is made of an ArrayBuffer or a Uint8Array.');
    this.#bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
  }

  get byteLength(): number {
    return this.#bytes.byteLength;
  }
  get bytes(): Uint8Array {
    return this.#bytes;
  }
  /** A copy. */
  get rawBuffer(): ArrayBuffer {
    return this.#bytes.slice().buffer as ArrayBuffer;
  }

  readU8(offset: number): number {
    return this.#view.getUint8(offset);
  }
  readU16(offset: number): number {
    return this.#view.getUint16(offset, true);
  }
  readU32(offset: number): number {
    return this.#view.getUint32(offset, true);
  }
  readU64(offset: number): bigint {
    return this.#view.getBigUint64(offset, true);
  }
  /** Exact up to 2^53. */
  readU64AsNumber(offset: number): number {
    return Number(this.readU64(offset));
  }
  readI8(offset: number): number {
    return this.#view.getInt8(offset);
  }
  readI16(offset: number): number {
    return this.#view.getInt16(offset, true);
  }
  readI32(offset: number): number {
    return this.#view.getInt32(offset, true);
  }
  readI64(offset: number): bigint {
    return this.#view.getBigInt64(offset, true);
  }
  readF32(offset: number): number {
    return this.#view.getFloat32(offset, true);
  }
  readF64(offset: number): number {
    return this.#view.getFloat64(offset, true);
  }

  /** UTF-8. */
  readString(offset: number, length: number): string {
    return new TextDecoder().decode(this.readBytesCopy(offset, length));
  }
  readBytes(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }
  readBytesCopy(offset: number, length: number): Uint8Array {
    return this.#bytes.slice(offset, offset + length);
  }

  /** Where rkyv's relative pointer at `offset` points to. */
  resolveRelativePtr(offset: number): number {
    return offset + this.readI32(offset);
  }
  readArchivedString(offset: number): string {
    return this.readString(this.resolveRelativePtr(offset), this.readU32(offset + 4));
  }
  readArchivedVecLen(offset: number): number {
    return this.readU32(offset + 4);
  }
  readArchivedVecPtr(offset: number): number {
    return this.resolveRelativePtr(offset);
  }
}
