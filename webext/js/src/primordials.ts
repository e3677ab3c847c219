// SPDX-License-Identifier: MIT
// The built-in objects that handle the shared memory, taken before any script of the page can replace them. The control
// memory (directory and lease table) is thus never handed to code of the page.
export const { load: atomicLoad, store: atomicStore } = Atomics;

function bound<This, Rest extends unknown[], Result>(method: (...rest: never[]) => unknown) {
  const { apply } = Reflect;
  return (self: This, ...rest: Rest) => apply(method, self, rest) as Result;
}

function getter(prototype: object, name: string): () => unknown {
  return Object.getOwnPropertyDescriptor(prototype, name)!.get!;
}

export const { defineProperty, hasOwn } = Object;
export const { parse: parseJson, stringify: toJson } = JSON;
export const microtask: (task: () => void) => void = globalThis.queueMicrotask.bind(globalThis);

export const Buffer = globalThis.ArrayBuffer;
/** The length of a buffer, whatever the page has done to the object. */
export const lengthOfBuffer: (buffer: ArrayBuffer) => number = bound(getter(Buffer.prototype, 'byteLength'));
/** Detaches a buffer; its bytes are in the new one, as far as that has room. */
export const transferBuffer: (buffer: ArrayBuffer, length: number) => ArrayBuffer = bound(
  (Buffer.prototype as unknown as { transfer: () => void }).transfer,
);
export const Bytes = globalThis.Uint8Array;
export const Words = globalThis.Uint32Array;
export const SignedWords = globalThis.Int32Array;
export const Doubles = globalThis.Float64Array;
