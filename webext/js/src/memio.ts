// SPDX-License-Identifier: MIT
// What a page finds as `memio`.
import type { Access, Layout, Lifetime, Region as RegionInfo, StatReply } from '../generated/protocol.js';
import { Commands } from './compat/commands.js';
import { MemioTauri } from './compat/memio_tauri.js';
import { type PostedAccess, WebView2 } from './compat/webview2.js';
import { MemioError } from './errors.js';
import { geometryOf } from './format.js';
import { isNativeError, type Handlers, type Native, type Opened } from './native.js';
import { Buffer } from './primordials.js';
import { ReadWaits } from './read_waits.js';
import { Region, type RegionOwner } from './region.js';
import { RegionMemory } from './region_memory.js';

/** The longest ArrayBuffer that JavaScriptCore makes. */
const longestBuffer = 2 ** 32;

export interface OpenOptions {
  /** `read` unless told otherwise. */
  access?: Access;
}

export interface CreateOptions {
  /** Payload bytes that a slot can hold. Costs nothing until it is touched. */
  capacity: number;
  /** 1 for a classic region, 2 to 64 for a snapshot region; 4 unless told otherwise. */
  slots?: number;
  layout?: Layout;
  lifetime?: Lifetime;
}

/**
 * Named regions of memory, shared with native programs and other pages.
 *
 * All promises reject with a MemioError. What the application does not grant this page does not exist for it
 * (`io.memio.NoSuchRegion`); without a running memiod they reject with `io.memio.client.Disconnected`.
 *
 * Fires `disconnected` when memiod goes away, and `reconnected` when it is back. Regions that are open go on working in between
 * and stay open; there is nothing that has to be done then.
 */
export interface Memio extends EventTarget {
  open(name: string, options?: OpenOptions): Promise<Region>;
  /** Makes a region and opens it for writing. */
  create(name: string, options: CreateOptions): Promise<Region>;
  /** The regions that this page may read or watch, by name: those that match `pattern`, if there is one. */
  list(pattern?: string): Promise<RegionInfo[]>;
  stat(name: string): Promise<StatReply>;
  /** Removes the name. Those who have the region open keep it. */
  remove(name: string): Promise<void>;
  /**
   * Runs a command by the name that pages of MemioTauri know: `plugin:memio|` and one of prepare_upload_buffer,
   * commit_upload_buffer, send_download_buffer, create_shared_buffer_windows, list_shared_buffers_windows, has_shared_buffer.
   */
  invoke(command: string, args?: Record<string, unknown>): Promise<unknown>;
  readonly Region: typeof Region;
  readonly MemioError: typeof MemioError;
}

interface Request {
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: MemioError) => void;
}

/** Everything of one document: its `memio`, its requests that wait for an answer, and the regions it has open. */
export class DocumentRuntime implements Handlers, RegionOwner {
  readonly #native: Native;
  readonly #requests = new Map<number, Request>();
  // Weakly, so that a region that nobody holds any more is closed; but one with listeners is held.
  readonly #regions = new Map<number, WeakRef<Region>>();
  readonly #listened = new Set<Region>();
  readonly #forgotten: FinalizationRegistry<number>;
  #lastRequest = 0;
  readonly #readWaits: ReadWaits;
  readonly #commands: Commands;
  readonly #memioTauri: MemioTauri | undefined;
  readonly #webview2: WebView2 | undefined;
  readonly memio: Memio;

