// SPDX-License-Identifier: MIT
// What the web process extension (webext/extension/) gives the runtime, and what the runtime gives it. The extension
// checks all that it is handed here: it does not trust this side.
import type { Access, Region as RegionInfo, WatchReply } from '../generated/protocol.js';
import type { OutgoingAttachment } from './attachments.js';
import type { IncomingAttachment } from './calls.js';
import { hasOwn } from './primordials.js';

/** How a native function says that it failed. */
export interface NativeError {
  readonly error: string;
  readonly message: string;
}

/** What a command's handler said when it rejected a call. */
export interface Rejected {
  readonly message: string;
  readonly rejection: string;
  /** JSON; empty: none. */
  readonly details: string;
}

/** A region that was opened, before its memory is laid under array buffers. */
export interface Opened {
  readonly handle: number;
  readonly access: Access;
  readonly info: RegionInfo;
  readonly cell: number;
  /** Bytes of the slots, and of the directory and the lease table up to the own cell. */
  readonly dataSize: number;
  readonly controlSize: number;
}

/** Where in the buffers the memory lies; page-aligned addresses, so not always 0. */
export interface Aliased {
  readonly dataOffset: number;
  readonly controlOffset: number;
  /** The word that says that something was stored into read-only memory; in the control buffer. */
  readonly storedOffset: number;
}

/** What the application's policy turns on for this document. */
export interface DocumentOptions {
  /** Names of compatibility layers: `memio-tauri`, `webview2`. */
  readonly compatibility: readonly string[];
  /** Whether regions can be had as SharedArrayBuffers, for workers. */
  readonly workers: boolean;
}

export interface Native {
  readonly pageSize: number;
  readonly options: DocumentOptions;

  // Each of these is answered through Handlers.settle, under the number of the request.
  open(request: number, name: string, access: string): void;
  create(
    request: number,
    name: string,
    capacity: number,
    slots: number | undefined,
    layout: string | undefined,
    lifetime: string | undefined,
    hugePages: boolean | undefined,
    shrinkAfter: number | undefined,
  ): void;
  list(request: number, pattern: string | undefined): void;
  stat(request: number, name: string): void;
  remove(request: number, name: string): void;

  /** From now on Handlers.watched tells under `number`, which is not that of any request, what happens; until unwatch(). */
  watch(number: number, pattern: string | undefined, versions: boolean): void;
  unwatch(number: number): void;

  /** Lays the memory under two buffers. */
  alias(handle: number, data: ArrayBuffer, control: ArrayBuffer): Aliased | NativeError;
  /**
   * Lays all of it under the SharedArrayBuffer that `bytes` shows, from the first page behind `head` bytes on; gives the offset. `stored`
   * is where in the head the word for stores is.
   */
  share(handle: number, bytes: Uint8Array, head: number, stored: number): number | NativeError;
  /** Lays the slots also under the memory of a wasm module, at `offset`. Gives a number for unmap(). */
  mapInto(handle: number, memory: WebAssembly.Memory, bytes: Uint8Array, offset: number): number | NativeError;
  unmap(handle: number, mapping: number): void;
  /** Another buffer, over exactly these bytes of the slots' memory. It can be detached, and outlives the handle as zeros. */
  window(handle: number, offset: number, length: number): ArrayBuffer | NativeError;
  /** Undoes all stores into read-only memory. */
  mend(handle: number): NativeError | undefined;

  /** Takes the writer lock and chooses a slot. */
  begin(handle: number, length: number): number | NativeError;
  /** Publishes; without a version the label is the latest one + 1. Gives the sequence. */
  commit(handle: number, versionLow?: number, versionHigh?: number): number | NativeError;
  abort(handle: number): void;
  /** From now on calls `changed` after publishes, at once if there are any since `lastSeen`. */
  subscribe(handle: number, lastSeen: number, changed: () => void): NativeError | undefined;
  /** Wakes writers that wait for a lease to end. */
  wake(handle: number): void;
  close(handle: number): void;

  // Streams (stream_page.ts). One is known by the handle of its ring.
  /**
   * Lays the memory of the ring, and of the buffers if there are any yet, one behind the other, as share() does; when called again, there
   * instead. The regions of `buffers` become part of the stream: they end with the ring's handle, and theirs are none any more.
   */
  layStream(ring: number, bytes: Uint8Array, head: number, stored: number, ...buffers: number[]): number | NativeError;
  /** Sets this side's will; and from now on `rung` is called when this side is rung, and once at once. */
  joinStream(ring: number, writes: boolean, rung: () => void): NativeError | undefined;
  ringOther(ring: number): void;
  /** Whether the handle with this cell, on the other side, is still open. */
  otherLives(ring: number, cell: number): boolean;

  // Commands and messages (calls.ts). Requests are answered through Handlers.settle; the result of a call is a CallResult.
  call(request: number, name: string, json: string, timeout: number | undefined, ...attachments: OutgoingAttachment[]): void;
  /** Gives up the call of this request, if it goes on. */
  cancelCall(request: number): void;
  /** From now on Handlers.called tells of calls, under `number`; until unhandle(). */
  handle(request: number, number: number, name: string): void;
  unhandle(number: number): void;
  answer(call: number, json: string, ...attachments: OutgoingAttachment[]): void;
  reject(call: number, error: string, message: string, details: string | undefined): void;
  emit(request: number, topic: string, json: string): void;
  /** From now on Handlers.message tells of messages, under `number`; until unlisten(). */
  listen(request: number, number: number, pattern: string): void;
  unlisten(number: number): void;

  /** Answers of what the application has posted or waits for: a script has it, or none will. */
  taken(post: number): void;
  refusePost(post: number, error: string, message: string): void;
  /** Sends the application a message, as JSON. */
  postWebMessage(json: string): void;

  /** The document goes: closes everything that is open. */
  suspend(): void;
  /** The document is back from the back-forward cache. */
  resume(): void;
}

export interface Handlers {
  /** Answers a request: `error` is empty if it went well, else `value` is the message. If a handler rejected, a Rejected. */
  settle(request: number, error: string, value: unknown): void;
  /** A call came, to be answered by Native.answer() or reject(). */
  called(number: number, call: number, json: string, attachments: readonly IncomingAttachment[]): void;
  /** Nobody waits for the answer to this call any more. */
  callCancelled(call: number): void;
  /** A message came. */
  message(number: number, topic: string, json: string, lost: number): void;
  /** What was handled or listened to is no longer, because of this error. */
  standingEnded(number: number, error: string, message: string): void;
  /** memiod is gone; the extension looks for it. */
  disconnected(): void;
  /** It is back, and what was open is claimed again. */
  reconnected(): void;
  /** An event of a watch; or with an error, its end, and `value` is the message. */
  watched(number: number, error: string, value: WatchReply | string): void;
  /** The memory under a buffer that window() made has been let go. */
  windowGone(handle: number): void;
  /** The application posts a region as a shared buffer. */
  posted(post: number, name: string, access: string, json: string): void;
  /** The application waits for a script to read this publish of a region; answered by Native.taken(). */
  awaitRead(number: number, name: string, sequence: number): void;
  /** The application sends a message. */
  webMessage(json: string): void;
}

export function isNativeError(value: unknown): value is NativeError {
  // Its own: the page may have given all objects one.
  return typeof value === 'object' && value !== null && hasOwn(value, 'error');
}
