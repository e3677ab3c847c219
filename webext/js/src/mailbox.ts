// SPDX-License-Identifier: MIT
// The head of the SharedArrayBuffer that a worker gets: what the page's thread and the worker say to each other. It is
// ordinary memory of this process, in front of the region's own.
//
// A worker reads and leases by itself. What needs the system (the writer lock's futex, the doorbell, undoing stores)
// only the page's thread can do, because it alone has the extension. The worker puts down a request and sleeps; the
// page's thread, which waits for requests with Atomics.waitAsync, does it and wakes the worker.
//
//   request:  0 (none) -> an operation (the worker) -> working (the page's thread) -> 0
//   A worker that has waited in vain takes its request back (operation -> 0); then nobody does it any more.
//   answered: counts answers; the worker sleeps on it.
//
// The page can write all of this. So each side treats what it finds as foreign.

export const mailboxMagic = 0x6f696d6d;
export const headSize = 8192;

/** Indices of 32-bit words. */
export const word = {
  magic: 0,
  /** 1 once the handle is closed. */
  closed: 1,
  /** 1 once a worker has it: a handle's cell is for one. */
  taken: 2,
  /** Something was stored into read-only memory. */
  stored: 3,
  /** Counts news of publishes. */
  changes: 4,
  request: 5,
  answered: 6,
  argument: 7,
  argumentHigh: 8,
  hasVersion: 9,
  /** 1 if the answer is an error: its name, a line feed and its message are the text. */
  failed: 10,
  result: 11,
  resultHigh: 12,
  textLength: 13,
  descriptionLength: 14,
} as const;

export const operation = { none: 0, begin: 1, commit: 2, abort: 3, subscribe: 4, wake: 5, mend: 6, close: 7 } as const;
export const working = -1;

/** Texts are UTF-16 units: where they are, in bytes, and how many there is room for. */
export const textOffset = 256;
export const textRoom = 1024;
export const descriptionOffset = 4096;
export const descriptionRoom = 2048;

export function putText(buffer: ArrayBufferLike, offset: number, room: number, text: string): number {
  const length = Math.min(text.length, room);
  const units = new Uint16Array(buffer, offset, length);
  for (let i = 0; i < length; ++i) units[i] = text.charCodeAt(i);
  return length;
}

export function getText(buffer: ArrayBufferLike, offset: number, room: number, length: number): string {
  let text = '';
  for (const unit of new Uint16Array(buffer, offset, Math.min(length >>> 0, room))) text += String.fromCharCode(unit);
  return text;
}
