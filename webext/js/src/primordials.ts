// SPDX-License-Identifier: MIT
// The built-in objects that handle the shared memory, taken before any script of the page can replace them. The control
// memory (directory and lease table) is thus never handed to code of the page.
export const { load: atomicLoad, store: atomicStore } = Atomics;

export const { defineProperty, hasOwn } = Object;
export const { parse: parseJson, stringify: toJson } = JSON;
export const microtask: (task: () => void) => void = globalThis.queueMicrotask.bind(globalThis);

export const Buffer = globalThis.ArrayBuffer;
/** The length of a buffer, whatever the page has done to the object. */
export const lengthOfBuffer: (buffer: ArrayBuffer) => number = (() => {
  const getter = Object.getOwnPropertyDescriptor(Buffer.prototype, 'byteLength')!.get!;
  const { apply } = Reflect;
  return (buffer) => apply(getter, buffer, []);
})();
/** Detaches a buffer. Its memory is let go at once, or by the garbage collector where there is no transfer() yet. */
export const detach: (buffer: ArrayBuffer) => void = (() => {
  const { transfer } = Buffer.prototype as { transfer?: (length: number) => ArrayBuffer };
  const { apply } = Reflect;
  const clone = globalThis.structuredClone;
  return (buffer) => void (transfer ? apply(transfer, buffer, [0]) : clone(buffer, { transfer: [buffer] }));
})();
export const Bytes = globalThis.Uint8Array;
export const Words = globalThis.Uint32Array;
export const SignedWords = globalThis.Int32Array;
export const Doubles = globalThis.Float64Array;
