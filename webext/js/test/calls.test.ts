// SPDX-License-Identifier: MIT
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { type CallResult, Calls } from '../src/calls.js';
import { MemioError } from '../src/errors.js';
import type { Native, Opened } from '../src/native.js';
import { FakeNative, handle as regionHandle, openFake } from './fake_native.js';
import { FakeRegion } from './fake_region.js';
import { settled } from './compat/fake_broker.js';

/** What was to be run as microtasks, where a throw is uncaught. */
const later: (() => void)[] = [];
vi.mock('../src/primordials.js', async (original) => ({
  ...(await original<typeof import('../src/primordials.js')>()),
  microtask: (task: () => void) => void later.push(task),
}));

/** The uncaught errors since the last call. */
const uncaught = (): string[][] =>
  later.splice(0).map((task) => {
    try {
      task();
    } catch (error) {
      return [(error as Error).name, (error as Error).message];
    }
    return [];
  });

const misuse = 'io.memio.client.Misuse';
const nameOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'none', (error: Error) => error.name);

/** Records what is asked of the extension; requests are settled by the test. */
class Desk {
  readonly said: unknown[][] = [];
  readonly waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  readonly calls: Calls;
  #last = 0;

  constructor() {
    const native: Native = Object.assign(new FakeNative(new FakeRegion()));
    for (const name of ['call', 'cancelCall', 'handle', 'unhandle', 'answer', 'reject', 'emit', 'listen', 'unlisten', 'close'] as const)
      Object.assign(native, { [name]: (...given: unknown[]) => void this.said.push([name, ...given]) });
    this.calls = new Calls(native, {
      ask: <T>(send: (request: number) => void) =>
        new Promise<T>((resolve, reject) => {
          const n = ++this.#last;
          this.waiting.set(n, { resolve: resolve as (value: unknown) => void, reject });
          send(n);
        }),
      number: () => 100 + ++this.#last,
      adopt: ({ handle }: Opened) => {
        if (handle === 13) throw new MemioError('io.memio.OutOfResources', 'no');
        return `region ${handle}` as never;
      },
    });
  }

  settle(value?: unknown): void {
    const [n, { resolve }] = [...this.waiting][0]!;
    this.waiting.delete(n);
    resolve(value);
  }
  refuse(name: string): void {
    const [n, { reject }] = [...this.waiting][0]!;
    this.waiting.delete(n);
    reject(new MemioError(name, 'no'));
  }
}

let desk: Desk;
beforeEach(() => {
  desk = new Desk();
});

describe('invoking', () => {
  it('takes JSON, with bytes and regions anywhere in it, and gives the same', async () => {
    const { region } = openFake(new FakeRegion());
    const bytes = new Uint8Array([1, 2, 3]);
    const result = desk.calls.invoke('image/blur', { image: region, list: [bytes, bytes.buffer, 1.5, null, undefined], when: new Date(0), not: undefined }, { timeout: 12.2 });
    const [what, request, name, json, timeout, ...attachments] = desk.said[0]!;
    expect([what, request, name, timeout]).toEqual(['call', 1, 'image/blur', 13]);
    expect(JSON.parse(json as string)).toEqual({
      image: { $region: 0 }, list: [{ $bytes: 1 }, { $bytes: 2 }, 1.5, null, null], when: '1970-01-01T00:00:00.000Z',
    });
    expect(attachments).toEqual([regionHandle, bytes, bytes]);
    expect(attachments[1], 'a copy, which nobody pins').not.toBe(bytes);
    const answer: CallResult = { json: '{"a":[{"$bytes":0},{"$region":1}],"b":{"$descriptor":2},"c":{"$bytes":0,"d":1},"e":{"$bytes":9}}', attachments: [bytes, { handle: 4 } as Opened, null] };
    desk.settle(answer);
    expect(await result).toEqual({ a: [bytes, 'region 4'], b: null, c: { $bytes: 0, d: 1 }, e: { $bytes: 9 } });
  });

  it('takes nothing, and gives what there is', async () => {
    const result = desk.calls.invoke('x', undefined);
    expect(desk.said).toEqual([['call', 1, 'x', 'null', undefined]]);
    desk.settle({ json: '[-1]', attachments: [] });
    expect(await result).toEqual([-1]);
  });

  it('refuses what JSON cannot say, and what would mean something else', async () => {
    const { region } = openFake(new FakeRegion());
    region.close();
    const loop: Record<string, unknown> = {};
    loop.loop = loop;
    const regions = Array.from({ length: 6 }, () => openFake(new FakeRegion()).region);
    for (const args of [loop, 1n, { $bytes: 0 }, { a: [{ $region: 1 }] }, { $descriptor: 'x' }, region, regions, Array.from({ length: 17 }, () => new Uint8Array())])
      expect(await nameOf(desk.calls.invoke('x', args))).toBe(misuse);
    for (const timeout of [-1, NaN, 'soon' as never]) expect(await nameOf(desk.calls.invoke('x', 1, { timeout }))).toBe(misuse);
    expect(desk.said).toEqual([]);
  });

  it('is given up by a signal', async () => {
    const controller = new AbortController();
    const result = desk.calls.invoke('x', 1, { signal: controller.signal });
    controller.abort(new Error('never mind'));
    await expect(result).rejects.toThrow('never mind');
    expect(desk.said.at(-1)).toEqual(['cancelCall', 1]);
    desk.refuse('io.memio.CallCancelled');
    await expect(desk.calls.invoke('x', 1, { signal: controller.signal })).rejects.toThrow('never mind');
    expect(desk.said.length).toBe(2);
    const late = new AbortController();
    const answered = desk.calls.invoke('x', 1, { signal: late.signal });
    desk.settle({ json: '2', attachments: [] });
    expect(await answered).toBe(2);
    late.abort();
    expect(desk.said.length).toBe(3);
  });
});

