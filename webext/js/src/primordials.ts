// SPDX-License-Identifier: MIT
// The built-in objects that handle the shared memory, taken before any script of the page can replace them. The control
// memory (directory and lease table) is thus never handed to code of the page.
export const { load: atomicLoad, store: atomicStore } = Atomics;

export const Buffer = globalThis.ArrayBuffer;
export const Bytes = globalThis.Uint8Array;
export const Words = globalThis.Uint32Array;
export const SignedWords = globalThis.Int32Array;
export const Doubles = globalThis.Float64Array;
