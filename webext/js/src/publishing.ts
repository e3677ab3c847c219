// SPDX-License-Identifier: MIT
// What all who publish take from the page, and how it is checked.
import { MemioError } from './errors.js';
import { Buffer, Bytes, SharedBuffer } from './primordials.js';

/** The label of a publish: any u64. A Number must be an integer up to 2^53 - 1. */
export type Version = number | bigint;

export interface PublishOptions {
  /** Without one, the label is that of the latest publish + 1. */
  version?: Version | undefined;
}

export interface Halves {
  readonly low: number;
  readonly high: number;
}

export function halvesOf(number: number): Halves {
  return { low: number % 2 ** 32, high: Math.floor(number / 2 ** 32) };
}

export function toHalves(version: Version | undefined): Halves | undefined {
  if (version === undefined) return undefined;
  if (typeof version === 'number' && Number.isSafeInteger(version) && version >= 0) return halvesOf(version);
  if (typeof version === 'bigint' && version >= 0n && version < 1n << 64n)
    return { low: Number(version & 0xffff_ffffn), high: Number(version >> 32n) };
  throw new MemioError(
    'io.memio.client.Misuse',
    `A version is an integer from 0 to 2^53 - 1, or a BigInt from 0 to 2^64 - 1, not ${describe(version)}`,
  );
}

export function toBytes(bytes: ArrayBufferLike | ArrayBufferView): Uint8Array {
  if (bytes instanceof Bytes) return bytes;
  if (Buffer.isView(bytes)) return new Bytes(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes instanceof Buffer || (SharedBuffer !== undefined && bytes instanceof SharedBuffer)) return new Bytes(bytes);
  throw new MemioError('io.memio.client.Misuse', 'write() takes an ArrayBuffer, a typed array or a DataView.');
}

/** Begins a write and fills it with a copy of `bytes`. If that fails it is given up, else other writers would wait for ever. */
export function beginCopy(region: { begin(length: number): Uint8Array; abort(): void }, bytes: Uint8Array): void {
  const place = region.begin(bytes.length);
  try {
    place.set(bytes);
  } catch (error) {
    region.abort();
    throw error;
  }
}

export function checkLength(length: number): void {
  if (!Number.isSafeInteger(length) || length < 0)
    throw new MemioError('io.memio.client.Misuse', `begin() takes a number of bytes, not ${describe(length)}`);
}

/** How a value reads in a message. What is no primitive would be turned into a string by code of the page's. */
export function describe(value: unknown): string {
  if (typeof value === 'object' || typeof value === 'function') return value === null ? 'null' : 'an object';
  return String(value).slice(0, 60);
}
