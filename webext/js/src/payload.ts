// SPDX-License-Identifier: MIT
import { MemioError } from './errors.js';
import { Bytes, ByteView, typedArrays } from './primordials.js';

/** The constructors of typed arrays that payloads can be seen as. */
export type TypedArrayConstructor =
  | Int8ArrayConstructor
  | Uint8ArrayConstructor
  | Uint8ClampedArrayConstructor
  | Int16ArrayConstructor
  | Uint16ArrayConstructor
  | Int32ArrayConstructor
  | Uint32ArrayConstructor
  | BigInt64ArrayConstructor
  | BigUint64ArrayConstructor
  | Float32ArrayConstructor
  | Float64ArrayConstructor;

/** A payload's bytes, and the other views of them that were asked for: making a view costs more than reading a little. */
export class Payload {
  readonly length: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  // Kept, because what a view says of itself is up to its prototype, which is the page's.
  readonly #buffer: ArrayBufferLike;
  readonly #offset: number;
  #scalars: DataView | undefined;
  readonly #views: (ArrayBufferView | undefined)[] = [];

  constructor(buffer: ArrayBufferLike, offset: number, length: number) {
    this.#buffer = buffer;
    this.#offset = offset;
    this.length = length;
    // For a worker the buffer is a SharedArrayBuffer, and its types say so where they are told (worker.ts).
    this.bytes = new Bytes(buffer, offset, length) as Uint8Array<ArrayBuffer>;
  }

  get scalars(): DataView {
    return (this.#scalars ??= new ByteView(this.#buffer, this.#offset, this.length));
  }

  as<T extends TypedArrayConstructor>(constructor: T): InstanceType<T> {
    for (let kind = 0; kind < typedArrays.length; ++kind)
      if (typedArrays[kind]!.make === constructor) return (this.#views[kind] ??= this.#view(kind)) as InstanceType<T>;
    throw new MemioError('io.memio.client.Misuse', 'as() takes the constructor of a typed array, such as Float32Array.');
  }

  #view(kind: number): ArrayBufferView {
    const { make, size } = typedArrays[kind]!;
    return new (make as new (buffer: ArrayBufferLike, offset: number, length: number) => ArrayBufferView)(
      this.#buffer,
      this.#offset,
      (this.length - (this.length % size)) / size,
    );
  }
}
