// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import { MemioError } from '../src/errors.js';
import type { Opened } from '../src/native.js';
import { Streams } from '../src/stream_page.js';
import { FakeNative } from './fake_native.js';
import { FakeRegion } from './fake_region.js';
import { settled } from './compat/fake_broker.js';

const nameOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'none', (error: Error) => error.name);

/** What is asked for, to be answered by the test in any order. */
class Desk {
  readonly said: string[] = [];
  readonly waiting = new Map<string, (answer: Opened | MemioError) => void>();
  readonly streams: Streams;
  #asked = '';
  #last = 0;

  constructor() {
    const ask = (what: string) => (_n: number, name: string) => void (this.#asked = `${what} ${name}`);
    const native = Object.assign(new FakeNative(new FakeRegion()), {
      open: ask('open'),
      create: ask('create'),
      remove: ask('remove'),
      close: (handle: number) => void this.said.push(`close ${handle}`),
    });
    this.streams = new Streams(native, <T>(send: (request: number) => void) =>
      new Promise<T>((resolve, reject) => {
        send(++this.#last);
        this.said.push(this.#asked);
        this.waiting.set(this.#asked, (answer) => (answer instanceof MemioError ? reject(answer) : resolve(answer as T)));
      }),
    );
  }

  answer(what: string, answer: number | string): void {
    const info = { name: what, slots: 1, layout: 'memio64' } as Opened['info'];
    this.waiting.get(what)!(typeof answer === 'number' ? ({ handle: answer, info } as Opened) : new MemioError(answer, 'no'));
    this.waiting.delete(what);
  }
}

describe('the regions of a stream that cannot be made', () => {
  it('are all closed and removed, those too that come late', async () => {
    const desk = new Desk();
    const made = nameOf(desk.streams.create('s', 'write', { buffers: 4 }));
    desk.answer('create s__data_0', 10);
    desk.answer('create s__data_1', 'io.memio.RegionExists');
    await settled();
    desk.answer('create s__data_2', 12);
    desk.answer('create s__data_3', 'io.memio.LimitExceeded');
    expect(await made).toBe('io.memio.RegionExists');
    expect(desk.said.slice(4)).toEqual(['close 10', 'close 12', 'remove s__data_2', 'remove s__data_0']);
  });
});
