// SPDX-License-Identifier: MIT
// The types of what a page finds as `memio`. The web process extension brings what runs.
//
//     import type {} from 'memio-client';   // declares the global
//     const region = await memio!.open('telemetry/cpu');
//
// What can be imported besides is MemioTauri's client, for pages that were written for it:
//
//     import { MemioClient } from 'memio-client';
import type { Memio } from './memio.js';

export * from './compat/client.js';
export type { CreateOptions, Memio, OpenOptions, WaitOptions } from './memio.js';
export type { CallContext, CommandFunction, InvokeOptions, Message, MessageFunction } from './calls.js';
export type { ErrorName, MemioError } from './errors.js';
export type { TypedArrayConstructor } from './payload.js';
export type { PublishOptions, Version } from './publishing.js';
export type { Region } from './region.js';
export type { Snapshot } from './snapshot.js';
export type { StreamChunk, StreamReader, StreamSource, StreamWriter } from './stream.js';
export type { NewStream, StreamOptions } from './stream_page.js';
export type { Mapping } from './wasm.js';
export type { Watch, WatchOptions } from './watch.js';
export type { Access, EventKind, Layout, Lifetime, Region as RegionInfo, StatReply, WatchReply } from '../generated/protocol.js';

declare global {
  /** There only in pages that the application grants something. */
  var memio: Memio | undefined;
}
