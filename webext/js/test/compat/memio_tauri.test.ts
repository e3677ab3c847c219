// SPDX-License-Identifier: MIT
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MemioClient, memioRead, memioUploadFile, memioWrite } from '../../src/compat/client.js';
import { bytesOf, FakeBroker, settled } from './fake_broker.js';

const globals = globalThis as any;
const names = ['memioSharedBuffer', 'memioWriteSharedBuffer', 'memioListBuffers', '__memioSharedBuffers', '__memioSharedManifest'];

let broker: FakeBroker;
let client: MemioClient;

afterEach(() => {
  for (const name of names) delete globals[name];
});

/** A page whose regions are there before it. */
async function page(make: () => void): Promise<void> {
  broker = new FakeBroker('memio-tauri');
  make();
  expect(names.filter((name) => name in globalThis)).toEqual([]);
  client = new MemioClient();
  await settled();
}

describe('the globals', () => {
  beforeEach(() =>
    page(() => {
      broker.make('state');
      broker.make('one', { slots: 1, capacity: 10 });
      broker.make('mine', { writable: false });
      broker.make('old', { layout: 'memio24' });
      broker.publish('state', bytesOf('hello'), 5n);
    }),
  );

  it('show what there is', () => {
    expect(globals.memioListBuffers().sort()).toEqual(['mine', 'one', 'state']);
    expect(Object.keys(globals.__memioSharedBuffers).sort()).toEqual(['mine', 'one', 'state']);
    expect(globals.__memioSharedManifest).toEqual({
      version: 1,
      buffers: { state: { length: 5 }, one: { length: 0 }, mine: { length: 0 } },
    });
    expect(globals.memioSharedBuffer()).toBe(globals.memioSharedBuffer('state'));
    expect(globals.memioSharedBuffer('one')).toHaveLength(74);
    expect(globals.__memioSharedBuffers.one).toBe(globals.memioSharedBuffer('one'));
    for (const name of ['old', 'none', '__proto__', 7, {}]) expect(globals.memioSharedBuffer(name)).toBe(null);
  });

  it('write', () => {
    const write = globals.memioWriteSharedBuffer;
    expect([write('state', new Uint16Array([0x6968])), broker.text('state')]).toEqual([true, 'hi']);
    expect(write('state', bytesOf('bye'))).toBe(true);
    expect([broker.text('state'), broker.regions.get('state')!.version]).toEqual(['bye', 7n]);
    const bad = [['mine', bytesOf('x')], ['one', new Uint8Array(11)], ['one', new Uint8Array()], ['none', bytesOf('x')], ['one', 'x'], []];
    expect(bad.map((args) => write(...args))).toEqual(bad.map(() => false));
  });

  it('are empty after the document was left, and fill again when it comes back', async () => {
    broker.runtime.suspend(true);
    expect([globals.memioListBuffers(), globals.memioSharedBuffer()]).toEqual([[], null]);
    broker.runtime.resume();
    await settled();
    expect(globals.memioListBuffers()).toHaveLength(3);
  });

  it('find what comes later, once it was asked for', async () => {
    broker.make('late');
    expect(globals.memioSharedBuffer('late')).toBe(null);
    await settled();
    expect(globals.memioSharedBuffer('late')).not.toBe(null);
    broker.regions.delete('state');
    globals.memioListBuffers();
    await settled();
    expect([globals.memioSharedBuffer('state'), broker.open('state')]).toEqual([null, 0]);
  });
});

describe("MemioTauri's client", () => {
  it('waits, reads and says what there is', async () => {
    broker = new FakeBroker('memio-tauri');
    broker.make('state');
    broker.publish('state', new Uint8Array([1, 0, 0, 0, 0, 0, 128, 63]), 5n);
    client = new MemioClient();
    expect([client.isSharedMemoryAvailable(), client.readSharedState(), client.sharedManifest()]).toEqual([false, null, null]);
    expect(await client.waitForSharedMemory('state')).toBeInstanceOf(Uint8Array);
    const snapshot = (await client.readSharedStateAsync())!;
    expect([snapshot.version, snapshot.length, [...snapshot.data]]).toEqual([5n, 8, [1, 0, 0, 0, 0, 0, 128, 63]]);
    expect([snapshot.view.readU8(0), snapshot.view.readF32(4), snapshot.view.byteLength]).toEqual([1, 1, 8]);
    expect([client.readSharedState(5n), client.readSharedStateNamed('none'), await memioRead('state', 5n)]).toEqual([null, null, null]);
    expect([client.detectPlatform(), client.sharedManifest()?.version]).toEqual(['linux', 1]);
    expect(await client.waitForSharedMemory('none', 60)).toBe(null);
  });

  it('writes both ways', async () => {
    await page(() => broker.make('state', { slots: 1, capacity: 10 }));
    expect(await memioWrite('state', bytesOf('first'))).toMatchObject({ success: true, bytesWritten: 5, version: 1n });
    expect(await memioUploadFile('state', new Blob(['file']))).toMatchObject({ success: true, bytesWritten: 4 });
    expect(broker.text('state')).toBe('file');
    expect(client.writeSharedState(new Uint8Array(11))).toBe(null);
    expect(client.writeSharedStateNamed('none', new Uint8Array(1))).toBe(null);
  });
});
