// SPDX-License-Identifier: MIT
// chrome.webview as pages of WebView2 know it: shared buffers that the application posts, and messages both ways.
//
// A posted buffer is a region that this page opens for itself, so posting gives it nothing that its grants don't. What the
// page gets is an ArrayBuffer of exactly the payload's length, over the shared memory. It can be detached and handed to a
// worker like any other, so the region stays open until the memory itself is let go (Handlers.windowGone), wherever that
// happens, and not just as long as this document has the object.
import { MemioError } from '../errors.js';
import { isClassic } from '../format.js';
import type { Memio } from '../memio.js';
import { isNativeError, type Native } from '../native.js';
import { defineProperty, detach, hasOwn, parseJson, toJson } from '../primordials.js';
import { type Region, regionInternals } from '../region.js';

/** How script may use a posted buffer; what the application calls it in its messages. */
export type PostedAccess = 'read-only' | 'read-write';

export class WebView2 {
  readonly #native: Native;
  readonly #memio: Memio;
  readonly #webview: WebView;
  /** Regions under buffers that the page has, by handle. */
  readonly #taken = new Map<number, Region>();

  constructor(native: Native, memio: Memio) {
    this.#native = native;
    this.#memio = memio;
    this.#webview = new WebView((json) => native.postWebMessage(json), this.#buffers);
  }

  readonly #buffers = new WeakSet<ArrayBuffer>();

  install(): void {
    // There is no `chrome` in WebKit; a page's own would come later than this.
    const chrome = { webview: this.#webview };
    defineProperty(globalThis, 'chrome', { value: chrome, writable: true, configurable: true, enumerable: true });
  }

  /** The application posts a region. `json` is empty if nothing comes with it. */
  async posted(post: number, name: string, access: PostedAccess, json: string): Promise<void> {
    try {
      const region = await this.#memio.open(name, { access: access === 'read-write' ? 'write' : 'read' });
      const taken = () => this.#native.taken(post);
      this.dispatch(this.#lend(region, access), json === '' ? undefined : json, taken, () => {
        region.close();
        this.#native.refusePost(post, 'io.memio.client.Disconnected', 'no listener of the page took the buffer');
      });
    } catch (error) {
      const { name: errorName, message } = error as Error;
      this.#native.refusePost(post, errorName, message);
    }
  }

  /** A message from the application. */
  message(json: string): void {
    const event = new MessageEvent('message', { data: parseJson(json) });
    defineProperty(event, 'source', { value: this.#webview, enumerable: true });
    this.#webview.dispatchEvent(event);
  }

  /** The memory under a buffer of this region's has been let go, in whatever thread it was. */
  windowGone(handle: number): void {
    this.#taken.get(handle)?.close();
    this.#taken.delete(handle);
  }

  /** The document goes; its regions are closed already. */
  forget(): void {
    for (const region of this.#taken.values()) region.close();
    this.#taken.clear();
  }

  /**
   * Fires sharedbufferreceived. `make` gives the buffer when it is first asked for; then `taken` is called, or
   * `untaken` if nobody can ask any more.
   */
  dispatch(make: () => ArrayBuffer, json: string | undefined, taken?: () => void, untaken?: () => void): void {
    const offer = new Offer(() => {
      const buffer = make();
      this.#buffers.add(buffer);
      return buffer;
    }, taken, untaken);
    const event = new SharedBufferReceivedEvent(offer, readableData(json), this.#webview);
    if (untaken !== undefined) offer.watch(event);
    this.#webview.dispatchEvent(event);
  }

  #lend(region: Region, access: PostedAccess): () => ArrayBuffer {
    const { handle, memory, reader } = regionInternals.partsOf(region);
    const { geometry } = memory;
    if (access === 'read-write' && !isClassic(region.info)) {
      region.close();
      throw new MemioError(
        'io.memio.client.Misuse',
        `The region ${region.name} has ${geometry.slots} slots, and a read-write buffer needs a region with one: what is ` +
          `written into it is there for all at once. Create the region with one slot, or post it read-only.`,
      );
    }
    // One slot: the same memory for good, all of it. Several: the latest publish, leased until the region is closed.
    const { slot, length } = isClassic(region.info)
      ? { slot: 0, length: geometry.capacity }
      : ((leased) => ({ slot: leased.slot, length: leased.payload.length }))(reader.lease());
    return () => {
      const window = this.#native.window(handle, slot * geometry.stride + geometry.headerSize, length);
      if (isNativeError(window)) throw new MemioError(window.error, window.message);
      this.#taken.set(handle, region);
      return window;
    };
  }
}

/** A buffer that is offered with an event: made once, when it is first asked for. */
class Offer {
  readonly #make: () => ArrayBuffer;
  readonly #taken: (() => void) | undefined;
  readonly #untaken: (() => void) | undefined;
  #buffer: ArrayBuffer | undefined;

  constructor(make: () => ArrayBuffer, taken?: () => void, untaken?: () => void) {
    this.#make = make;
    this.#taken = taken;
    this.#untaken = untaken;
  }

  take(): ArrayBuffer {
    if (this.#buffer === undefined) {
      this.#buffer = this.#make();
      forgottenOffers.unregister(this);
      this.#taken?.();
    }
    return this.#buffer;
  }

  /** Says so when the event is gone without having been used. */
  watch(event: Event): void {
    if (this.#untaken !== undefined) forgottenOffers.register(event, this.#untaken, this);
  }
}

const forgottenOffers = new FinalizationRegistry<() => void>((untaken) => untaken());

class SharedBufferReceivedEvent extends Event {
  /** What the application sent along, parsed; undefined if nothing. */
  readonly additionalData: unknown;
  readonly source: EventTarget;
  /** The buffer, the same one each time. Works without the event: `const { getBuffer } = event`. */
  readonly getBuffer: () => ArrayBuffer;

  constructor(offer: Offer, additionalData: unknown, source: EventTarget) {
    super('sharedbufferreceived');
    this.additionalData = additionalData;
    this.source = source;
    this.getBuffer = () => offer.take();
  }
}

/**
 * The parsed JSON, as WebView2 gives it. MemioTauri's guide has pages call JSON.parse on it; so turned into a string an
 * object is its JSON, which no page that expects an object notices.
 */
function readableData(json: string | undefined): unknown {
  if (json === undefined) return undefined;
  const data: unknown = parseJson(json);
  if (typeof data === 'object' && data !== null && !hasOwn(data, 'toString'))
    defineProperty(data, 'toString', { value: () => json, writable: true, configurable: true });
  return data;
}

class WebView extends EventTarget {
  readonly #send: (json: string) => void;
  readonly #buffers: WeakSet<ArrayBuffer>;

  constructor(send: (json: string) => void, buffers: WeakSet<ArrayBuffer>) {
    super();
    this.#send = send;
    this.#buffers = buffers;
  }

  /** Sends the application anything that JSON can say. */
  postMessage(message: unknown): void {
    const json = toJson(message);
    if (json === undefined) throw new TypeError('postMessage() takes what JSON can say: no function, no symbol, not undefined.');
    this.#send(json);
  }

  /** Ends the page's use of a buffer: it is detached, and its memory given back. */
  releaseBuffer(buffer: ArrayBuffer): void {
    if (!this.#buffers.has(buffer))
      throw new TypeError('releaseBuffer() takes an ArrayBuffer that came with a sharedbufferreceived event.');
    try {
      detach(buffer);
    } catch {
      // Released before, or sent to a worker, which has it now.
    }
  }
}