  constructor(native: Native) {
    this.#native = native;
    this.#forgotten = new FinalizationRegistry((handle) => {
      if (this.#regions.delete(handle)) native.close(handle);
    });
    const api: Omit<Memio, keyof EventTarget> = {
      open: (name: string, options: OpenOptions = {}) => this.#openRegion((n) => native.open(n, name, options.access ?? 'read')),
      create: (name: string, options: CreateOptions) =>
        this.#openRegion((n) =>
          native.create(n, name, options?.capacity, options?.slots, options?.layout, options?.lifetime),
        ),
      list: (pattern?: string) => this.#ask<RegionInfo[]>((n) => native.list(n, pattern)),
      stat: (name: string) => this.#ask<StatReply>((n) => native.stat(n, name)),
      remove: (name: string) => this.#ask<unknown>((n) => native.remove(n, name)).then(() => undefined),
      invoke: (command: string, args?: Record<string, unknown>) => commands.run(command, args),
      Region,
      MemioError,
    };
    this.memio = Object.freeze(Object.assign(new EventTarget(), api));
    this.#readWaits = new ReadWaits((number) => native.taken(number));
    const { compatibility } = native.options;
    this.#memioTauri = compatibility.includes('memio-tauri') ? new MemioTauri(native, this.memio) : undefined;
    this.#webview2 = compatibility.includes('webview2') ? new WebView2(native, this.memio) : undefined;
    const commands = (this.#commands = new Commands(this.memio, this.#webview2));
    void this.#memioTauri?.look();
    this.#webview2?.install();
  }

  settle(request: number, error: string, value: unknown): void {
    const waiting = this.#requests.get(request);
    if (waiting === undefined) return;
    this.#requests.delete(request);
    if (error === '') waiting.resolve(value);
    else waiting.reject(new MemioError(error, String(value)));
  }

  changed(handle: number): void {
    this.#regions.get(handle)?.deref()?.dispatchEvent(new Event('change'));
  }

  windowGone(handle: number): void {
    this.#webview2?.windowGone(handle);
  }

  posted(post: number, name: string, access: string, json: string): void {
    if (this.#webview2 !== undefined) void this.#webview2.posted(post, name, access as PostedAccess, json);
    else
      this.#native.refusePost(
        post,
        'io.memio.PermissionDenied',
        'the policy does not turn the compatibility "webview2" on for this document, so it has no chrome.webview',
      );
  }

  awaitRead(number: number, name: string, sequence: number): void {
    const open = [...this.#regions.values()].map((reference) => reference.deref());
    this.#readWaits.add({ number, name, sequence }, open.filter((region) => region?.name === name) as Region[]);
  }

  read(region: Region, sequence: number): void {
    this.#readWaits.read(region, sequence);
  }

  webMessage(json: string): void {
    this.#webview2?.message(json);
  }

  listening(_handle: number, region: Region): void {
    this.#listened.add(region);
  }

  closed(handle: number, region: Region): void {
    this.#regions.delete(handle);
    this.#listened.delete(region);
    this.#forgotten.unregister(region);
  }

  disconnected(): void {
    this.memio.dispatchEvent(new Event('disconnected'));
  }

  reconnected(): void {
    this.memio.dispatchEvent(new Event('reconnected'));
    void this.#memioTauri?.look();
  }

  /** The document goes, perhaps to come back: everything that is open ends. */
  suspend(): void {
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    for (const region of this.#regions.values()) region.deref()?.closedByNative();
    this.#regions.clear();
    this.#listened.clear();
    this.#readWaits.forget();
    this.#commands.forget();
    this.#memioTauri?.forget();
    this.#webview2?.forget();
    this.#native.suspend();
    const reason = new MemioError('io.memio.client.Disconnected', 'The document was left; ask again when it is shown.');
    for (const request of requests) request.reject(reason);
  }

  resume(): void {
    this.#native.resume();
    void this.#memioTauri?.look();
  }

  #ask<T>(send: (request: number) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const request = ++this.#lastRequest;
      this.#requests.set(request, { resolve: resolve as (value: unknown) => void, reject });
      send(request);
    });
  }

  async #openRegion(send: (request: number) => void): Promise<Region> {
    const opened = await this.#ask<Opened>(send);
    try {
      return this.#lay(opened);
    } catch (error) {
      this.#native.close(opened.handle);
      throw error;
    }
  }

  /** Lays a region's memory under array buffers of this document. */
  #lay(opened: Opened): Region {
    const native = this.#native;
    const { pageSize } = native;
    const { handle, access, info, cell } = opened;
    // One page more than the memory, because the buffer need not start on a page.
    const data = allocate(opened.dataSize + pageSize, info);
    const control = allocate(opened.controlSize + pageSize, info);
    const aliased = native.alias(handle, data, control);
    if (isNativeError(aliased)) throw new MemioError(aliased.error, aliased.message);
    const memory = new RegionMemory(geometryOf(info), { data, control, pageSize, cell, ...aliased });
    const region = Region.make(native, { handle, access, info, memory, owner: this });
    this.#regions.set(handle, new WeakRef(region));
    this.#forgotten.register(region, handle, region);
    this.#readWaits.expect(region);
    return region;
  }
}

function allocate(size: number, info: RegionInfo): ArrayBuffer {
  if (size > longestBuffer)
    throw new MemioError(
      'io.memio.LimitExceeded',
      `The region ${info.name} takes up ${size} bytes in the page (${info.slots} slots of ${info.stride}), and WebKit makes ` +
        `no ArrayBuffer longer than ${longestBuffer}. Create it with fewer slots or a smaller capacity.`,
    );
  try {
    return new Buffer(size);
  } catch {
    throw new MemioError('io.memio.OutOfResources', `WebKit had no address space of ${size} bytes for ${info.name}.`);
  }
}
