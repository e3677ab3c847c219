// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import { MemioError } from '../src/errors.js';
import { Watch, watchInternals } from '../src/watch.js';

const ready = { event: 'ready' } as const;

describe('a watch', () => {
  it('tells what came before it was asked, and what comes after', async () => {
    const watch = new Watch(() => {});
    watchInternals.tell(watch, ready);
    expect(await watch.next()).toEqual({ done: false, value: ready });
    const next = watch.next();
    watchInternals.tell(watch, { event: 'version', version: 3 });
    expect((await next).value.version).toBe(3);
  });

  it('ends with close(), once, and with the loop', async () => {
    let stopped = 0;
    const watch = new Watch(() => void ++stopped);
    const waiting = watch.next();
    watchInternals.tell(watch, ready);
    watchInternals.tell(watch, ready);
    for await (const event of watch) {
      expect(event).toBe(ready);
      break;
    }
    watch.close();
    expect([(await waiting).value, (await watch.next()).done, stopped]).toEqual([ready, true, 1]);
  });

  it('throws what ended it, once, after all that came before', async () => {
    for (const waits of [true, false]) {
      const watch = new Watch(() => {});
      const waiting = waits ? watch.next() : undefined;
      if (!waits) watchInternals.tell(watch, ready);
      watchInternals.end(watch, new MemioError('io.memio.client.Disconnected', 'gone'));
      if (!waits) expect((await watch.next()).value).toBe(ready);
      await expect(waiting ?? watch.next()).rejects.toThrow('gone');
      expect((await watch.next()).done).toBe(true);
    }
  });

  it('forgets the oldest if nobody takes what it tells', async () => {
    const watch = new Watch(() => {});
    for (let version = 1; version <= 10_001; ++version) watchInternals.tell(watch, { event: 'version', version });
    expect((await watch.next()).value.version).toBe(2);
  });
});
