// SPDX-License-Identifier: MIT
// The head of the SharedArrayBuffer by which a worker has one end of a stream, as mailbox.ts is for regions. Behind it lie the stream's
// own ring and buffers, in which the worker does everything itself. What only the page's thread can do is to ring the other side's
// doorbell and to hear its own: the worker says what it wants, and does not wait for it.
//
//   wants:     bits that the worker sets; the page's thread takes all of them at once
//   requests:  counts up with each; the page's thread waits for it with Atomics.waitAsync
//   rings:     counts up with each ring that came, and with the end; the worker waits for it
//
// The page can write all of this. So each side treats what it finds as foreign.
export { descriptionOffset, descriptionRoom, getText, headSize, putText, textOffset, textRoom } from './mailbox.js';

export const streamMagic = 0x6d736d65;

/** Indices of 32-bit words. */
export const streamWord = {
  magic: 0,
  /** 1 once the page has ended the stream: the text says why. */
  closed: 1,
  /** 1 once a worker has it. */
  taken: 2,
  /** Something was stored into read-only memory. */
  stored: 3,
  rings: 4,
  requests: 5,
  wants: 6,
  /** 1 once the other side's handle has ended. */
  gone: 7,
  /** Counts how often stores were undone. */
  mended: 8,
  /** 1 once the worker is done; 2 if the text says why it could not be. */
  done: 9,
  textLength: 10,
  descriptionLength: 11,
} as const;

/** Two doubles: bytes written, bytes taken. */
export const countsOffset = 128;

export const want = { ring: 1, mend: 2, end: 4 } as const;
