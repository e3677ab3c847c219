// SPDX-License-Identifier: MIT
// Sending a whole file through a stream, however large it is: read slice by slice, because WebKit's `file.stream()` gives all of it as one
// chunk. In a worker where the page may have those, else here.
import type { Memio } from './memio.js';
import type { StreamWriter } from './stream.js';

/** The bundle of upload_worker.ts; the build puts it here. */
declare const UPLOAD_WORKER: string;

export interface UploadOptions {
  /** Gives up; the promise rejects with its reason. */
  signal?: AbortSignal;
  /** How many bytes the reader has taken, again and again. */
  onProgress?: (taken: number, total: number) => unknown;
}

/** What is read of a file at a time: few enough that memory stays flat, many enough that WebKit's price for each read does not matter. */
const sliceSize = 4 * 2 ** 20;

/** Puts all of a file into a stream, reading ahead while the reader takes. */
export async function pour(file: Blob, stream: StreamWriter): Promise<void> {
  const read = (at: number): Promise<ArrayBuffer> | undefined =>
    at < file.size ? file.slice(at, at + sliceSize).arrayBuffer() : undefined;
  try {
    let next = read(0);
    for (let at = 0; next !== undefined; ) {
      const bytes = await next;
      next = read((at += sliceSize));
      next?.catch(() => {}); // it is waited for later
      await stream.write(bytes);
    }
  } catch (error) {
    stream.abort(error); // the file has changed or cannot be read; else it has ended already
    throw error;
  }
  await stream.finish();
}

/** Sends a file through the stream of that name; false if there is none. However it fails, the reader learns of it. */
export async function upload(memio: Memio, name: string, file: Blob, options: UploadOptions = {}): Promise<boolean> {
  const stream = await memio.stream(name, { access: 'write' }).catch((error: Error) => {
    if (error.name === 'io.memio.NoSuchRegion') return undefined;
    throw error;
  });
  if (stream === undefined) return false;
  await uploadThrough(stream, file, options);
  return true;
}

async function uploadThrough(stream: StreamWriter, file: Blob, { signal, onProgress }: UploadOptions): Promise<void> {
  if (signal?.aborted) {
    stream.abort(signal.reason);
    signal.throwIfAborted();
  }
  const abort = (): void => stream.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  if (onProgress !== undefined) stream.addEventListener('progress', () => onProgress(stream.taken, file.size));
  const worker = await startWorker();
  try {
    const buffer = worker && (await stream.shared().catch(() => undefined));
    if (worker !== undefined && buffer !== undefined) {
      worker.postMessage({ buffer, file });
      await stream.closed;
    } else {
      await pour(file, stream);
    }
  } catch (error) {
    throw signal?.aborted === true ? signal.reason : error;
  } finally {
    worker?.terminate();
    signal?.removeEventListener('abort', abort);
  }
}

/** A worker that is ready; none where the page has no shared memory, or its Content-Security-Policy no workers. */
async function startWorker(): Promise<Worker | undefined> {
  if (typeof SharedArrayBuffer === 'undefined' || typeof Worker === 'undefined') return undefined;
  const url = URL.createObjectURL(new Blob([UPLOAD_WORKER], { type: 'text/javascript' }));
  try {
    const worker = new Worker(url);
    const ready = await new Promise<boolean>((resolve) => {
      worker.onmessage = () => resolve(true);
      worker.onerror = () => resolve(false);
    });
    if (ready) return worker;
    worker.terminate();
  } catch {
    // Without one, then.
  } finally {
    URL.revokeObjectURL(url);
  }
  return undefined;
}
