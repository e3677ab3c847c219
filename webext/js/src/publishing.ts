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

export function toHalves(version: Version | undefined): Halves | undefined {
  if (version === undefined) return undefined;
  if (typeof version === 'number' && Number.isSafeInteger(version) && version >= 0)
    return { low: version % 2 ** 32, high: Math.floor(version / 2 ** 32) };
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

export function checkLength(length: number): void {
  if (!Number.isSafeInteger(length) || length < 0)
    throw new MemioError('io.memio.client.Misuse', `begin() takes a number of bytes, not ${describe(length)}`);
}

/** How a value reads in a message. What is no primitive would be turned into a string by code of the page's. */
export function describe(value: unknown): string {
  if (typeof value === 'object' || typeof value === 'function') return value === null ? 'null' : 'an object';
  return String(value).slice(0, 60);
}
