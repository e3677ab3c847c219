// SPDX-License-Identifier: MIT
// The `change` events of a region and their listeners. They behave as DOM's, but are called from here: to a page that has slept
// DOM's own dispatch costs about as much as all else between a publish and its handler (bench/js_bench.cpp, notify).
import { DomEvent, microtask, now } from './primordials.js';

type Listener = EventListenerOrEventListenerObject;

interface Entry {
  readonly listener: Listener;
  readonly capture: boolean;
  readonly once: boolean;
  removed: boolean;
}

/** A `change` of `target`, as its listeners see it. */
class ChangeEvent extends DomEvent {
  readonly #target: EventTarget;
  #stopped = false;
  #time = 0;

  constructor(target: EventTarget) {
    super('change');
    this.#target = target;
  }
  /** When it was looked at first; it is made before it happens. */
  override get timeStamp(): number {
    return (this.#time ||= now());
  }
  override get target(): EventTarget {
    return this.#target;
  }
  override get currentTarget(): EventTarget {
    return this.#target;
  }
  override stopImmediatePropagation(): void {
    this.#stopped = true;
    super.stopImmediatePropagation();
  }
  get stopped(): boolean {
    return this.#stopped;
  }
}

const captures = (options: boolean | EventListenerOptions | undefined): boolean =>
  typeof options === 'object' && options !== null ? Boolean(options.capture) : Boolean(options);

export class ChangeListeners {
  /** Never changed, but replaced: a call goes through those that there were when it began. Those that capture come first. */
  #entries: readonly Entry[] = [];
  readonly #target: EventTarget;
  /** The event for the next change: made when there is time, not when a listener waits for it. */
  #next: ChangeEvent;

  constructor(target: EventTarget) {
    this.#target = target;
    this.#next = new ChangeEvent(target);
  }

  /** As EventTarget.addEventListener(). */
  add(listener: Listener | null, options?: boolean | AddEventListenerOptions): void {
    if (listener === null || listener === undefined) return;
    const capture = captures(options);
    const { once = false, signal } = typeof options === 'object' && options !== null ? options : {};
    if (signal?.aborted === true || this.#find(listener, capture) !== undefined) return;
    const entry = { listener, capture, once: Boolean(once), removed: false };
    const first = capture ? this.#entries.filter((other) => other.capture) : this.#entries;
    this.#entries = [...first, entry, ...this.#entries.slice(first.length)];
    signal?.addEventListener('abort', () => this.#remove(entry), { once: true });
  }

  /** As EventTarget.removeEventListener(). */
  remove(listener: Listener | null, options?: boolean | EventListenerOptions): void {
    const entry = listener === null ? undefined : this.#find(listener, captures(options));
    if (entry !== undefined) this.#remove(entry);
  }

  /** Tells all of a change. What a listener throws is reported as uncaught, and the next one is called. */
  call(): void {
    const entries = this.#entries;
    if (entries.length === 0) return;
    const event = this.#next;
    for (let i = 0; i < entries.length && !event.stopped; ++i) {
      const { listener, once, removed } = entries[i]!;
      if (removed) continue;
      if (once) this.#remove(entries[i]!);
      try {
        if (typeof listener === 'function') listener.call(this.#target, event);
        else listener.handleEvent(event);
      } catch (error) {
        microtask(() => {
          throw error;
        });
      }
    }
    this.#next = new ChangeEvent(this.#target);
  }

  #find(listener: Listener, capture: boolean): Entry | undefined {
    return this.#entries.find((entry) => entry.listener === listener && entry.capture === capture);
  }

  #remove(entry: Entry): void {
    entry.removed = true;
    this.#entries = this.#entries.filter((other) => other !== entry);
  }
}
