// SPDX-License-Identifier: MIT
import { beforeEach, describe, expect, it } from 'vitest';
import type { Region } from '../src/region.js';
import type { Snapshot } from '../src/snapshot.js';
import { bytesOf, FakeBroker, settled } from './compat/fake_broker.js';
import { nameOfError } from './name_of_error.js';

describe('a document that is left and come back to', () => {
  let broker: FakeBroker;
  let region: Region;
  let events: string[];

  beforeEach(async () => {
    broker = new FakeBroker();
    broker.make('a');
    broker.publish('a', bytesOf('first'));
    region = await broker.runtime.memio.open('a');
    events = [];
    broker.runtime.memio.addEventListener('reconnected', () => events.push('reconnected'));
  });

  const textOf = (snapshot: Snapshot): string => new TextDecoder().decode(snapshot.data.slice());

  it('has its regions again, with listeners and loops', async () => {
    region.onchange = () => events.push('change');
    const seen: string[] = [];
    const loop = (async () => {
      for await (const snapshot of region) seen.push(textOf(snapshot));
    })();
    await settled();
    broker.runtime.suspend(true);
    expect([broker.open('a'), region.closed, nameOfError(() => region.read())]).toEqual([0, false, 'io.memio.client.Disconnected']);
    region.addEventListener('change', () => events.push('late listener'));
    region.abort();
    broker.publish('a', bytesOf('second'));
    broker.runtime.resume();
    await settled();
    expect([broker.open('a'), textOf(region.read())]).toEqual([1, 'second']);
    broker.publish('a', bytesOf('third'));
    await settled();
    expect(events).toEqual(['reconnected', 'change', 'late listener']);
    expect(seen).toEqual(['first', 'second', 'third']);
    region.close();
    await loop;
  });

  it('has none that it has closed, that was removed, or that is another now', async () => {
    broker.make('b');
    broker.make('c');
    const { memio } = broker.runtime;
    const [removed, replaced] = [await memio.open('b'), await memio.open('c')];
    broker.runtime.suspend(true);
    region.close();
    broker.regions.delete('b');
    broker.regions.delete('c');
    broker.make('c', { generation: 2 });
    broker.runtime.resume();
    await settled();
    expect([region, removed, replaced].map((each) => each.closed)).toEqual([true, true, true]);
    expect([...broker.handles.values()]).toEqual([]);
    expect(events).toEqual(['reconnected']);
  });

  it('is left again before all is back, and gets it the next time', async () => {
    broker.runtime.suspend(true);
    broker.runtime.resume();
    broker.runtime.suspend(true);
    await settled();
    expect([region.closed, broker.open('a')]).toEqual([false, 0]);
    broker.runtime.resume();
    await settled();
    expect([textOf(region.read()), broker.open('a')]).toEqual(['first', 1]);
  });

  it('that WebKit does not keep has nothing any more', async () => {
    const watch = broker.runtime.memio.watch();
    const next = watch.next().then(
      () => 'told',
      (error: Error) => error.name,
    );
    broker.runtime.suspend(false);
    expect([region.closed, nameOfError(() => region.read()), await next]).toEqual([
      true,
      'io.memio.client.Misuse',
      'io.memio.client.Disconnected',
    ]);
  });

  it('has snapshots of before that hold nothing of what is open now', async () => {
    const old = region.read();
    broker.runtime.suspend(true);
    broker.runtime.resume();
    await settled();
    const now = region.read();
    old.release();
    expect(textOf(now)).toBe('first');
    expect(broker.leases('a')).not.toBe(0);
    now.release();
    expect(broker.leases('a')).toBe(0);
  });
});
