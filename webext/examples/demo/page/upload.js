// SPDX-License-Identifier: MIT
// Sends a file to the native program: a region of the file's size, filled in place and published. What the native
// program made of it comes back in demo/upload-result.

// WebKit hands out a few large pieces faster than many small ones, such as stream() gives.
const pieceSize = 8 * 1024 * 1024;
const slots = 2; // published once, so one would do; but only with two is it read in place

export class Uploader {
  #results;
  #waiting = new Map(); // region name -> resolve
  #queue = Promise.resolve(); // one after the other: the result's region shows the latest only
  #count = 0;

  static async open(name = 'demo/upload-result') {
    const uploader = new Uploader();
    uploader.#results = await memio.open(name);
    uploader.#results.addEventListener('change', () => uploader.#onResult());
    return uploader;
  }

  /** Resolves to {size, sha256, hashMs, writeMs, totalMs}; rejects if it could not be done. */
  send(file) {
    const sent = this.#queue.then(() => this.#send(file));
    this.#queue = sent.catch(() => {});
    return sent;
  }

  async #send(file) {
    if (file.size === 0) throw new Error('The file is empty.');
    // Unique among all pages that use this broker, and those before a reload.
    const name = `demo/upload/${Date.now().toString(36)}-${(this.#count += 1)}`;
    const started = performance.now();
    const region = await memio.create(name, { capacity: file.size, slots });
    try {
      const answer = new Promise((resolve) => this.#waiting.set(name, resolve));
      await fill(region, file);
      const writeMs = performance.now() - started;
      const { size, sha256, milliseconds, error } = await answer;
      if (error !== undefined) throw new Error(error);
      return { size, sha256, hashMs: milliseconds, writeMs, totalMs: performance.now() - started };
    } finally {
      this.#waiting.delete(name);
      region.close();
      await memio.remove(name);
    }
  }

  #onResult() {
    const snapshot = this.#results.read();
    const text = new TextDecoder().decode(snapshot.data);
    snapshot.release();
    if (text === '') return;
    const result = JSON.parse(text);
    this.#waiting.get(result.name)?.(result);
  }
}

/** Copies the file, piece by piece, to where the native program will read it. */
async function fill(region, file) {
  const payload = region.begin(file.size);
  try {
    let filled = 0;
    while (filled < file.size) {
      const piece = await file.slice(filled, filled + pieceSize).arrayBuffer();
      if (piece.byteLength === 0) throw new Error('The file changed while it was read.');
      payload.set(new Uint8Array(piece), filled);
      filled += piece.byteLength;
    }
    region.commit();
  } catch (error) {
    region.abort();
    throw error;
  }
}

/** A file that nobody has seen before. */
export function randomFile(size, name) {
  const bytes = new Uint8Array(size);
  const most = 65536; // that getRandomValues gives at a time
  for (let at = 0; at < size; at += most) crypto.getRandomValues(bytes.subarray(at, at + most));
  return new File([bytes], name);
}

/** The file's SHA-256 as WebKit finds it, for comparison. */
export async function digest(file) {
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await file.arrayBuffer()));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
