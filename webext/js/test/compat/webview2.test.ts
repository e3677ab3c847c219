// SPDX-License-Identifier: MIT
import { beforeEach, describe, expect, it } from 'vitest';
import { bytesOf, FakeBroker, settled } from './fake_broker.js';

type SharedBufferEvent = Event & { getBuffer: () => ArrayBuffer; additionalData: any; source: unknown };
const webview = () => (globalThis as any).chrome.webview;

let broker: FakeBroker;
let events: SharedBufferEvent[];

beforeEach(() => {
  broker = new FakeBroker('webview2');
  events = [];
  webview().addEventListener('sharedbufferreceived', (event: SharedBufferEvent) => events.push(event));
});

async function post(name: string, access = 'read-only', json = ''): Promise<void> {
  broker.runtime.posted(7, name, access, json);
  await settled();
}

describe('a posted buffer', () => {
  it('has the latest publish, exactly, and is acknowledged when it is taken', async () => {
    broker.make('a');
    broker.publish('a', bytesOf('hello'));
    await post('a', 'read-only', '{"kind": 1}');
    expect(broker.told).toEqual([]);
    const { getBuffer, additionalData, source } = events[0]!;
    expect(new TextDecoder().decode(getBuffer())).toBe('hello');
    expect(getBuffer()).toBe(getBuffer());
    expect(broker.told).toEqual([['taken', 7]]);
    expect(additionalData).toEqual({ kind: 1 });
    expect(Object.keys(additionalData)).toEqual(['kind']);
    expect(JSON.parse(additionalData)).toEqual({ kind: 1 });
    expect(source).toBe(webview());
  });

  it('brings what JSON can say, or nothing', async () => {
    broker.make('a');
    for (const json of ['', 'null', '5', '"x"', '[1]', '{"toString": 5}']) await post('a', 'read-only', json);
    expect(events.map((event) => event.additionalData)).toEqual([undefined, null, 5, 'x', [1], { toString: 5 }]);
  });

  it('is all of a region with one slot', async () => {
    broker.make('one', { slots: 1, capacity: 100 });
    await post('one', 'read-write');
    expect(events[0]!.getBuffer().byteLength).toBe(100);
  });

  it('is refused if it cannot be', async () => {
    broker.make('four');
    broker.make('mine', { slots: 1, writable: false });
    await post('none');
    await post('four', 'read-write');
    await post('mine', 'read-write');
    expect(broker.told).toEqual([
      ['refused', 7, 'io.memio.NoSuchRegion'],
      ['refused', 7, 'io.memio.client.Misuse'],
      ['refused', 7, 'io.memio.PermissionDenied'],
    ]);
    expect([events.length, broker.open('four')]).toEqual([0, 0]);
  });

  it('is detached by releaseBuffer, and its region closed when the memory has gone', async () => {
    broker.make('a');
    broker.publish('a', bytesOf('x'));
    await post('a');
    const buffer = events[0]!.getBuffer();
    const [handle] = broker.handles.keys();
    webview().releaseBuffer(buffer);
    expect(() => new Uint8Array(buffer)).toThrow(TypeError);
    webview().releaseBuffer(buffer);
    broker.runtime.windowGone(handle!);
    broker.runtime.windowGone(handle!);
    expect(broker.open('a')).toBe(0);
    for (const other of [undefined, {}, new ArrayBuffer(8), 'x']) expect(() => webview().releaseBuffer(other)).toThrow(TypeError);
  });

  it('needs the layer', async () => {
    broker = new FakeBroker();
    broker.make('a');
    await post('a');
    expect(broker.told).toEqual([['refused', 7, 'io.memio.PermissionDenied']]);
  });
});

describe('messages', () => {
  it('go both ways', () => {
    const heard: unknown[] = [];
    webview().addEventListener('message', (event: MessageEvent) => heard.push([event.data, event.source === webview()]));
    webview().postMessage({ a: [1] });
    broker.runtime.webMessage('{"b": 2}');
    expect([broker.told, heard]).toEqual([[['message', '{"a":[1]}']], [[{ b: 2 }, true]]]);
    for (const bad of [undefined, () => 0, Symbol('x')]) expect(() => webview().postMessage(bad)).toThrow(TypeError);
  });
});

describe('the commands', () => {
  const invoke = (command: string, args?: any) => broker.runtime.memio.invoke(`plugin:memio|${command}`, args);
  const nameOfError = (promise: Promise<unknown>) => promise.then(() => 'none', (error: Error) => error.name);

  it('upload', async () => {
    broker.make('state');
    expect(await invoke('prepare_upload_buffer', { name: 'state', size: 5 })).toEqual({ name: 'state', size: 5, ready: true });
    expect(events[0]!.additionalData).toEqual({ name: 'state', size: 5, forUpload: true });
    new Uint8Array(events[0]!.getBuffer()).set(bytesOf('12345'));
    await invoke('commit_upload_buffer', { args: { name: 'state', version: 9, length: 4 } });
    expect([broker.text('state'), broker.regions.get('state')!.version, broker.open('state')]).toEqual(['1234', 9n, 0]);
    expect(await nameOfError(invoke('commit_upload_buffer', { name: 'state', version: 9, length: 4 }))).toBe('io.memio.client.Misuse');
  });

  it('keep an upload that could not be committed', async () => {
    broker.make('small', { capacity: 2 });
    await invoke('prepare_upload_buffer', { name: 'small', size: 5 });
    const commit = (length: number) => nameOfError(invoke('commit_upload_buffer', { name: 'small', version: 1, length }));
    expect([await commit(6), await commit(5), await commit(2)]).toEqual([
      'io.memio.client.Misuse',
      'io.memio.client.PayloadTooLarge',
      'none',
    ]);
  });

  it('download a copy', async () => {
    for (const slots of [1, 4]) {
      broker.make('state', { slots });
      broker.publish('state', bytesOf('down'), 3n);
      const metadata = { name: 'state', version: 3, size: 4 };
      expect(await invoke('send_download_buffer', { name: 'state' })).toEqual({ ...metadata, posted: true });
      const event = events.pop()!;
      expect(event.additionalData).toEqual({ ...metadata, bufferName: 'download_state', forDownload: true });
      expect(new TextDecoder().decode(event.getBuffer())).toBe('down');
      expect(broker.open('state')).toBe(0);
    }
  });

  it('list', async () => {
    broker.make('a');
    broker.make('b');
    expect(await invoke('list_shared_buffers_windows')).toEqual(['a', 'b']);
    expect([await invoke('has_shared_buffer', { name: 'a' }), await invoke('has_shared_buffer', { name: 'c' })]).toEqual([true, false]);
  });

  it('say which there are', async () => {
    await expect(invoke('format_disk')).rejects.toThrow('plugin:memio|prepare_upload_buffer');
    await expect(broker.runtime.memio.invoke('plugin:memio|')).rejects.toThrow('There is no command plugin:memio|.');
  });

  it('need the layer where they post', async () => {
    broker = new FakeBroker('memio-tauri');
    broker.make('a');
    expect(await nameOfError(invoke('send_download_buffer', { name: 'a' }))).toBe('io.memio.client.Misuse');
    expect(await invoke('list_shared_buffers_windows')).toEqual(['a']);
  });
});
