// SPDX-License-Identifier: MIT
// Where things are in a region's memory: proto/REGION_FORMAT.md, which this mirrors. Offsets are in bytes.
import type { Region as RegionInfo } from '../generated/protocol.js';

export const directoryLatestOffset = 64;
export const leaseTableSlotWantedOffset = 128;
export const leaseTableCellsOffset = 256;
export const cellSize = 64;

/** `latest` packs the sequence with the slot's index, which has the low bits. */
export const indexBits = 6;
export const indexMask = 63;
/** 2^(32 - indexBits): what one step of the high word of `latest` adds to the sequence. */
export const sequencesPerHighWord = 2 ** (32 - indexBits);
/** From this high word on a sequence would be no exact Number; no region is ever published that often. */
export const highWordLimit = 2 ** 21;

const magics = {
  memio24: { low: 0x545f4f54, high: 0x4f425255, headerSize: 24 },
  memio64: { low: 0x4f534852, high: 0x54555242, headerSize: 64 },
} as const;

export interface Geometry {
  readonly slots: number;
  /** Bytes from slot to slot. */
  readonly stride: number;
  readonly capacity: number;
  readonly headerSize: number;
  readonly magicLow: number;
  readonly magicHigh: number;
}

export function geometryOf(info: Pick<RegionInfo, 'layout' | 'slots' | 'stride' | 'capacity'>): Geometry {
  const { low, high, headerSize } = magics[info.layout];
  return { slots: info.slots, stride: info.stride, capacity: info.capacity, headerSize, magicLow: low, magicHigh: high };
}

/** Where a slot's header has its magic, in words of 32 bits. */
export const magicLowWord = 0;
export const magicHighWord = 1;

/** Whether a region has one slot, so that all see every byte that is written. */
export function isClassic(info: Pick<RegionInfo, 'slots'>): boolean {
  return info.slots === 1;
}

/** A u64 from its halves; exact up to 2^53. */
export function toNumber(low: number, high: number): number {
  return high * 2 ** 32 + low;
}

export function toBigInt(low: number, high: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
