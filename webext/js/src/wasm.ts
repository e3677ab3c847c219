// SPDX-License-Identifier: MIT
// Regions as part of a wasm module's linear memory.
import { MemioError } from './errors.js';
import { isNativeError, type Native } from './native.js';
import { Bytes, factsOfMemory, type MemoryFacts } from './primordials.js';
import { describe } from './publishing.js';
import { type Region, regionInternals } from './region.js';
import type { Snapshot } from './snapshot.js';

const wasmPage = 65_536;

/**
 * A region's slots in the memory of a wasm module, in place. It ends with `unmap()`, with the region, and with the document; then
 * zeros are in its stead. What the module stores into a region that is open for reading only is gone with the next read.
 */
export class Mapping {
  /** Where in the memory it starts. */
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly #region: Region;
  readonly #unmap: () => void;

  /** @internal */
  constructor(region: Region, byteOffset: number, byteLength: number, unmap: () => void) {
    this.#region = region;
    this.byteOffset = byteOffset;
    this.byteLength = byteLength;
    this.#unmap = unmap;
  }

  /**
   * Where a payload is for the module, as an address in its memory: that of a snapshot of the region that has not been released, or
   * that which the region's `begin()` gave and `commit()` has not published yet. Error: Misuse for anything else; a snapshot of a region
   * with one slot is a copy, and not there.
   */
  offsetOf(payload: Snapshot | Uint8Array): number {
    const place = regionInternals.placeOf(this.#region, payload);
    if (place === undefined)
      throw new MemioError(
        'io.memio.client.Misuse',
        `offsetOf() takes a snapshot of ${this.#region.name} before its release, or what begin() gave before its commit.`,
      );
    return this.byteOffset + place;
  }

  /** More than once does no harm. */
  unmap(): void {
    this.#unmap();
  }
}

export function mapInto(native: Native, memory: WebAssembly.Memory, byteOffset: number, region: Region): Mapping {
  const facts = checkMemory(memory);
  const handle = regionInternals.handleOf(region);
  if (handle === undefined) throw misuse(`mapInto() takes an open region, not ${describe(region)}.`);
  const { slots, stride, name } = regionInternals.infoOf(region);
  const byteLength = slots * stride;
  if (!Number.isSafeInteger(byteOffset) || byteOffset < 0 || byteOffset % native.pageSize !== 0)
    throw misuse(`A region is laid at a multiple of ${native.pageSize} bytes of the memory, not at ${describe(byteOffset)}.`);
  if (byteOffset + byteLength > facts.byteLength)
    throw misuse(
      `${name} takes ${byteLength} bytes (${slots} slots of ${stride}), and behind ${byteOffset} the memory has ` +
        `${Math.max(0, facts.byteLength - byteOffset)}. Make it larger, or create the region with fewer slots.`,
    );
  const mapping = native.mapInto(handle, memory, new Bytes(facts.buffer), byteOffset);
  if (isNativeError(mapping)) throw new MemioError(mapping.error, mapping.message);
  return new Mapping(region, byteOffset, byteLength, () => native.unmap(handle, mapping));
}

/** A memory that grows may move, and would leave the region behind. */
function checkMemory(memory: WebAssembly.Memory): MemoryFacts {
  let facts: MemoryFacts;
  try {
    facts = factsOfMemory(memory);
  } catch {
    throw misuse(`mapInto() takes a WebAssembly.Memory, not ${describe(memory)}.`);
  }
  if (facts.shared || facts.byteLength === (facts.maximum ?? Infinity) * wasmPage) return facts;
  throw misuse(
    `This memory has ${facts.byteLength / wasmPage} pages and may grow to ${facts.maximum ?? 'any number'}, and one that grows may ` +
      'move. Make it with a maximum that equals its initial size, or shared.',
  );
}

function misuse(message: string): MemioError {
  return new MemioError('io.memio.client.Misuse', message);
}
