// SPDX-License-Identifier: MIT
// MemioTauri's commands, as pages call them: memio.invoke('plugin:memio|prepare_upload_buffer', {name, size}).
//
// They run in the page, with the page's own grants: none of them needs anything of the application. An upload's buffer is
// the page's alone until it is committed, so it is an ordinary ArrayBuffer; committing publishes a copy, as in MemioTauri.
//
// An upload stream is a stream whose reader is this document: it puts the bytes into the region where they belong, and
// publishes them when all are there.
import { MemioError } from '../errors.js';
import { isClassic } from '../format.js';
import type { Memio } from '../memio.js';
import { Buffer, Bytes, hasOwn, lengthOfBuffer, toJson } from '../primordials.js';
import type { Region } from '../region.js';
import type { StreamReader } from '../stream.js';
import type { WebView2 } from './webview2.js';

type Arguments = Record<string, unknown>;
type Command = (given: Arguments) => Promise<unknown>;

const prefix = 'plugin:memio|';

export class Commands {
  readonly #memio: Memio;
  readonly #webview2: WebView2 | undefined;
  /** What is being filled, by the region it is for. */
  readonly #uploads = new Map<string, ArrayBuffer>();
  /** Regions that the page has created: they last while somebody has them open, so it has. */
  readonly #created = new Set<Region>();

  constructor(memio: Memio, webview2: WebView2 | undefined) {
    this.#memio = memio;
    this.#webview2 = webview2;
  }

  /** Upload streams, by the region they are for: settled when all is published. */
  readonly #streams = new Map<string, Promise<void>>();

  /** The document goes. Uploads that were not committed end; regions come back with it, if it does. */
  forget(): void {
    this.#uploads.clear();
    this.#streams.clear();
  }

  /** Whether a command is one of these, or should be. */
  has(command: unknown): boolean {
    return typeof command === 'string' && command.startsWith(prefix);
  }