describe('regions that nobody gets', () => {
  const attachments = [new Uint8Array(1), { handle: 4 } as Opened, null, { handle: 5 } as Opened];
  const closed = [['close', 4], ['close', 5]];

  it('are closed if the answer comes after an abort', async () => {
    const controller = new AbortController();
    const result = desk.calls.invoke('x', 1, { signal: controller.signal });
    controller.abort(new Error('never mind'));
    desk.settle({ json: '[{"$region":1}]', attachments });
    await expect(result).rejects.toThrow('never mind');
    await settled();
    expect(desk.said.slice(1)).toEqual([['cancelCall', 1], ...closed]);
  });

  it('are theirs if the answer came just before', async () => {
    const controller = new AbortController();
    const result = desk.calls.invoke('x', 1, { signal: controller.signal });
    desk.settle({ json: '{"$region":1}', attachments });
    controller.abort(new Error('never mind'));
    expect(await result).toBe('region 4');
    await settled();
    expect(desk.said.slice(1)).toEqual([['cancelCall', 1]]);
  });

  it('are closed if a call comes when it is handled no longer', () => {
    desk.calls.called(99, 7, 'null', attachments);
    expect(desk.said.map(([what, id]) => [what, id])).toEqual([...closed, ['reject', 7]]);
  });

  it('are closed if one before them cannot be had', async () => {
    const result = nameOf(desk.calls.invoke('x', 1));
    desk.settle({ json: 'null', attachments: [{ handle: 13 } as Opened, ...attachments] });
    expect(await result).toBe('io.memio.OutOfResources');
    expect(desk.said.slice(1)).toEqual(closed);
  });
});

describe('handling', () => {
  it('answers each call, side by side', async () => {
    const stopped = desk.calls.handle('sum', async (args, { name, signal }) => {
      if ((args as number[]).length === 0) throw Object.assign(new RangeError('nothing'), { details: { at: 0 } });
      await settled();
      return { name, aborted: signal.aborted, sum: (args as number[]).reduce((a, b) => a + b), raw: new Uint8Array([7]) };
    });
    const [, request, number] = desk.said[0]! as [string, number, number];
    expect(desk.said[0]).toEqual(['handle', request, number, 'sum']);
    desk.settle();
    const stop = await stopped;
    desk.calls.called(number, 71, '[1,2]', []);
    desk.calls.called(number, 72, '[]', []);
    await settled();
    await settled();
    expect(desk.said.slice(1)).toEqual([
      ['reject', 72, 'RangeError', 'nothing', '{"at":0}'],
      ['answer', 71, '{"name":"sum","aborted":false,"sum":3,"raw":{"$bytes":0}}', new Uint8Array([7])],
    ]);
    stop();
    stop();
    desk.calls.called(number, 73, '[]', []);
    expect(desk.said.slice(3).map(([what, id]) => [what, id])).toEqual([['unhandle', number], ['reject', 73]]);
  });

  it('hears that nobody waits any more, and then answers nothing', async () => {
    let seen: AbortSignal | undefined;
    void desk.calls.handle('slow', (_args, { signal }) => {
      seen = signal;
      return new Promise((resolve) => signal.addEventListener('abort', resolve));
    });
    const number = desk.said[0]![2] as number;
    desk.calls.called(number, 5, 'null', []);
    await settled();
    desk.calls.callCancelled(5);
    await settled();
    expect([seen?.aborted, desk.said.length]).toEqual([true, 1]);
  });

  it('rejects with whatever is thrown, and with results that JSON cannot say', async () => {
    const thrown: unknown[] = ['text', null, { name: 'Odd', message: 5, details: 1n }, new MemioError('io.memio.client.Busy', 'busy')];
    void desk.calls.handle('x', (index) => {
      if ((index as number) < thrown.length) throw thrown[index as number];
      return 1n;
    });
    const number = desk.said[0]![2] as number;
    for (let i = 0; i <= thrown.length; ++i) desk.calls.called(number, i, `${i}`, []);
    await settled();
    expect(desk.said.slice(1).map(([what, , name, message, details]) => [what, name, String(message).slice(0, 12), details])).toEqual([
      ['reject', 'Error', 'text', undefined],
      ['reject', 'Error', 'null', undefined],
      ['reject', 'Odd', '5', undefined],
      ['reject', 'io.memio.client.Busy', 'busy', undefined],
      ['reject', misuse, 'What x gives', undefined],
    ]);
  });

  it('is not begun if another handles the command', async () => {
    const refused = nameOf(desk.calls.handle('x', () => 1));
    desk.refuse('io.memio.CommandExists');
    expect(await refused).toBe('io.memio.CommandExists');
    expect(await nameOf(desk.calls.handle('x', 5 as never))).toBe(misuse);
  });
});

