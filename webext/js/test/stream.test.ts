// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import { streamInternals } from '../src/stream_end.js';
import { MemioError } from '../src/errors.js';
import type { StreamReader } from '../src/stream.js';
import { FakePipe } from './fake_pipe.js';

const bytes = (...values: number[]): Uint8Array => new Uint8Array(values);
const count = (length: number): Uint8Array => new Uint8Array(length).map((_, i) => i * 7);
const nameOf = (promise: Promise<unknown>): Promise<string> => promise.then(() => 'none', (error: Error) => error.name);
const aborted = 'io.memio.client.Aborted';
const peerGone = 'io.memio.client.PeerGone';
const misuse = 'io.memio.client.Misuse';
/** When everything that is on its way has arrived. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

async function readAll(reader: StreamReader): Promise<number[]> {
  const all: number[] = [];
  for await (const { data } of reader) all.push(...data);
  return all;
}

async function drain(readable: ReadableStream<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  const from = readable.getReader();
  for (;;) {
    const { done, value } = await from.read();
    if (done) return chunks;
    chunks.push(value);
  }
}

describe('a stream', () => {
  it('carries what is piped into it, in chunks of any size', async () => {
    const { writer, reader, writerHost, readerHost } = new FakePipe({ buffers: 4, chunkSize: 100, totalLength: 1000 });
    const source = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const [from, to] of [[0, 1], [1, 1], [1, 350], [350, 1000]]) controller.enqueue(count(1000).slice(from, to));
        controller.close();
      },
    });
    const [, chunks] = await Promise.all([source.pipeTo(writer.writable), drain(reader.readable)]);
    expect(chunks.flatMap((chunk) => [...chunk])).toEqual([...count(1000)]);
    expect(new Set(chunks.map((chunk) => chunk.buffer)).size).toBe(chunks.length);
    await Promise.all([writer.closed, reader.closed]);
    expect([writer.written, writer.taken, reader.taken, reader.written]).toEqual([1000, 1000, 1000, 1000]);
    expect([writerHost.released, readerHost.released]).toEqual(['done', 'done']);
    expect(await reader.next()).toBeUndefined();
    expect(await nameOf(writer.write(bytes(1)))).toBe(misuse);
  });

  it('takes all that has bytes', async () => {
    const { writer, reader } = new FakePipe({ chunkSize: 64 });
    const to = writer.writable.getWriter();
    void to.write(bytes(1, 2));
    void to.write(bytes(3, 4).buffer as ArrayBuffer);
    void to.write(new DataView(bytes(0, 5, 0).buffer, 1, 1));
    void to.write(new Uint16Array([0x0706]));
    const shared = new Uint8Array(new SharedArrayBuffer(1));
    shared[0] = 8;
    void to.write(shared);
    const closed = to.close();
    expect(await readAll(reader)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await closed;
  });

  it('gives up over a chunk that is no bytes', async () => {
    const { writer, reader } = new FakePipe();
    const to = writer.writable.getWriter();
    expect(await nameOf(to.write('text' as unknown as Uint8Array))).toBe(misuse);
    await expect(reader.next()).rejects.toThrow(/takes an ArrayBuffer/);
  });

  it('waits while the reader takes nothing', async () => {
    const { writer, reader, readerHost } = new FakePipe({ buffers: 2, chunkSize: 4 });
    let done = false;
    const written = writer.write(count(12)).then(() => (done = true));
    await settled();
    expect([done, writer.written, writer.taken]).toEqual([false, 8, 0]);
    expect(await nameOf(writer.begin())).toBe(misuse);
    const first = (await reader.next())!;
    const second = (await reader.next())!;
    expect(readerHost.mended).toBe(2);
    second.release();
    await settled();
    expect(done).toBe(false);
    first.release();
    first.release();
    await written;
    expect(reader.taken).toBe(8);
  });

  it('is filled and read in place', async () => {
    const { writer, reader } = new FakePipe({ buffers: 2, chunkSize: 8 });
    const place = await writer.begin();
    expect(await writer.begin()).toBe(place);
    for (const length of [-1, 9, 1.5, NaN]) expect(() => writer.commit(length)).toThrow(MemioError);
    writer.commit(0);
    place.set(bytes(1, 2, 3));
    writer.commit(3);
    expect(() => writer.commit(1)).toThrow(/after begin/);
    const finished = writer.finish();
    const chunk = (await reader.next())!;
    expect([[...chunk.data], chunk.offset, chunk.length, chunk.last]).toEqual([[1, 2, 3], 0, 3, false]);
    expect(await nameOf(writer.begin())).toBe(misuse);
    expect(await reader.next()).toBeUndefined();
    expect(await Promise.race([finished.then(() => 'finished'), settled().then(() => 'waits')])).toBe('waits');
    chunk.release();
    await finished;
  });

  it('has an end even if nothing was in it', async () => {
    const { writer, reader } = new FakePipe();
    const [, all] = await Promise.all([writer.writable.getWriter().close(), drain(reader.readable)]);
    expect(all).toEqual([]);
  });

  it('tells of progress', async () => {
    const { writer, reader } = new FakePipe({ buffers: 1, chunkSize: 10, totalLength: 30 });
    const seen: [string, number, number, boolean][] = [];
    writer.onprogress = (event) => seen.push(['writer', event.loaded, event.total, event.lengthComputable]);
    reader.addEventListener('progress', (event) => seen.push(['reader', (event as ProgressEvent).loaded, writer.written, false]));
    await Promise.all([writer.write(count(30)).then(() => writer.finish()), readAll(reader)]);
    expect(seen.filter(([who]) => who === 'writer')).toEqual([10, 20, 30].map((n) => ['writer', n, 30, true]));
    expect(seen.filter(([who]) => who === 'reader').map(([, loaded]) => loaded)).toEqual([10, 20, 30]);
  });

  it('tells the reader why the writer has given up, after what was put in', async () => {
    const { writer, reader, writerHost, readerHost } = new FakePipe();
    await writer.write(bytes(1));
    await writer.writable.abort('changed my mind');
    expect([...(await reader.next())!.data]).toEqual([1]);
    await expect(reader.next()).rejects.toThrow(/The writer gave the stream up: changed my mind/);
    expect([await nameOf(reader.next()), await nameOf(reader.closed), await nameOf(writer.closed)]).toEqual([aborted, aborted, aborted]);
    expect([(writerHost.released as Error).name, (readerHost.released as Error).name]).toEqual([aborted, aborted]);
    writer.abort();
    reader.cancel();
  });

  it('is given up at once though the reader takes nothing', async () => {
    for (const act of [
      (to: WritableStreamDefaultWriter<ArrayBuffer>) => to.write(new ArrayBuffer(100)),
      (to: WritableStreamDefaultWriter<ArrayBuffer>) => to.write(new ArrayBuffer(8)).then(() => to.close()),
    ]) {
      const { writer, reader } = new FakePipe({ buffers: 2, chunkSize: 4 });
      const to = writer.writable.getWriter();
      const acted = nameOf(act(to));
      await settled(); // it waits for the reader now
      void to.abort('changed my mind').catch(() => {});
      expect([await acted, await nameOf(writer.closed)]).toEqual([aborted, aborted]);
      for (let i = 0; i < 2; ++i) await reader.next();
      await expect(reader.next()).rejects.toThrow(/changed my mind/);
    }
  });

  it('ends what is piped into it when it is given up itself', async () => {
    const { writer, reader } = new FakePipe({ buffers: 2, chunkSize: 4 });
    const controller = new AbortController();
    const { signal } = controller;
    signal.addEventListener('abort', () => writer.abort(signal.reason));
    const piped = new Blob([new ArrayBuffer(100)]).stream().pipeTo(writer.writable, { signal });
    await settled();
    controller.abort(new Error('changed my mind'));
    await expect(piped).rejects.toThrow('changed my mind');
    for (let i = 0; i < 2; ++i) await reader.next();
    await expect(reader.next()).rejects.toThrow(/changed my mind/);
  });

  it('tells the writer at once why the reader has given up', async () => {
    for (const give of [(r: StreamReader) => r.cancel(new Error('full')), (r: StreamReader) => void r.readable.cancel('full')]) {
      const { writer, reader } = new FakePipe({ buffers: 2, chunkSize: 4 });
      const to = writer.writable.getWriter();
      await to.write(bytes(1));
      await settled(); // the writer has nothing to do now
      give(reader);
      expect(await nameOf(to.closed)).toBe(aborted);
      await expect(writer.closed).rejects.toThrow(/The reader gave the stream up: full/);
    }
  });

  it('gives up if a loop over it is left', async () => {
    const { writer, reader } = new FakePipe({ buffers: 2, chunkSize: 1 });
    const written = writer.write(count(9));
    for await (const { offset } of reader) if (offset === 1) break;
    expect(await nameOf(written)).toBe(aborted);
  });

  it('ends with the writer, after what was put in', async () => {
    const pipe = new FakePipe({ buffers: 2, chunkSize: 2 });
    const { writer, reader } = pipe;
    await writer.write(bytes(1, 2, 3, 4));
    pipe.killWriter();
    expect((await reader.next())!.length).toBe(2);
    expect((await reader.next())!.length).toBe(2);
    expect(await nameOf(reader.next())).toBe(peerGone);
    expect(pipe.words[pipe.readerSide + 1], 'the reader has given up').toBe(2);
  });

  it('ends with the writer while the reader waits', async () => {
    const pipe = new FakePipe();
    const waiting = nameOf(pipe.reader.next());
    await settled();
    pipe.killWriter();
    expect(await waiting).toBe(peerGone);
  });

  it('is all there though the writer is gone that was done', async () => {
    const pipe = new FakePipe();
    void pipe.writer.write(bytes(1)).then(() => pipe.writer.finish());
    await settled();
    pipe.killWriter();
    expect(await readAll(pipe.reader)).toEqual([1]);
  });

  it('ends with the reader, whatever the writer is doing', async () => {
    for (const act of [
      (pipe: FakePipe) => pipe.writer.write(count(100)),
      (pipe: FakePipe) => pipe.writer.write(bytes(1)).then(() => pipe.writer.finish()),
      (pipe: FakePipe) => pipe.writer.writable.getWriter().closed,
      (pipe: FakePipe) => pipe.writer.closed,
    ]) {
      const pipe = new FakePipe();
      const acted = nameOf(act(pipe));
      await settled();
      pipe.killReader();
      expect([await acted, await nameOf(pipe.writer.closed)]).toEqual([peerGone, peerGone]);
    }
  });

  it('waits for a reader that has not come yet', async () => {
    const pipe = new FakePipe();
    pipe.words[pipe.readerSide] = 0;
    pipe.writerHost.lives = false; // whoever that is
    const written = pipe.writer.write(count(50));
    expect(await Promise.race([nameOf(written), settled().then(() => 'waits')])).toBe('waits');
  });

  it('reports lies, and leaves nobody asleep', async () => {
    const pipe = new FakePipe();
    const waiting = pipe.reader.next();
    await settled();
    pipe.words[1] = 77;
    streamInternals.rang(pipe.reader);
    expect(await nameOf(waiting)).toBe('io.memio.client.Corrupt');
    expect(await nameOf(pipe.writer.write(bytes(1)))).toBe(aborted);
  });

  it('ends with the document', async () => {
    const pipe = new FakePipe();
    const waiting = pipe.reader.next();
    streamInternals.leave(pipe.reader, new MemioError('io.memio.client.Disconnected', 'left'));
    expect(await nameOf(waiting)).toBe('io.memio.client.Disconnected');
    expect(await nameOf(pipe.writer.write(bytes(1)))).toBe(aborted);
  });

  it('fills the buffers of those who bring their own, where there are byte streams', async () => {
    const { writer, reader } = new FakePipe({ buffers: 2, chunkSize: 5 });
    void writer.write(count(8)).then(() => writer.finish());
    const from = reader.readable.getReader({ mode: 'byob' });
    const got: number[][] = [];
    for (;;) {
      const { done, value } = await from.read(new Uint8Array(3));
      if (done) break;
      got.push([...value]);
    }
    const all = [...count(8)];
    expect(got).toEqual([all.slice(0, 3), all.slice(3, 5), all.slice(5, 8)]);
    await reader.closed;
  });

  it('is not made by scripts', () => {
    const { writer } = new FakePipe();
    const make = writer.constructor as new (key: unknown, parts: unknown) => unknown;
    expect(() => new make(Symbol('x'), {})).toThrow(TypeError);
  });
});
