// SPDX-License-Identifier: MIT
// What a page finds as `memio`.
import type { Access, Layout, Lifetime, Region as RegionInfo, StatReply, WatchReply } from '../generated/protocol.js';
import { Calls, type CommandFunction, type IncomingAttachment, type InvokeOptions, type MessageFunction } from './calls.js';
import { Commands } from './compat/commands.js';
import { MemioTauri } from './compat/memio_tauri.js';
import { type PostedAccess, WebView2 } from './compat/webview2.js';
import { MemioError } from './errors.js';
import { geometryOf } from './format.js';
import { isNativeError, type Handlers, type Native, type Opened, type Rejected } from './native.js';
import { Buffer, freeze, parseJson, Weak } from './primordials.js';
import { ReadWaits } from './read_waits.js';
import { describe } from './publishing.js';
import { Region, regionInternals, type RegionOwner } from './region.js';
import { RegionMemory } from './region_memory.js';
import { needSharedBuffers, SharedHandle } from './shared.js';
import type { StreamReader, StreamWriter } from './stream.js';
import { type StreamOptions, Streams } from './stream_page.js';
import { type Mapping, mapInto } from './wasm.js';
import { Watch, watchInternals, type WatchOptions } from './watch.js';

/** The longest ArrayBuffer that JavaScriptCore makes. */
const longestBuffer = 2 ** 32;

/**
 * How often wait() looks for itself. It watches as well, but a page may be allowed to read a region and not to watch for it, and memiod
 * does not say so: the watch is silent then.
 */
const lookAgainAfter = 250;

/** Bytes behind the control memory, for what the extension tells the runtime. */
const roomForWords = 64;

const { setTimeout } = globalThis;

export interface OpenOptions {
  /** `read` unless told otherwise. */
  access?: Access;
}

export interface WaitOptions extends OpenOptions {
  /** Milliseconds after which to give up, with `io.memio.client.TimedOut`; for ever unless told otherwise. */
  timeout?: number;
}

export interface CreateOptions {
  /** Payload bytes that a slot can hold. Costs nothing until it is touched. */
  capacity: number;
  /** 1 for a classic region, 2 to 64 for a snapshot region; 4 unless told otherwise. */
  slots?: number;
  layout?: Layout;
  lifetime?: Lifetime;
  /** Everybody asks for huge pages: for regions of many mebibytes, of which all is used. Slots are then multiples of 2 MiB. */
  hugePages?: boolean;
  /** Milliseconds without a publish after which memiod gives the memory of stale slots back. Not for regions with one slot. */
  shrinkAfter?: number;
}

/**
 * Named regions of memory, shared with native programs and other pages.
 *
 * All promises reject with a MemioError. What the application does not grant this page does not exist for it
 * (`io.memio.NoSuchRegion`); without a running memiod they reject with `io.memio.client.Disconnected`.
 *
 * Fires `disconnected` when memiod goes away, and `reconnected` when it is back. Regions that are open go on working in between
 * and stay open; there is nothing that has to be done then. Fires `reconnected` also when the user has come back to a page that
 * WebKit had kept, and its regions are open again.
 */