  async run(command: unknown, given: unknown): Promise<unknown> {
    const name = typeof command === 'string' && command.startsWith(prefix) ? command.slice(prefix.length) : '';
    const found = hasOwn(this.#table, name) ? this.#table[name] : undefined;
    if (found === undefined)
      throw misuse(
        `There is no command ${describe(command)}. There are: ${Object.keys(this.#table).map((key) => prefix + key).join(', ')}.`,
      );
    if (given !== undefined && (typeof given !== 'object' || given === null))
      throw misuse(`The arguments of ${prefix}${name} are an object, not ${describe(given)}.`);
    const all = (given ?? {}) as Arguments;
    // Clients of Tauri put them into one argument of that name where the command takes a structure.
    const { args = all } = all;
    return found((typeof args === 'object' && args !== null ? args : all) as Arguments);
  }

  readonly #table: Record<string, Command> = {
    create_shared_buffer_windows: async ({ name, size }) => {
      const capacity = wholeNumber(size, 'size');
      this.#created.add(await this.#memio.create(text(name), { capacity, slots: 1, lifetime: 'linger' }));
    },
    list_shared_buffers_windows: async () => (await this.#memio.list()).map((info) => info.name),
    has_shared_buffer: async ({ name }) => {
      const asked = text(name);
      return (await this.#memio.list()).some((info) => info.name === asked);
    },

    prepare_upload_buffer: async ({ name, size }) => {
      const webview2 = this.#needWebView2();
      const region = text(name);
      const bytes = wholeNumber(size, 'size');
      const buffer = allocate(region, bytes);
      this.#uploads.set(region, buffer);
      webview2.dispatch(() => buffer, toJson({ name: region, size: bytes, forUpload: true }));
      return { name: region, size: bytes, ready: true };
    },
    commit_upload_buffer: async ({ name, version, length }) => {
      const region = text(name);
      const bytes = wholeNumber(length, 'length');
      const label = wholeNumber(version, 'version');
      const buffer = this.#uploads.get(region);
      if (buffer === undefined)
        throw misuse(`No upload buffer was prepared for ${region}; invoke ${prefix}prepare_upload_buffer first.`);
      if (bytes > lengthOfBuffer(buffer))
        throw misuse(`${bytes} bytes are more than the upload buffer of ${region} has: ${lengthOfBuffer(buffer)}.`);
      const copy = new Bytes(buffer, 0, bytes);
      await this.#withRegion(region, 'write', (open) => open.write(copy, { version: label }));
      this.#uploads.delete(region);
    },
    start_upload_stream: async ({ name, totalLength, chunkSize, bufferCount, version }) => {
      const region = text(name);
      const length = wholeNumber(totalLength, 'totalLength');
      const label = wholeNumber(version, 'version');
      const geometry = { chunkSize: wholeNumber(chunkSize, 'chunkSize'), buffers: wholeNumber(bufferCount, 'bufferCount'), totalLength: length };
      const target = await this.#memio.open(region, { access: 'write' });
      try {
        if (length > target.info.capacity)
          throw new MemioError('io.memio.client.PayloadTooLarge', `${length} bytes are more than ${region} can hold: ${target.info.capacity}.`);
        const place = target.begin(length); // before there is a stream, which would wait for nobody if another is writing
        const stream = await this.#memio.stream(region, { access: 'read', create: geometry });
        const done = fill(target, place, stream, label).finally(() => target.close());
        done.catch(() => {}); // stop_upload_stream tells
        this.#streams.set(region, done);
      } catch (error) {
        target.close();
        throw error;
      }
      const buffer_names = Array.from({ length: geometry.buffers }, (_, i) => `${region}__data_${i}`);
      return { control_name: `${region}__ctrl`, buffer_names, capacity: geometry.buffers, entry_size: 24 };
    },
    stop_upload_stream: async ({ name }) => {
      const region = text(name);
      const done = this.#streams.get(region);
      if (done === undefined) throw misuse(`No upload stream was started for ${region}; invoke ${prefix}start_upload_stream first.`);
      this.#streams.delete(region);
      await done;
    },
    send_download_buffer: async ({ name }) => {
      const webview2 = this.#needWebView2();
      const region = text(name);
      const { data, version } = await this.#withRegion(region, 'read', readCopy);
      const size = data.length;
      const metadata = { name: region, bufferName: `download_${region}`, version, size, forDownload: true };
      webview2.dispatch(() => data.buffer, toJson(metadata));
      return { name: region, version, size, posted: true };
    },
  };

  #needWebView2(): WebView2 {
    if (this.#webview2 === undefined)
      throw misuse('Buffers are posted to chrome.webview; the application turns it on by the compatibility "webview2".');
    return this.#webview2;
  }

  async #withRegion<T>(name: string, access: 'read' | 'write', use: (region: Region) => T): Promise<T> {
    const region = await this.#memio.open(name, { access });
    try {
      return use(region);
    } finally {
      region.close();
    }
  }
}

/** Fills what a region's begin() gave from a stream of just so many bytes, and publishes it. */
async function fill(region: Region, place: Uint8Array, stream: StreamReader, version: number): Promise<void> {
  const { length } = place;
  try {
    for await (const { data, offset } of stream) {
      if (offset + data.length > length) throw misuse(`More came than the ${length} bytes that were said, for ${region.name}.`);
      place.set(data, offset);
    }
    if (stream.taken !== length) throw misuse(`Only ${stream.taken} of ${length} bytes came for ${region.name}.`);
  } catch (error) {
    if (!region.closed) region.abort();
    throw error;
  }
  region.commit({ version });
}

/** The latest publish in memory of its own. */
function readCopy(region: Region): { data: Uint8Array<ArrayBuffer>; version: number } {
  const snapshot = region.read();
  try {
    // What is read of a classic region is a copy already.
    const data = isClassic(region.info) ? snapshot.data : new Bytes(snapshot.data);
    return { data, version: snapshot.version };
  } finally {
    snapshot.release();
  }
}

function allocate(region: string, size: number): ArrayBuffer {
  try {
    return new Buffer(size);
  } catch {
    throw new MemioError('io.memio.OutOfResources', `WebKit had no memory for an upload buffer of ${size} bytes for ${region}.`);
  }
}

function text(name: unknown): string {
  if (typeof name === 'string') return name;
  throw new MemioError('io.memio.InvalidName', `A buffer's name is a string, not ${describe(name)}.`);
}

function wholeNumber(value: unknown, what: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw misuse(`${what} is a whole number of bytes or a version, not ${describe(value)}.`);
}

/** Nothing of the page's is called: an object could throw while it is turned to a string. */
function describe(value: unknown): string {
  return typeof value === 'object' || typeof value === 'function' ? `an ${typeof value}` : String(value);
}

function misuse(message: string): MemioError {
  return new MemioError('io.memio.client.Misuse', message);
}