describe('messages', () => {
  it('are emitted, without attachments', async () => {
    const sent = desk.calls.emit('a/b', { x: -1.5 });
    desk.settle();
    await sent;
    expect(desk.said).toEqual([['emit', 1, 'a/b', '{"x":-1.5}']]);
    expect(await nameOf(desk.calls.emit('a/b', new Uint8Array(1)))).toBe(misuse);
  });

  it('come to who listens, until it does no longer', async () => {
    const seen: unknown[] = [];
    const begun = desk.calls.listen('a/*', (message) => seen.push(message));
    const number = desk.said[0]![2] as number;
    desk.settle();
    const unlisten = await begun;
    desk.calls.message(number, 'a/b', '{"x":1}', 0);
    desk.calls.message(number, 'a/c', 'null', 12);
    unlisten();
    desk.calls.message(number, 'a/d', '1', 0);
    expect(seen).toEqual([{ topic: 'a/b', payload: { x: 1 }, lost: 0 }, { topic: 'a/c', payload: null, lost: 12 }]);
    expect(desk.said.at(-1)).toEqual(['unlisten', number]);
  });

  it('come once, if once is enough', async () => {
    const seen: unknown[] = [];
    void desk.calls.listen('a', ({ payload }) => seen.push(payload), true);
    const number = desk.said[0]![2] as number;
    desk.calls.message(number, 'a', '1', 0);
    desk.calls.message(number, 'a', '2', 0);
    expect([seen, desk.said.at(-1)]).toEqual([[1], ['unlisten', number]]);
  });
});

describe('a document that is left', () => {
  it('handles and listens again when it is back, as far as it may', async () => {
    let aborted: unknown;
    void desk.calls.handle('x', (_args, { signal }) => new Promise(() => signal.addEventListener('abort', () => (aborted = signal.reason))));
    void desk.calls.listen('a', () => {});
    desk.settle();
    desk.settle();
    await settled();
    const [handling, listening] = [desk.said[0]![2] as number, desk.said[1]![2] as number];
    desk.calls.called(handling, 1, '1', []);
    await settled();
    desk.calls.suspend(true);
    expect((aborted as Error).name).toBe('io.memio.client.Disconnected');
    desk.calls.resume();
    expect(desk.said.slice(2).map(([what, , number]) => [what, number])).toEqual([['handle', handling], ['listen', listening]]);
    desk.refuse('io.memio.CommandExists');
    desk.settle();
    await settled();
    expect(uncaught()).toEqual([['io.memio.CommandExists', 'The page handles x no longer: no']]);
    desk.calls.suspend(true);
    desk.calls.resume();
    expect(desk.said.slice(4).map(([what, , number]) => [what, number])).toEqual([['listen', listening]]);
    desk.calls.suspend(false);
    desk.calls.resume();
    expect(desk.said.length).toBe(5);
  });

  it('loses nothing if it is left again before all has begun', async () => {
    void desk.calls.listen('a', () => {});
    desk.settle();
    await settled();
    desk.calls.suspend(true);
    desk.calls.resume();
    desk.calls.suspend(true);
    desk.refuse('io.memio.client.Disconnected');
    await settled();
    desk.calls.resume();
    expect(desk.said.map(([what]) => what)).toEqual(['listen', 'listen', 'listen']);
    expect(uncaught()).toEqual([]);
  });
});

describe('what ends without the page', () => {
  it('is reported as uncaught, once, and is no longer', async () => {
    void desk.calls.handle('x', () => 1);
    void desk.calls.listen('a/*', () => {});
    desk.settle();
    desk.settle();
    await settled();
    const [handling, listening] = [desk.said[0]![2] as number, desk.said[1]![2] as number];
    desk.calls.ended(handling, new MemioError('io.memio.CommandExists', 'another has it'));
    desk.calls.ended(handling, new MemioError('io.memio.CommandExists', 'another has it'));
    desk.calls.ended(listening, new MemioError('io.memio.client.Disconnected', 'memiod is gone'));
    expect(uncaught()).toEqual([
      ['io.memio.CommandExists', 'The page handles x no longer: another has it'],
      ['io.memio.client.Disconnected', 'The page listens to a/* no longer: memiod is gone'],
    ]);
    desk.calls.suspend(true);
    desk.calls.resume();
    expect(desk.said.length).toBe(2);
  });

  it('is not reported if the page has ended it itself', async () => {
    const begun = desk.calls.handle('x', () => 1);
    desk.settle();
    (await begun)();
    desk.calls.ended(desk.said[0]![2] as number, new MemioError('io.memio.CommandExists', 'another has it'));
    expect(uncaught()).toEqual([]);
  });
});
