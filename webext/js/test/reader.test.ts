// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import { Reader } from '../src/reader.js';
import { FakeRegion } from './fake_region.js';
import { nameOfError } from './name_of_error.js';

describe('a snapshot region', () => {
  it('is empty before the first publish', () => {
    const leased = new Reader(new FakeRegion().memory).lease();
    expect([leased.sequence, leased.versionLow, leased.payload.length]).toEqual([0, 0, 0]);
  });

  it('shows the latest publish in place, in both layouts', () => {
    for (const layout of ['memio24', 'memio64'] as const) {
      const region = new FakeRegion({ layout });
      region.publish(2, 5n, 9n, [1, 2, 3]);
      const leased = new Reader(region.memory).lease();
      expect([leased.slot, leased.sequence, leased.versionLow, ...leased.payload.bytes]).toEqual([2, 5, 9, 1, 2, 3]);
      region.publish(2, 5n, 9n, [7, 2, 3]);
      expect(leased.payload.bytes[0]).toBe(7);
    }
  });

  it('marks what it leases, once for several leases of a slot', () => {
    const region = new FakeRegion();
    const reader = new Reader(region.memory);
    region.publish(1, 1n, 1n, [1]);
    reader.lease();
    reader.lease();
    expect(region.leases).toBe(0b10n);
    region.publish(3, 2n, 2n, [1]);
    reader.lease();
    expect(region.leases).toBe(0b1010n);
    reader.release(1);
    expect(region.leases).toBe(0b1010n);
    reader.release(1);
    expect(region.leases).toBe(0b1000n);
    reader.release(3);
    expect(region.leases).toBe(0n);
  });

  it('marks slots of the upper half', () => {
    const region = new FakeRegion({ slots: 64 });
    const reader = new Reader(region.memory);
    for (const slot of [31, 32, 63]) {
      region.publish(slot, BigInt(slot), 1n, [1]);
      reader.lease();
    }
    expect(region.leases).toBe((1n << 31n) | (1n << 32n) | (1n << 63n));
  });

  it('says when a writer waits for the end of a lease', () => {
    const region = new FakeRegion();
    const reader = new Reader(region.memory);
    region.slotWanted = 1;
    const { slot } = reader.lease();
    reader.lease();
    expect([reader.release(slot), reader.release(slot)]).toEqual([false, true]);
  });

  it('moves on if the slot stops being the latest while it is leased', () => {
    const region = new FakeRegion();
    region.publish(0, 1n, 1n, [1]);
    const store = region.memory.storeLeases.bind(region.memory);
    let first = true;
    region.memory.storeLeases = (half, mask) => {
      store(half, mask);
      if (first) region.publish(1, 2n, 2n, [2]);
      first = false;
    };
    const leased = new Reader(region.memory).lease();
    expect([leased.slot, leased.sequence, leased.payload.bytes[0], region.leases]).toEqual([1, 2, 2, 0b10n]);
  });

  it('unpacks sequences and versions of any size exactly', () => {
    const region = new FakeRegion();
    const reader = new Reader(region.memory);
    for (const sequence of [1, 2 ** 26 - 1, 2 ** 26, 2 ** 26 + 1, 2 ** 40 + 3, 2 ** 46 + 1]) {
      region.publish(3, BigInt(sequence), (1n << 63n) + 5n, [1]);
      const leased = reader.lease();
      expect([leased.sequence, leased.slot, reader.sequence]).toEqual([sequence, 3, sequence]);
      expect(reader.version()).toEqual({ low: 5, high: 2 ** 31 });
    }
  });

  it('looks a version up once for each publish', () => {
    const region = new FakeRegion();
    const reader = new Reader(region.memory);
    region.publish(1, 1n, 5n, [1]);
    expect([reader.version().low, reader.version().low]).toEqual([5, 5]);
    region.publish(1, 2n, 6n, [1]);
    expect(reader.version().low).toBe(6);
    region.publish(2, 2n, 7n, [1]);
    expect(reader.version().low).toBe(7);
    const classic = new FakeRegion({ slots: 1 });
    const other = new Reader(classic.memory);
    classic.publish(0, 1n, 5n, [1]);
    expect(other.version().low).toBe(5);
    classic.header(0, 6n, 1n); // by a program that knows only the header
    expect(other.version().low).toBe(6);
  });

  it('makes one view for publishes of one length in one slot', () => {
    const region = new FakeRegion();
    const reader = new Reader(region.memory);
    region.publish(0, 1n, 1n, [1, 2]);
    const first = reader.lease().payload.bytes;
    region.publish(0, 2n, 2n, [3, 4]);
    expect(reader.lease().payload.bytes).toBe(first);
    region.publish(0, 3n, 3n, [3]);
    expect(reader.lease().payload.bytes).toEqual(new Uint8Array([3]));
  });

  it('reports lies, and leases nothing then', () => {
    const lies: ((region: FakeRegion) => void)[] = [
      (region) => region.setLatest(1n, 4),
      (region) => region.setLatest(1n, 63),
      (region) => region.setLatest((1n << 58n) - 1n, 0),
      (region) => region.header(0, 1n, 1001n),
      (region) => region.header(0, 1n, (1n << 64n) - 1n),
      (region) => region.header(0, 1n, 1n, 0),
    ];
    for (const lie of lies) {
      const region = new FakeRegion();
      region.publish(0, 1n, 1n, [1]);
      lie(region);
      expect(nameOfError(() => new Reader(region.memory).lease())).toBe('io.memio.client.Corrupt');
      expect(region.leases).toBe(0n);
    }
  });
});

describe('a classic region', () => {
  it('is copied and leases nothing', () => {
    const region = new FakeRegion({ slots: 1 });
    region.publish(0, 1n, 4n, [1, 2]);
    const leased = new Reader(region.memory).lease();
    region.publish(0, 2n, 5n, [9, 9]);
    expect([leased.slot, leased.versionLow, ...leased.payload.bytes]).toEqual([-1, 4, 1, 2]);
    expect(region.leases).toBe(0n);
  });

  it('is busy while it stays half-written', () => {
    const region = new FakeRegion({ slots: 1 });
    region.setLatest(1n, 1);
    expect(nameOfError(() => new Reader(region.memory).lease())).toBe('io.memio.client.Busy');
    expect(nameOfError(() => new Reader(region.memory).version())).toBe('io.memio.client.Busy');
  });

  it('is read again if it is written meanwhile', () => {
    const region = new FakeRegion({ slots: 1 });
    region.publish(0, 1n, 1n, [1]);
    const payload = region.memory.payload.bind(region.memory);
    let first = true;
    region.memory.payload = (slot, length) => {
      if (first) region.publish(0, 2n, 2n, [2]);
      first = false;
      return payload(slot, length);
    };
    const leased = new Reader(region.memory).lease();
    expect([leased.sequence, leased.versionLow, leased.payload.bytes[0]]).toEqual([2, 2, 2]);
  });
});
