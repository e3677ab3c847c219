// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import { bytesOf, FakeBroker } from './compat/fake_broker.js';

describe('what the application waits for', () => {
  it('comes when it is read, once, and at once if it was', async () => {
    const broker = new FakeBroker();
    broker.make('a');
    broker.make('b');
    broker.runtime.awaitRead(1, 'a', 1);
    const region = await broker.runtime.memio.open('a');
    const other = await broker.runtime.memio.open('b');
    region.read();
    broker.publish('b', bytesOf('x'));
    other.read();
    expect(broker.told).toEqual([]);
    broker.publish('a', bytesOf('x'));
    broker.publish('a', bytesOf('y'));
    broker.runtime.awaitRead(2, 'a', 2);
    broker.runtime.awaitRead(3, 'a', 3);
    region.read();
    expect(broker.told).toEqual([['taken', 1], ['taken', 2]]);
    region.read();
    broker.runtime.awaitRead(4, 'a', 2);
    expect(broker.told.slice(2)).toEqual([['taken', 4]]);
    broker.runtime.suspend(true);
    expect(broker.told.length).toBe(3);
  });
});
