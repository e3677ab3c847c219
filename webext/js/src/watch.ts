// SPDX-License-Identifier: MIT
import type { WatchReply } from '../generated/protocol.js';
import type { MemioError } from './errors.js';

export interface WatchOptions {
  /** Tell of publishes too. */
  versions?: boolean;
}

/** What can be told while nobody takes it. More, and what is oldest goes: a page that sleeps must not fill its memory. */
const longestQueue = 10_000;

/** What only the runtime may do with watches. */
export interface WatchInternals {
  tell(watch: Watch, event: WatchReply): void;
  end(watch: Watch, error: MemioError | undefined): void;
}
export let watchInternals: WatchInternals;

/**
 * What happens to regions, as `memio.watch()` tells it: first a `present` for each region there is, then `ready`, then each `created`,
 * `removed` and, if asked for, `version`.
 *
 *     for await (const { event, region } of memio.watch('telemetry/*')) ...
 *
 * Ends with `close()`, with the loop, and with the document. Errors end it too, by a throw. When memiod is back after it was gone, or
 * the user is back at a page that was left, it begins anew, with `present` for each region there is then.
 */
export class Watch implements AsyncIterableIterator<WatchReply> {
  readonly #stop: () => void;
  #events: WatchReply[] = [];
  #waiting: { resolve: (result: IteratorResult<WatchReply>) => void; reject: (error: MemioError) => void }[] = [];
  #ended = false;
  #error: MemioError | undefined;

  /** @internal */
  constructor(stop: () => void) {
    this.#stop = stop;
  }

  static {
    watchInternals = {
      tell: (watch, event) => watch.#tell(event),
      end: (watch, error) => watch.#end(error),
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<WatchReply>> {
    const event = this.#events.shift();
    if (event !== undefined) return Promise.resolve({ done: false, value: event });
    if (this.#error !== undefined) {
      const error = this.#error;
      this.#error = undefined; // told once, as a generator would
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<WatchReply>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** More than once does no harm. */
  close(): void {
    if (this.#ended) return;
    this.#events = [];
    this.#end(undefined);
    this.#stop();
  }

  #tell(event: WatchReply): void {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) waiting.resolve({ done: false, value: event });
    else if (this.#events.push(event) > longestQueue) this.#events.shift();
  }

  #end(error: MemioError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (error !== undefined && waiting.length === 0) this.#error = error;
    for (const { resolve, reject } of waiting)
      if (error === undefined) resolve({ done: true, value: undefined });
      else reject(error);
  }
}
