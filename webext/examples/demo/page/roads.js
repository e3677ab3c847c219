// SPDX-License-Identifier: MIT
// The same 100 MiB on two roads: read from demo/roads when the native program has published it, and fetched through a
// URI scheme whose handler serves that very publish out of the same memory. producer/roads.h has the layout.
import { ageOf } from './clock.js';

const field = { layout: 0, round: 1, publishedMs: 2, checksum: 3 };
const knownLayout = 1;
const headerSize = 64;
const rounds = 5; // of which the median counts: this page and others have more to do than this
const reads = 2000; // of which one is the mean: WebKit's clock is too coarse for a single one

function xorOfWords(bytes) {
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset + headerSize, (bytes.byteLength - headerSize) / 4);
  let sum = 0;
  for (let index = 0; index < words.length; index += 1) sum ^= words[index];
  return sum >>> 0;
}

/** Makes sure that these bytes are readable now, not only promised: the header, the middle and the end. */
function touch(bytes) {
  return bytes[0] + bytes[bytes.length >> 1] + bytes[bytes.length - 1];
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

function timed(work) {
  const started = performance.now();
  const value = work();
  return { value, ms: performance.now() - started };
}

export class Roads {
  #region;
  #requests;

  static async open() {
    const roads = new Roads();
    roads.#region = await memio.open('demo/roads');
    roads.#requests = await memio.open('demo/roads-request', { access: 'write' });
    return roads;
  }

  /** Resolves to what both roads took, in milliseconds, for the same bytes. */
  async measure() {
    const published = [];
    for (let round = 0; round < rounds; round += 1) published.push(await this.#measureShared());
    const scheme = await this.#measureScheme();
    const last = published.at(-1);
    const shared = {
      readyMs: median(published.map((round) => round.readyMs)),
      wakeMs: median(published.map((round) => round.wakeMs)),
      // The first pass over fresh memory makes the kernel map its pages.
      firstPassMs: published[0].passMs,
      passMs: last.passMs,
      oneReadMs: this.#timeReads(),
    };
    const same = published.every((round) => round.sum === round.checksum) && scheme.sum === last.checksum;
    return { size: last.size, shared, scheme, same };
  }

  #timeReads() {
    const many = timed(() => {
      for (let count = 0; count < reads; count += 1) this.#region.read().release();
    });
    return many.ms / reads;
  }

  async #measureShared() {
    const changed = new Promise((resolve, reject) => {
      const { sequence } = this.#region;
      const onChange = () => {
        if (this.#region.sequence === sequence) return;
        this.#region.removeEventListener('change', onChange);
        // In the event itself, so that nothing else comes between.
        try {
          resolve(this.#onPublished());
        } catch (error) {
          reject(error);
        }
      };
      this.#region.addEventListener('change', onChange);
    });
    this.#requests.write(new Uint8Array(8));
    return changed;
  }

  #onPublished() {
    const read = timed(() => {
      const snapshot = this.#region.read();
      touch(snapshot.data);
      return snapshot;
    });
    const snapshot = read.value;
    const header = new Float64Array(snapshot.data.buffer, snapshot.data.byteOffset, headerSize / 8);
    if (header[field.layout] !== knownLayout) throw new Error('demo/roads has a layout that this page does not know');
    const wakeMs = ageOf(header[field.publishedMs]);
    const pass = timed(() => xorOfWords(snapshot.data));
    const result = {
      size: snapshot.length,
      readyMs: read.ms,
      wakeMs,
      passMs: pass.ms,
      sum: pass.value,
      checksum: header[field.checksum],
    };
    snapshot.release();
    return result;
  }

  async #measureScheme() {
    const started = performance.now();
    const response = await fetch('roads.bin', { cache: 'no-store' });
    if (!response.ok) throw new Error(`The URI scheme answered ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    touch(bytes);
    const readyMs = performance.now() - started;
    const pass = timed(() => xorOfWords(bytes));
    return { readyMs, passMs: pass.ms, sum: pass.value };
  }
}
