// SPDX-License-Identifier: MIT
// The built-in objects that handle the shared memory, taken before any script of the page can replace them. The control
// memory (directory and lease table) is thus never handed to code of the page.
export const { load: atomicLoad, store: atomicStore, compareExchange: atomicExchange } = Atomics;

export const { apply, construct } = Reflect;
export const { defineProperty, freeze, hasOwn } = Object;
export const { parse: parseJson, stringify: toJson } = JSON;
export const microtask: (task: () => void) => void = globalThis.queueMicrotask.bind(globalThis);
export const Weak = globalThis.WeakRef;
export const DomEvent = globalThis.Event;
export const { WritableStream: Writable, ReadableStream: Readable } = globalThis;
export const now: () => number = globalThis.performance.now.bind(globalThis.performance);

export const Buffer = globalThis.ArrayBuffer;
/** The length of a buffer, whatever the page has done to the object. */
export const lengthOfBuffer: (buffer: ArrayBuffer) => number = (() => {
  const getter = Object.getOwnPropertyDescriptor(Buffer.prototype, 'byteLength')!.get!;
  return (buffer) => apply(getter, buffer, []);
})();
/** Detaches a buffer. Its memory is let go at once, or by the garbage collector where there is no transfer() yet. */
export const detach: (buffer: ArrayBuffer) => void = (() => {
  const { transfer } = Buffer.prototype as { transfer?: (length: number) => ArrayBuffer };
  const clone = globalThis.structuredClone;
  return (buffer) => void (transfer ? apply(transfer, buffer, [0]) : clone(buffer, { transfer: [buffer] }));
})();
export const Bytes = globalThis.Uint8Array;
export const Words = globalThis.Uint32Array;
export const SignedWords = globalThis.Int32Array;
export const Doubles = globalThis.Float64Array;
export const ByteView = globalThis.DataView;

/** The UTF-8 of a text, cut where a whole character ends. */
export const encodeText: (text: string, longest: number) => Uint8Array = (() => {
  const encoder = new TextEncoder();
  const { encodeInto } = encoder;
  return (text, longest) => {
    const bytes = new Bytes(longest);
    const { written } = apply(encodeInto, encoder, [text, bytes]) as { written: number };
    return new Bytes(bytes.buffer, 0, written);
  };
})();
/** The text of UTF-8, whatever it is; of memory that is not shared. */
export const decodeText: (bytes: Uint8Array) => string = (() => {
  const decoder = new TextDecoder();
  const { decode } = decoder;
  return (bytes) => apply(decode, decoder, [bytes]) as string;
})();

/** What payloads can be seen as. */
export const typedArrays = (
  [
    [Int8Array, 1],
    [Uint8Array, 1],
    [Uint8ClampedArray, 1],
    [Int16Array, 2],
    [Uint16Array, 2],
    [Int32Array, 4],
    [Uint32Array, 4],
    [Float32Array, 4],
    [Float64Array, 8],
    [BigInt64Array, 8],
    [BigUint64Array, 8],
  ] as const
).map(([make, size]) => ({ make, size }));

/** Not there unless the application has turned it on (memio_webkit_enable(), "workers"). */
export const SharedBuffer: typeof SharedArrayBuffer | undefined = globalThis.SharedArrayBuffer;

export interface MemoryFacts {
  readonly buffer: ArrayBufferLike;
  readonly byteLength: number;
  /** In pages of wasm's; undefined if it may grow without bounds. */
  readonly maximum: number | undefined;
  readonly shared: boolean;
}

const { getOwnPropertyDescriptor } = Reflect;
const getterOf = (prototype: object | undefined, name: string) =>
  prototype && getOwnPropertyDescriptor(prototype, name)?.get;
const memoryPrototype = globalThis.WebAssembly?.Memory.prototype as
  | (WebAssembly.Memory & { type?: () => { maximum?: number; shared: boolean } })
  | undefined;
const bufferGetter = getterOf(memoryPrototype, 'buffer');
const memoryType = memoryPrototype?.type;
const lengthGetter = getterOf(Buffer.prototype, 'byteLength')!;
const sharedLengthGetter = getterOf(SharedBuffer?.prototype, 'byteLength');

/** What a WebAssembly.Memory is, whatever the page has made of the object and of its prototype; throws if it is none. */
export function factsOfMemory(memory: unknown): MemoryFacts {
  if (bufferGetter === undefined || memoryType === undefined) throw new TypeError('There is no WebAssembly here.');
  const buffer = apply(bufferGetter, memory, []) as ArrayBufferLike;
  const { maximum, shared } = apply(memoryType, memory, []) as { maximum?: number; shared: boolean };
  const length = shared && sharedLengthGetter !== undefined ? sharedLengthGetter : lengthGetter;
  return { buffer, byteLength: apply(length, buffer, []) as number, maximum, shared };
}
