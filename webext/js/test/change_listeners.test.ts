// SPDX-License-Identifier: MIT
import { describe, expect, it, vi } from 'vitest';
import { ChangeListeners } from '../src/change_listeners.js';

/** What was to be run as microtasks, where a throw is uncaught. */
const later: (() => void)[] = [];
vi.mock('../src/primordials.js', async (original) => ({
  ...(await original<typeof import('../src/primordials.js')>()),
  microtask: (task: () => void) => void later.push(task),
}));

const target = new EventTarget();

/** What listeners do here must be what they do with an EventTarget: each test runs with both. */
interface Events {
  add: EventTarget['addEventListener'] extends (type: string, ...rest: infer Rest) => void ? (...rest: Rest) => void : never;
  remove: EventTarget['removeEventListener'] extends (type: string, ...rest: infer Rest) => void ? (...rest: Rest) => void : never;
  change(): void;
  target: EventTarget;
}

function ours(): Events {
  const listeners = new ChangeListeners(target);
  return {
    add: (listener, options) => listeners.add(listener, options),
    remove: (listener, options) => listeners.remove(listener, options),
    change: () => listeners.call(),
    target,
  };
}

function doms(): Events {
  const events = new EventTarget();
  return {
    add: (listener, options) => events.addEventListener('change', listener, options),
    remove: (listener, options) => events.removeEventListener('change', listener, options),
    change: () => void events.dispatchEvent(new Event('change')),
    target: events,
  };
}

describe.each([
  ['ours', ours],
  ['of DOM', doms],
])('listeners: %s', (_name, make) => {
  it('are called in turn, with an event of the target, once for each time they were added differently', () => {
    const { add, change, target: expected } = make();
    const seen: unknown[] = [];
    const first = function (this: unknown, event: Event) {
      seen.push(['first', this === expected, event.type, event.target === expected, event.currentTarget === expected]);
      seen.push([event instanceof Event, event.timeStamp > 0, event.timeStamp === event.timeStamp, event.isTrusted]);
    };
    add(first);
    add(first);
    add({ handleEvent: () => seen.push('second') });
    change();
    expect(seen).toEqual([['first', true, 'change', true, true], [true, true, true, false], 'second']);
  });

  it('may be left out, removed, and removed by a signal', () => {
    const { add, remove, change } = make();
    const seen: string[] = [];
    const one = () => seen.push('one');
    const abort = new AbortController();
    add(null);
    add(one);
    add(() => seen.push('two'), { signal: abort.signal });
    add(() => seen.push('never'), { signal: AbortSignal.abort() });
    change();
    remove(null);
    remove(() => {});
    remove(one);
    abort.abort();
    change();
    expect(seen).toEqual(['one', 'two']);
  });

  it('are called once if they want that', () => {
    const { add, change } = make();
    const seen: string[] = [];
    add(() => (seen.push('once'), change()), { once: true });
    change();
    change();
    expect(seen).toEqual(['once']);
  });

  it('are not called if they are removed meanwhile', () => {
    const { add, remove, change } = make();
    const seen: string[] = [];
    const removed = () => seen.push('removed');
    add(() => {
      seen.push('first');
      remove(removed);
    });
    add(removed);
    change();
    change();
    expect(seen).toEqual(['first', 'first']);
  });

  it('are told apart by whether they capture', () => {
    const { add, remove, change } = make();
    const seen: string[] = [];
    const both = () => seen.push('both');
    add(both);
    add(both, true);
    change();
    remove(both, { capture: true });
    change();
    remove(both);
    change();
    expect(seen).toEqual(['both', 'both', 'both']);
  });

  it('may keep the event from those behind them, that time', () => {
    const { add, change } = make();
    const seen: string[] = [];
    add((event) => (seen.push('first'), event.stopImmediatePropagation()), { once: true });
    add(() => seen.push('second'));
    change();
    change();
    expect(seen).toEqual(['first', 'second']);
  });
});

// Node's EventTarget calls those that are added meanwhile; DOM's standard, and WebKit, do not.
it('a listener that is added by another is not called for the same change', () => {
  const { add, change } = ours();
  const seen: string[] = [];
  const late = (): void => void seen.push('late');
  add(() => add(late));
  change();
  expect(seen).toEqual([]);
  change();
  expect(seen).toEqual(['late']);
});

it('what a listener throws is reported as uncaught, and the next one is called', () => {
  const { add, change } = ours();
  const seen: string[] = [];
  add(() => {
    throw new Error('on purpose');
  });
  add(() => seen.push('next'));
  change();
  expect([seen, later.length]).toEqual([['next'], 1]);
  expect(later[0]).toThrow('on purpose');
});
