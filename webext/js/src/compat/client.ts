// SPDX-License-Identifier: MIT
// The API of MemioTauri's npm client, on the globals that the layer for its pages gives (compat/memio_tauri.ts). Pages that
// import it from 'memio-client' find it here by the same names.
//
// It works on any page that has those globals, MemioTauri's own included; only uploads know of memio.
import type { Memio } from '../memio.js';
import { upload, type UploadOptions } from '../upload.js';
import { StateView } from './state_view.js';

export type { UploadOptions };

export { StateView };

/** MemioTauri knows more; pages of a WebKitGTK application are always on Linux. */
export type MemioPlatform = 'linux' | 'unknown';

export interface SharedStateManifest {
  version: number;
  buffers: Record<string, { length?: number }>;
}

export interface SharedStateSnapshot {
  version: bigint;
  /** Bytes of payload. */
  length: number;
  data: Uint8Array;
  view: StateView;
}

export interface SharedStateWriteResult {
  version: bigint;
  length: number;
}

export interface MemioWriteResult {
  success: boolean;
  bytesWritten: number;
  version: bigint;
  durationMs: number;
}

export interface MemioConfig {
  /** The buffer that is meant where no name is given: `state` unless told otherwise. */
  bufferName?: string;
}

interface Globals {
  memio?: Memio;
  memioSharedBuffer?: (name?: string) => Uint8Array | ArrayBuffer | null;
  memioWriteSharedBuffer?: (name: string, data: Uint8Array) => boolean;
  __memioSharedBuffers?: Record<string, Uint8Array>;
  __memioSharedManifest?: SharedStateManifest;
}

const globals = globalThis as unknown as Globals;
const defaultName = 'state';
const magic = 0x5455_5242_4f53_4852n;
const headerSize = 64;
/** How often is looked for a buffer that is not there yet. */
const interval = 50;

export function isSharedMemoryAvailable(): boolean {
  return typeof globals.memioSharedBuffer === 'function';
}

export function detectPlatform(): MemioPlatform {
  return isSharedMemoryAvailable() || /Linux/.test(globalThis.navigator?.userAgent ?? '') ? 'linux' : 'unknown';
}

export class MemioClient {
  readonly #name: string;

  constructor(config: MemioConfig = {}) {
    this.#name = config.bufferName ?? defaultName;
  }

  detectPlatform(): MemioPlatform {
    return detectPlatform();
  }
  isSharedMemoryAvailable(): boolean {
    return isSharedMemoryAvailable();
  }

  /** Waits until the buffer is there, and gives it: header and payload. Null if it isn't within `timeoutMs`. */
  waitForSharedMemory(name = this.#name, timeoutMs = 2000): Promise<Uint8Array | null> {
    return until(timeoutMs, () => bufferOf(name));
  }

