// SPDX-License-Identifier: MIT
// The page's side of a region that a worker has: see mailbox.ts.
import type { Access, Region as RegionInfo } from '../generated/protocol.js';
import { MemioError } from './errors.js';
import {
  descriptionOffset,
  descriptionRoom,
  headSize,
  mailboxMagic,
  operation,
  putText,
  textOffset,
  textRoom,
  word,
  working,
} from './mailbox.js';
import { isNativeError, type Native, type NativeError, type Opened } from './native.js';
import { Bytes, SharedBuffer, SignedWords } from './primordials.js';

const { add, compareExchange, load, notify, store, waitAsync } = Atomics as typeof Atomics & {
  waitAsync(
    words: Int32Array,
    index: number,
    value: number,
  ): { async: false; value: string } | { async: true; value: Promise<string> };
};

/** What a worker must know of its region. */
export interface Description {
  readonly info: RegionInfo;
  readonly access: Access;
  readonly cell: number;
  readonly pageSize: number;
  readonly dataOffset: number;
}

export function needSharedBuffers(native: Native): void {
  if (native.options.workers && SharedBuffer !== undefined) return;
  throw new MemioError(
    'io.memio.PermissionDenied',
    'Workers may not have regions of this page. The application turns that on with memio_webkit_enable(memio, origins, "workers", ...), ' +
      'or "workers": true in its policy file, before it starts its first web view.',
  );
}

/** A handle that a worker uses. */
export class SharedHandle {
  readonly buffer: SharedArrayBuffer;
  readonly #native: Native;
  readonly #handle: number;
  readonly #head: Int32Array;
  readonly #onclose: (handle: number) => void;

  /** Lays the memory of what was opened under a SharedArrayBuffer, and serves it from now on. */
  constructor(native: Native, opened: Opened, onclose: (handle: number) => void) {
    this.#native = native;
    this.#handle = opened.handle;
    this.#onclose = onclose;
    const { pageSize } = native;
    const size = headSize + pageSize + opened.dataSize + opened.controlSize;
    try {
      this.buffer = new SharedBuffer!(size);
    } catch {
      throw new MemioError('io.memio.OutOfResources', `WebKit had no SharedArrayBuffer of ${size} bytes for ${opened.info.name}.`);
    }
    this.#head = new SignedWords(this.buffer, 0, headSize / 4);
    const offset = native.share(opened.handle, new Bytes(this.buffer), headSize, word.stored * 4);
    if (isNativeError(offset)) throw new MemioError(offset.error, offset.message);
    this.#describe({ info: opened.info, access: opened.access, cell: opened.cell, pageSize, dataOffset: offset });
    void this.#serve();
  }

  #changed(): void {
    add(this.#head, word.changes, 1);
    notify(this.#head, word.changes);
  }

  /** The handle is closed: tells the worker, and ends the service. */
  end(): void {
    store(this.#head, word.closed, 1);
    for (const index of [word.request, word.answered, word.changes]) {
      add(this.#head, index, 1); // else who is about to sleep would
      notify(this.#head, index);
    }
  }

  get #closed(): boolean {
    return load(this.#head, word.closed) !== 0;
  }

  #describe(description: Description): void {
    const text = JSON.stringify(description);
    store(this.#head, word.descriptionLength, putText(this.buffer, descriptionOffset, descriptionRoom, text));
    store(this.#head, word.magic, mailboxMagic);
  }

  async #serve(): Promise<void> {
    while (!this.#closed) {
      const waiting = waitAsync(this.#head, word.request, operation.none);
      if (waiting.async) await waiting.value;
      const asked = load(this.#head, word.request);
      // Taken back, or nonsense: whoever writes other things here gets no service.
      if (this.#closed || asked < operation.begin || asked > operation.close) {
        if (asked !== operation.none) compareExchange(this.#head, word.request, asked, operation.none);
        continue;
      }
      if (compareExchange(this.#head, word.request, asked, working) === asked) this.#answer(asked);
    }
  }

  #answer(asked: number): void {
    let result: number | NativeError | undefined;
    try {
      result = this.#do(asked);
    } catch (error) {
      result = { error: 'io.memio.client.System', message: String(error) };
    }
    const failed = isNativeError(result);
    if (isNativeError(result))
      store(this.#head, word.textLength, putText(this.buffer, textOffset, textRoom, `${result.error}\n${result.message}`));
    const number = typeof result === 'number' ? result : 0;
    store(this.#head, word.failed, failed ? 1 : 0);
    store(this.#head, word.result, number | 0);
    store(this.#head, word.resultHigh, (number / 2 ** 32) | 0);
    store(this.#head, word.request, operation.none);
    add(this.#head, word.answered, 1);
    notify(this.#head, word.answered);
  }

  #do(asked: number): number | NativeError | undefined {
    const native = this.#native;
    const handle = this.#handle;
    const low = load(this.#head, word.argument) >>> 0;
    const high = load(this.#head, word.argumentHigh) >>> 0;
    switch (asked) {
      case operation.begin:
        return native.begin(handle, high * 2 ** 32 + low);
      case operation.commit:
        return load(this.#head, word.hasVersion) !== 0 ? native.commit(handle, low, high) : native.commit(handle);
      case operation.abort:
        return void native.abort(handle);
      case operation.subscribe:
        return native.subscribe(handle, 0, () => this.#changed());
      case operation.wake:
        return void native.wake(handle);
      case operation.mend:
        return native.mend(handle);
      default:
        return void this.#onclose(handle);
    }
  }
}
