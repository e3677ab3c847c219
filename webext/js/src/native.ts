// SPDX-License-Identifier: MIT
// What the web process extension (webext/extension/) gives the runtime, and what the runtime gives it. The extension
// checks all that it is handed here: it does not trust this side.
import type { Access, Region as RegionInfo } from '../generated/protocol.js';

/** How a native function says that it failed. */
export interface NativeError {
  readonly error: string;
  readonly message: string;
}

/** A region that was opened, before its memory is laid under two array buffers. */
export interface Opened {
  readonly handle: number;
  readonly access: Access;
  readonly info: RegionInfo;
  readonly cell: number;
  /** Bytes of the slots, and of the directory and lease table: what the two buffers must have room for. */
  readonly dataSize: number;
  readonly controlSize: number;
}

/** Where in the buffers the memory lies; page-aligned addresses, so not always 0. */
export interface Aliased {
  readonly dataOffset: number;
  readonly controlOffset: number;
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
  ): void;
  list(request: number, pattern: string | undefined): void;
  stat(request: number, name: string): void;
  remove(request: number, name: string): void;

  alias(handle: number, data: ArrayBuffer, control: ArrayBuffer): Aliased | NativeError;
  /** Takes the writer lock and chooses a slot. */
  begin(handle: number, length: number): number | NativeError;
  /** Publishes; without a version the label is the latest one + 1. Gives the sequence. */
  commit(handle: number, versionLow?: number, versionHigh?: number): number | NativeError;
  abort(handle: number): void;
  /** Another buffer, over exactly these bytes of the slots' memory. It can be detached, and outlives the handle as zeros. */
  window(handle: number, offset: number, length: number): ArrayBuffer | NativeError;
  /** Undoes what was stored into a read-only region's memory here: it shows the region's own bytes again. */
  mend(handle: number): void;
  /** From now on Handlers.changed tells of publishes, at once if there are any since `lastSeen`. */
  subscribe(handle: number, lastSeen: number): NativeError | undefined;
  /** Wakes writers that wait for a lease to end. */
  wake(handle: number): void;
  close(handle: number): void;

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
  /** Answers a request: `error` is empty if it went well, else `value` is the message. */
  settle(request: number, error: string, value: unknown): void;
  changed(handle: number): void;
  /** memiod is gone; the extension looks for it. */
  disconnected(): void;
  /** It is back, and what was open is claimed again. */
  reconnected(): void;
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
  return typeof value === 'object' && value !== null && 'error' in value;
}