export interface Memio extends EventTarget {
  open(name: string, options?: OpenOptions): Promise<Region>;
  /** Makes a region and opens it for writing. */
  create(name: string, options: CreateOptions): Promise<Region>;
  /** Opens a region as soon as there is one of that name: at once with the right `watch`, within a quarter of a second without. */
  wait(name: string, options?: WaitOptions): Promise<Region>;
  /** The regions that this page may read or watch, by name: those that match `pattern`, if there is one. */
  list(pattern?: string): Promise<RegionInfo[]>;
  stat(name: string): Promise<StatReply>;
  /** Removes the name. Those who have the region open keep it. */
  remove(name: string): Promise<void>;
  /** What happens to the regions that this page may watch, and whose names match `pattern` if there is one. */
  watch(pattern?: string, options?: WatchOptions): Watch;
  /**
   * One end of a stream, in which any number of bytes go from one program to another, in order and without loss, at the reader's pace.
   * It is made of regions, `<name>__ctrl` and `<name>__data_0` and so on, that have to be granted: who reads needs `read` and `write`, who
   * makes it `create`, and `remove` if the names are to go before the document does.
   *
   * Errors: NoSuchRegion if there is none and none is to be made, RegionExists if there is one already, Busy if somebody has this end; Corrupt;
   * TimedOut.
   */
  stream(name: string, options: StreamOptions & { access: 'write' }): Promise<StreamWriter>;
  stream(name: string, options?: StreamOptions & { access?: 'read' }): Promise<StreamReader>;
  /**
   * Makes a region part of a wasm module's memory, at a multiple of the page size (4,096 bytes on most machines). What was there is
   * hidden until `unmap()`, and then zero. The memory must not be able to move: its maximum equals its size, or it is shared.
   * Errors: Misuse, System.
   */
  mapInto(memory: WebAssembly.Memory, byteOffset: number, region: Region): Mapping;
  /**
   * Calls a command that a native program or another page handles, and gives its result. Both are what JSON can say, and anywhere in them
   * bytes (Uint8Array and its like) and open regions, which the other side then has open too.
   *
   * Errors: the handler's own, with its `name`, `message` and `details`, and `rejected` true; NoSuchCommand, HandlerGone, CallTimedOut.
   *
   * Names that begin with `plugin:memio|` are MemioTauri's: COMPATIBILITY.md has them.
   */
  invoke(command: string, args?: unknown, options?: InvokeOptions): Promise<unknown>;
  /**
   * Handles a command, until the function that it gives is called. If it ends otherwise (another program took the command while memiod was
   * away), that is reported as an uncaught error. Errors: CommandExists, PermissionDenied.
   */
  handle(command: string, run: CommandFunction): Promise<() => void>;
  /** Sends a message to all that listen to the topic. Nobody waits for who is slow. */
  emit(topic: string, payload?: unknown): Promise<void>;
  /** Listens to the topics that match, until the function that it gives is called. Reports an end as handle() does. */
  listen(pattern: string, run: MessageFunction): Promise<() => void>;
  /** The same for the first message only. */
  once(pattern: string, run: MessageFunction): Promise<() => void>;
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
  readonly #held = new Set<Region>();
  // What workers have, by handle, and which region each came from.
  readonly #shared = new Map<number, { readonly handle: SharedHandle; readonly region: Region }>();
  readonly #watches = new Map<number, { readonly watch: Watch; readonly begin: () => void }>();
  /** Regions that were open when the document was left, and are not again. */
  readonly #left = new Set<Region>();
  /** How often it was left. */
  #departures = 0;
  readonly #forgotten: FinalizationRegistry<number>;
  #lastRequest = 0;
  readonly #streams: Streams;
  readonly #calls: Calls;
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
      open: (name: string, options?: OpenOptions) => this.#openRegion(name, options),
      create: (name: string, options: CreateOptions) => this.#createRegion(name, options),
      wait: (name: string, options?: WaitOptions) => this.#waitForRegion(name, options),
      list: (pattern?: string) => this.#ask<RegionInfo[]>((n) => native.list(n, pattern)),
      stat: (name: string) => this.#ask<StatReply>((n) => native.stat(n, name)),
      remove: (name: string) => this.#ask<unknown>((n) => native.remove(n, name)).then(() => undefined),
      watch: (pattern?: string, options?: WatchOptions) => this.#watch(pattern, options),
      stream: (name: string, options?: StreamOptions) => this.#stream(name, options) as Promise<never>,
      mapInto: (memory: WebAssembly.Memory, byteOffset: number, region: Region) =>
        mapInto(native, memory, byteOffset, region),
      invoke: (command: string, args?: unknown, options?: InvokeOptions) =>
        commands.has(command) ? commands.run(command, args) : this.#calls.invoke(command, args, options),
      handle: (command: string, run: CommandFunction) => this.#calls.handle(command, run),
      emit: (topic: string, payload?: unknown) => this.#calls.emit(topic, payload),
      listen: (pattern: string, run: MessageFunction) => this.#calls.listen(pattern, run),
      once: (pattern: string, run: MessageFunction) => this.#calls.listen(pattern, run, true),
      Region,
      MemioError,
    };
    this.memio = freeze(Object.assign(new EventTarget(), api));
    this.#streams = new Streams(native, (send) => this.#ask(send));
    this.#calls = new Calls(native, {
      ask: (send) => this.#ask(send),
      number: () => ++this.#lastRequest,
      adopt: (opened) => this.#adopt(opened),
    });
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
    else if (typeof value === 'object' && value !== null) waiting.reject(rejectionOf(value as Rejected));
    else waiting.reject(new MemioError(error, String(value)));
  }

  called(number: number, call: number, json: string, attachments: readonly IncomingAttachment[]): void {
    this.#calls.called(number, call, json, attachments);
  }
  callCancelled(call: number): void {
    this.#calls.callCancelled(call);
  }
  message(number: number, topic: string, json: string, lost: number): void {
    this.#calls.message(number, topic, json, lost);
  }
  standingEnded(number: number, error: string, message: string): void {
    this.#calls.ended(number, new MemioError(error, message));
  }

  watched(number: number, error: string, value: WatchReply | string): void {
    const watch = this.#watches.get(number)?.watch;
    if (watch === undefined) return;
    if (error === '') return watchInternals.tell(watch, value as WatchReply);
    this.#watches.delete(number);
    watchInternals.end(watch, new MemioError(error, String(value)));
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

  hold(region: Region): void {
    this.#held.add(region);
  }

  closed(handle: number, region: Region): void {
    this.#regions.delete(handle);
    this.#held.delete(region);
    this.#forgotten.unregister(region);
    for (const [shared, { region: from }] of [...this.#shared]) if (from === region) this.#closeShared(shared);
  }

  async share(region: Region): Promise<SharedArrayBuffer> {
    needSharedBuffers(this.#native);
    const { name, generation } = region.info;
    const opened = await this.#ask<Opened>((n) => this.#native.open(n, name, region.access));
    try {
      if (region.closed) throw new MemioError('io.memio.client.Misuse', `The region ${name} has been closed; open it again.`);
      if (opened.info.generation !== generation)
        throw new MemioError('io.memio.NoSuchRegion', `${name} has been removed, and another has its name now; open that.`);
      const handle = new SharedHandle(this.#native, opened, (number) => this.#closeShared(number));
      this.#shared.set(opened.handle, { handle, region });
      this.hold(region);
      return handle.buffer;
    } catch (error) {
      this.#native.close(opened.handle);
      throw error;
    }
  }

  disconnected(): void {
    this.memio.dispatchEvent(new Event('disconnected'));
  }

  reconnected(): void {
    this.memio.dispatchEvent(new Event('reconnected'));
    void this.#memioTauri?.look();
  }

  /** The document goes: all memory is given back. `kept` says whether the user may come back to it. */
  suspend(kept: boolean): void {
    this.#commands.forget();
    this.#streams.suspend();
    this.#calls.suspend(kept);
    this.#memioTauri?.forget();
    this.#webview2?.forget();
    ++this.#departures;
    for (const reference of this.#regions.values()) {
      const region = reference.deref();
      if (region === undefined) continue;
      this.#forgotten.unregister(region);
      if (!kept) {
        regionInternals.end(region);
        continue;
      }
      regionInternals.leave(region);
      this.#left.add(region);
    }
    this.#regions.clear();
    this.#held.clear();
    for (const { handle } of this.#shared.values()) handle.end();
    this.#shared.clear();
    this.#readWaits.forget();
    const requests = [...this.#requests.values()];
    this.#requests.clear();
    this.#native.suspend();
    const reason = new MemioError('io.memio.client.Disconnected', 'The document was left; ask again when it is shown.');
    for (const request of requests) request.reject(reason);
    if (kept) return;
    for (const { watch } of this.#watches.values()) watchInternals.end(watch, reason);
    this.#watches.clear();
  }

  /** The document is back: what was open is opened again, as far as it is still there. */
  resume(): void {
    this.#native.resume();
    for (const { begin } of this.#watches.values()) begin();
    this.#calls.resume();
    void Promise.all([...this.#left].map((region) => this.#openAgain(region))).then(() => this.reconnected());
  }

  async #openAgain(region: Region): Promise<void> {
    const { name, generation } = region.info;
    const departures = this.#departures;
    try {
      const opened = await this.#ask<Opened>((n) => this.#native.open(n, name, region.access));
      try {
        if (opened.info.generation !== generation || !regionInternals.comeBack(region, opened.handle, this.#lay(opened)))
          throw new MemioError('io.memio.NoSuchRegion', `${name} has been removed, or closed.`);
        this.#keep(region, opened.handle);
      } catch (error) {
        this.#native.close(opened.handle);
        throw error;
      }
      this.#left.delete(region);
    } catch {
      if (departures !== this.#departures) return; // left again: the next time, then
      this.#left.delete(region);
      regionInternals.end(region);
    }
  }

  #ask<T>(send: (request: number) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const request = ++this.#lastRequest;
      this.#requests.set(request, { resolve: resolve as (value: unknown) => void, reject });
      send(request);
    });
  }

  // What options have is read first, because it may be code of the page's.
  async #openRegion(name: string, options: OpenOptions = {}): Promise<Region> {
    const { access = 'read' } = options;
    return this.#adopt(await this.#ask<Opened>((n) => this.#native.open(n, name, access)));
  }

  async #createRegion(name: string, options: Partial<CreateOptions> = {}): Promise<Region> {
    const { capacity, slots, layout, lifetime, hugePages, shrinkAfter } = options;
    return this.#adopt(
      await this.#ask<Opened>((n) =>
        this.#native.create(n, name, capacity as number, slots, layout, lifetime, hugePages, shrinkAfter),
      ),
    );
  }

  async #stream(name: string, options: StreamOptions = {}): Promise<StreamReader | StreamWriter> {
    const { access = 'read', create = false, timeout = 0 } = options;
    if (access !== 'read' && access !== 'write')
      throw new MemioError('io.memio.client.Misuse', `access is 'read' or 'write', not ${describe(access)}.`);
    if (create) return this.#streams.create(name, access, create === true ? {} : create);
    const join = (): Promise<StreamReader | StreamWriter> => this.#streams.join(name, access);
    return timeout > 0 ? this.#whenThere(`${name}__ctrl`, timeout, join) : join();
  }

  async #waitForRegion(name: string, options: WaitOptions = {}): Promise<Region> {
    const { timeout = Infinity, access = 'read' } = options;
    return this.#whenThere(name, timeout, () => this.#openRegion(name, { access }));
  }

  /** What `open` gives as soon as the region is there. */
  async #whenThere<T>(name: string, timeout: number, open: () => Promise<T>): Promise<T> {
    const end = Date.now() + timeout;
    const watch = this.#watch(name);
    try {
      for (;;) {
        // Whatever happens, and if the watch fails too: what counts is whether it can be opened.
        const news = watch.next().then(ignore, ignore);
        try {
          return await open();
        } catch (error) {
          if (!(error instanceof MemioError) || error.name !== 'io.memio.NoSuchRegion') throw error;
        }
        const left = end - Date.now();
        if (!(left > 0))
          throw new MemioError('io.memio.client.TimedOut', `There was no region ${name} for this page within ${timeout} ms.`);
        await Promise.race([news, new Promise((resolve) => setTimeout(resolve, Math.min(left, lookAgainAfter)))]);
      }
    } finally {
      watch.close();
    }
  }

  #watch(pattern?: string, options: WatchOptions = {}): Watch {
    const versions = Boolean(options.versions);
    const number = ++this.#lastRequest;
    const watch = new Watch(() => {
      this.#watches.delete(number);
      this.#native.unwatch(number);
    });
    const begin = (): void => this.#native.watch(number, pattern, versions);
    this.#watches.set(number, { watch, begin });
    begin();
    return watch;
  }

  #closeShared(number: number): void {
    const shared = this.#shared.get(number);
    if (shared === undefined) return;
    this.#shared.delete(number);
    this.#native.close(number);
    shared.handle.end();
  }

  #adopt(opened: Opened): Region {
    const { handle, access, info } = opened;
    try {
      const region = regionInternals.make(this.#native, { handle, access, info, memory: this.#lay(opened), owner: this });
      this.#keep(region, handle);
      return region;
    } catch (error) {
      this.#native.close(handle);
      throw error;
    }
  }

  #keep(region: Region, handle: number): void {
    this.#regions.set(handle, new Weak(region));
    this.#forgotten.register(region, handle, region);
    this.#readWaits.expect(region);
  }

  /** Lays a region's memory under array buffers of this document. */
  #lay(opened: Opened): RegionMemory {
    const native = this.#native;
    const { pageSize } = native;
    const { handle, info, cell } = opened;
    // One page more than the memory, because the buffer need not start on a page; and some words of ours behind it.
    const data = allocate(opened.dataSize + pageSize, info);
    const control = allocate(opened.controlSize + pageSize + roomForWords, info);
    const aliased = native.alias(handle, data, control);
    if (isNativeError(aliased)) throw new MemioError(aliased.error, aliased.message);
    const mend = (): void => {
      const failed = native.mend(handle);
      if (isNativeError(failed)) throw new MemioError(failed.error, failed.message);
    };
    return new RegionMemory(geometryOf(info), { data, control, pageSize, cell, mend, ...aliased });
  }
}

function ignore(): void {}

function rejectionOf({ rejection, message, details }: Rejected): MemioError {
  return new MemioError(rejection, message, { details: details === '' ? undefined : parseJson(details) });
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