  /** The latest state; null if there is none, or if it is still `lastVersion`. */
  readSharedState(lastVersion?: bigint): SharedStateSnapshot | null {
    return this.readSharedStateNamed(this.#name, lastVersion);
  }
  async readSharedStateAsync(lastVersion?: bigint): Promise<SharedStateSnapshot | null> {
    return this.readSharedState(lastVersion);
  }
  readSharedStateNamed(name: string, lastVersion?: bigint): SharedStateSnapshot | null {
    const buffer = bufferOf(name);
    const state = buffer && stateIn(buffer);
    return state === null || state.version === lastVersion ? null : state;
  }
  async readSharedStateNamedAsync(name: string, lastVersion?: bigint): Promise<SharedStateSnapshot | null> {
    return this.readSharedStateNamed(name, lastVersion);
  }

  /** Writes a state, labelled as the latest one + 1 unless told otherwise. Null if there is no room, or no such buffer. */
  writeSharedState(data: ArrayBuffer | Uint8Array, version?: bigint): SharedStateWriteResult | null {
    return this.writeSharedStateNamed(this.#name, data, version);
  }
  writeSharedStateNamed(name: string, data: ArrayBuffer | Uint8Array, version?: bigint): SharedStateWriteResult | null {
    const buffer = bufferOf(name);
    return buffer && storeState(buffer, toBytes(data), version);
  }

  /** Header and payload of a buffer. */
  readSharedBuffer(name: string): Uint8Array | null {
    return bufferOf(name);
  }

  sharedManifest(): SharedStateManifest | null {
    const manifest = globals.__memioSharedManifest;
    return manifest?.version === 1 ? manifest : null;
  }
}

export function createMemioClient(config?: MemioConfig): MemioClient {
  return new MemioClient(config);
}

/** The latest state of a buffer; null if there is none, or none newer than `lastVersion`. */
export async function memioRead(name = defaultName, lastVersion?: bigint): Promise<SharedStateSnapshot | null> {
  const buffer = bufferOf(name);
  const state = buffer && stateIn(buffer);
  return state === null || (lastVersion !== undefined && state.version <= lastVersion) ? null : state;
}

/** Writes a buffer; waits for it to be there, five seconds at most. */
export async function memioWrite(name: string, data: ArrayBuffer | Uint8Array): Promise<MemioWriteResult> {
  const bytes = toBytes(data);
  const start = performance.now();
  const success = (await until(5000, () => globals.memioWriteSharedBuffer?.(name, bytes) || null)) ?? false;
  const buffer = success ? bufferOf(name) : null;
  return {
    success,
    bytesWritten: success ? bytes.length : 0,
    version: buffer === null ? 0n : headerOf(buffer).getBigUint64(8, true),
    durationMs: performance.now() - start,
  };
}

/**
 * Sends a file that the user has chosen, of any size, through the stream of that name, which a native program reads: memory stays flat,
 * and in pages that may have workers one does it. If there is no such stream it is written into the buffer, which has to have room for all of it.
 *
 * Errors: those that end a stream; what the signal says.
 */
export async function memioUploadFile(name: string, file: Blob, options: UploadOptions = {}): Promise<MemioWriteResult> {
  const start = performance.now();
  if (globals.memio === undefined || !(await upload(globals.memio, name, file, options))) return memioWrite(name, await file.arrayBuffer());
  return { success: true, bytesWritten: file.size, version: 0n, durationMs: performance.now() - start };
}

async function until<T>(timeoutMs: number, look: () => T | null): Promise<T | null> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const found = look();
    if (found !== null || performance.now() >= end) return found;
    await new Promise((resolve) => setTimeout(resolve, interval));
  }
}

function bufferOf(name: string): Uint8Array | null {
  const buffer = globals.memioSharedBuffer?.(name) ?? globals.__memioSharedBuffers?.[name] ?? null;
  return buffer && toBytes(buffer);
}

function toBytes(data: ArrayBuffer | Uint8Array): Uint8Array {
  return data instanceof Uint8Array ? data : new Uint8Array(data);
}

function headerOf(buffer: Uint8Array): DataView {
  return new DataView(buffer.buffer, buffer.byteOffset, headerSize);
}

function stateIn(buffer: Uint8Array): SharedStateSnapshot | null {
  if (buffer.byteLength < headerSize) return null;
  const header = headerOf(buffer);
  const version = header.getBigUint64(8, true);
  const length = Number(header.getBigUint64(16, true));
  if (header.getBigUint64(0, true) !== magic || length === 0 || length > buffer.byteLength - headerSize) return null;
  const data = buffer.subarray(headerSize, headerSize + length);
  return { version, length, data, view: new StateView(data) };
}

function storeState(buffer: Uint8Array, data: Uint8Array, version?: bigint): SharedStateWriteResult | null {
  if (data.byteLength > buffer.byteLength - headerSize) return null;
  const header = headerOf(buffer);
  const label = version ?? header.getBigUint64(8, true) + 1n;
  buffer.set(data, headerSize);
  header.setBigUint64(0, magic, true);
  header.setBigUint64(16, BigInt(data.byteLength), true);
  header.setBigUint64(8, label, true);
  return { version: label, length: data.byteLength };
}
