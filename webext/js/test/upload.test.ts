// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import type { Memio } from '../src/memio.js';
import { MemioError } from '../src/errors.js';
import { upload } from '../src/upload.js';
import { FakePipe } from './fake_pipe.js';

const mib = 2 ** 20;

function memioOf(pipe: FakePipe): Memio {
  return { stream: () => Promise.resolve(pipe.writer) } as unknown as Memio;
}

async function sizesOf(pipe: FakePipe): Promise<number[]> {
  const sizes: number[] = [];
  for await (const { length } of pipe.reader) sizes.push(length);
  return sizes;
}

describe('an upload', () => {
  it('reads the file piece by piece, and tells how far it is', async () => {
    const pipe = new FakePipe({ buffers: 2, chunkSize: 3 * mib });
    const file = new Blob([new Uint8Array(9 * mib + 5)]);
    const slices: number[] = [];
    const { slice } = file;
    file.slice = (start, end, type) => {
      slices.push(start!);
      return slice.call(file, start, end, type);
    };
    const heard: number[][] = [];
    const [sent, sizes] = await Promise.all([upload(memioOf(pipe), 's', file, { onProgress: (...given) => heard.push(given) }), sizesOf(pipe)]);
    expect([sent, slices]).toEqual([true, [0, 4 * mib, 8 * mib]]);
    expect(sizes).toEqual([3 * mib, mib, 3 * mib, mib, mib + 5]);
    expect(heard.at(-1)).toEqual([file.size, file.size]);
  });

  it('of nothing is an end', async () => {
    const pipe = new FakePipe();
    const [sent, sizes] = await Promise.all([upload(memioOf(pipe), 's', new Blob([])), sizesOf(pipe)]);
    expect([sent, sizes]).toEqual([true, []]);
  });

  it('gives the stream up if the file cannot be read', async () => {
    const pipe = new FakePipe();
    const file = { size: 10, slice: () => ({ arrayBuffer: () => Promise.reject(new Error('it has changed')) }) } as unknown as Blob;
    const reading = expect(sizesOf(pipe)).rejects.toThrow('it has changed');
    await expect(upload(memioOf(pipe), 's', file)).rejects.toThrow('it has changed');
    await reading;
  });

  it('ends with its signal', async () => {
    const pipe = new FakePipe();
    const controller = new AbortController();
    const sending = upload(memioOf(pipe), 's', new Blob([new Uint8Array(100)]), { signal: controller.signal });
    setTimeout(() => controller.abort(new Error('never mind')), 10);
    await expect(sending).rejects.toThrow('never mind');
    await expect(sizesOf(pipe)).rejects.toThrow('never mind');
  });

  it('tells the reader even if its signal was aborted before', async () => {
    const pipe = new FakePipe();
    const signal = AbortSignal.abort(new Error('never mind'));
    await expect(upload(memioOf(pipe), 's', new Blob([new Uint8Array(100)]), { signal })).rejects.toThrow('never mind');
    await expect(sizesOf(pipe)).rejects.toThrow('never mind');
  });

  it('is none where there is no such stream, and fails where there is one that cannot be had', async () => {
    const refusing = (name: string) => ({ stream: () => Promise.reject(new MemioError(name, 'no')) }) as unknown as Memio;
    expect(await upload(refusing('io.memio.NoSuchRegion'), 's', new Blob([]))).toBe(false);
    await expect(upload(refusing('io.memio.client.Busy'), 's', new Blob([]))).rejects.toThrow('no');
  });
});
