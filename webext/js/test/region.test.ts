// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import { Region, regionInternals } from '../src/region.js';
import { FakeRegion } from './fake_region.js';
import { openFake } from './fake_native.js';
import { nameOfError } from './name_of_error.js';

/** A turn of the event loop, in which all that is resolved goes on. */
const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));

describe('views of a payload', () => {
  it('are made once for each slot and type', () => {
    const fake = new FakeRegion();
    const { region } = openFake(fake);
    fake.publish(1, 1n, 1n, [0, 0, 128, 63, 7]);
    const first = region.read().as(Float32Array);
    expect([...first]).toEqual([1]); // whole elements
    fake.publish(1, 2n, 2n, [0, 0, 0, 64, 7]);
    expect(region.read().as(Float32Array)).toBe(first);
    expect([...first]).toEqual([2]);
    expect(region.read().as(Uint8Array)).not.toBe(first);
  });

  it('are typed arrays and nothing else', () => {
    const { region } = openFake(new FakeRegion());
    const snapshot = region.read();
    for (const wrong of [DataView, Object, ArrayBuffer, class extends Uint8Array {}, undefined, null, 'Uint8Array', {}])
      expect(nameOfError(() => snapshot.as(wrong as never))).toBe('io.memio.client.Misuse');
  });

  it('read single numbers, little-endian', () => {
    const fake = new FakeRegion();
    const { region } = openFake(fake);
    fake.publish(0, 1n, 1n, [255, 1, 0, 128, 0, 0, 0, 128]);
    const s = region.read();
    expect([s.getInt8(0), s.getUint8(0), s.getInt16(2), s.getUint16(0), s.getInt32(4), s.getUint32(4)]).toEqual([
      -1, 255, -32768, 511, -(2 ** 31), 2 ** 31,
    ]);
    expect([s.getBigUint64(0), s.getFloat32(4)]).toEqual([0x80000000800001ffn, -0]);
    expect(() => s.getUint8(8)).toThrow(RangeError);
    expect(() => s.getUint32(-1)).toThrow(RangeError);
  });

  it('of the region itself lease the latest publish until the next call', () => {
    const fake = new FakeRegion();
    const { region } = openFake(fake);
    fake.publish(1, 1n, 1n, [1]);
    expect([...region.as(Uint8Array)]).toEqual([1]);
    expect(region.as(Uint8Array)).toBe(region.as(Uint8Array));
    expect(fake.leases).toBe(0b10n);
    fake.publish(2, 2n, 2n, [2]);
    expect([...region.as(Uint8Array)]).toEqual([2]);
    expect(fake.leases).toBe(0b100n);
  });
});

describe('a read-only region that was stored to', () => {
  it('asks for its true bytes before it reads, and only then', () => {
    const fake = new FakeRegion();
    const { region } = openFake(fake, 'read');
    region.read().release();
    expect(fake.mended).toBe(0);
    for (const look of [() => region.read().release(), () => region.version, () => region.sequence]) {
      fake.noteStore();
      fake.mended = 0;
      look();
      look();
      expect(fake.mended).toBe(1);
    }
  });
});

describe('changes', () => {
  it('come to listeners and to onchange, which the region lives for', () => {
    const fake = new FakeRegion();
    const { region, native } = openFake(fake);
    const seen: string[] = [];
    region.onchange = function (event) {
      seen.push(`${this === region} ${event.type}`);
    };
    region.addEventListener('change', () => seen.push('listener'));
    expect(native.calls).toEqual(['subscribe 0', 'hold']);
    native.changed();
    region.onchange = null;
    native.changed();
    expect([seen, region.onchange]).toEqual([['true change', 'listener', 'listener'], null]);
    region.onchange = 7 as never;
    expect(region.onchange).toBe(null);
  });

  it('are what a loop goes through: the newest each time, each released, until the end', async () => {
    const fake = new FakeRegion();
    const { region, native } = openFake(fake);
    fake.publish(1, 1n, 1n, [1]);
    const seen: number[] = [];
    let last: { data: Uint8Array } | undefined;
    const loop = (async () => {
      for await (const snapshot of region) {
        seen.push(snapshot.sequence);
        last = snapshot;
        expect(fake.leases).not.toBe(0n);
      }
    })();
    await turn();
    expect([seen, fake.leases]).toEqual([[1], 0n]);
    fake.publish(2, 2n, 2n, [1]);
    fake.publish(3, 3n, 3n, [1]);
    native.changed();
    await turn();
    expect([seen, fake.leases]).toEqual([[1, 3], 0n]);
    native.changed(); // for nothing: a doorbell may be rung for somebody else
    region.close();
    await loop;
    expect([seen, last!.data.length]).toEqual([[1, 3], 1]);
  });

  it('a loop that is left releases what it had', async () => {
    const fake = new FakeRegion();
    const { region } = openFake(fake);
    fake.publish(1, 1n, 1n, [1]);
    for await (const snapshot of region) {
      expect(snapshot.sequence).toBe(1);
      break;
    }
    expect(fake.leases).toBe(0n);
  });
});

describe('publishing', () => {
  it('takes all kinds of buffers', () => {
    const fake = new FakeRegion();
    const { region, native } = openFake(fake);
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const shared = new SharedArrayBuffer(4);
    for (const source of [bytes, bytes.buffer, new DataView(bytes.buffer, 1, 2), new Uint16Array(bytes.buffer), shared])
      region.write(source);
    expect(native.calls.filter((call) => call.startsWith('begin'))).toEqual([4, 4, 2, 4, 4].map((n) => `begin ${n}`));
    for (const wrong of ['text', 7, null, undefined, [1], { length: 4 }])
      expect(nameOfError(() => region.write(wrong as never))).toBe('io.memio.client.Misuse');
  });

  it('gives the lock back if the copy fails', () => {
    const { region, native } = openFake(new FakeRegion());
    class Liar extends Uint8Array {
      override get length(): number {
        return 2;
      }
    }
    expect(() => region.write(new Liar(5))).toThrow(RangeError);
    expect(native.calls).toEqual(['begin 2', 'abort']);
  });

  it('checks versions and lengths before anything happens', () => {
    const { region, native } = openFake(new FakeRegion());
    const evil = { valueOf: () => expect.fail('it was called'), toString: () => expect.fail('it was called') };
    for (const version of [-1, 1.5, NaN, 2 ** 53, 1n << 64n, -1n, '1', evil, Symbol('s')])
      expect(nameOfError(() => region.write(new Uint8Array(1), { version: version as never }))).toBe('io.memio.client.Misuse');
    for (const length of [-1, 1.5, NaN, Infinity, '1', evil, undefined])
      expect(nameOfError(() => region.begin(length as never))).toBe('io.memio.client.Misuse');
    expect(native.calls).toEqual([]);
  });
});

describe('the inside of a region', () => {
  it('tells where payloads are, of its own only', () => {
    const fake = new FakeRegion();
    const { region } = openFake(fake);
    const other = openFake(fake).region;
    fake.publish(2, 1n, 1n, [1]);
    const snapshot = region.read();
    const place = region.begin(10);
    expect(regionInternals.placeOf(region, snapshot)).toBe(2 * 4096 + 64);
    expect(regionInternals.placeOf(region, place)).toBe(4096 + 64);
    expect(regionInternals.placeOf(other, snapshot)).toBe(undefined);
    snapshot.release();
    region.commit();
    for (const wrong of [snapshot, place, undefined, null, {}, new Uint8Array(1)])
      expect(regionInternals.placeOf(region, wrong)).toBe(undefined);
  });

  it('is not for pages', () => {
    const { region } = openFake(new FakeRegion());
    expect(() => new (Region as never as new () => Region)()).toThrow(TypeError);
    for (const wrong of [{}, null, undefined, 7, Object.create(region), new EventTarget()])
      expect(regionInternals.handleOf(wrong)).toBe(undefined);
    expect(regionInternals.handleOf(region)).toBe(7);
    region.close();
    expect(regionInternals.handleOf(region)).toBe(undefined);
  });
});
