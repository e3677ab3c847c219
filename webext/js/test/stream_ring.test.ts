// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import { checkGeometry, makeRing, readRing, RingReader, ringSize, RingWriter } from '../src/stream_ring.js';
import { makeMemory, readerCell, writerCell } from './fake_pipe.js';
import { nameOfError } from './name_of_error.js';

const corrupt = 'io.memio.client.Corrupt';

function makePair({ buffers = 4, chunkSize = 16, start = 0 } = {}) {
  const memory = makeMemory(buffers, chunkSize);
  const geometry = { buffers, chunkSize, totalLength: undefined };
  makeRing(memory, geometry, true, writerCell);
  const words = new Int32Array(memory.buffer, memory.ring, ringSize(buffers) / 4);
  words[0] = words[1] = start | 0;
  const rung = { writer: 0, reader: 0 };
  const writer = new RingWriter(memory, geometry, () => ++rung.reader, start);
  const reader = new RingReader(memory, geometry, () => ++rung.writer, start);
  const put = (text: string, last = false): void => {
    writer.place().set(new TextEncoder().encode(text));
    writer.put(text.length, last);
  };
  const take = () => {
    expect(reader.ready()).toBe(true);
    const taken = reader.take();
    return taken && { ...taken, text: new TextDecoder().decode(taken.data) };
  };
  return { memory, words, writer, reader, put, take, rung };
}

describe('a ring', () => {
  it('is laid out as STREAM_FORMAT.md and the seeds say', () => {
    const { memory, words, put, reader, writer } = makePair({ buffers: 4, chunkSize: 1000 });
    const view = new DataView(memory.buffer, memory.ring);
    const u32 = (offset: number) => view.getUint32(offset, true);
    expect([u32(0), u32(4), u32(8), u32(12)]).toEqual([0, 0, 4, 24]);
    const block = 128; // 16 + 4 * 24 = 112, to a multiple of 64
    expect(ringSize(4)).toBe(block + 64 + 512);
    const text = new TextDecoder().decode(new Uint8Array(memory.buffer, memory.ring + block, 8));
    expect([text, u32(block + 8), u32(block + 12)]).toEqual(['MEMIOSTR', 1, 4]);
    expect([view.getBigUint64(block + 16, true), view.getBigUint64(block + 24, true)]).toEqual([1000n, 2n ** 64n - 1n]);
    expect([u32(block + 64), u32(block + 320)]).toEqual([writerCell + 1, 0]);
    put('12345');
    put('678', true);
    expect([u32(0), u32(4)]).toEqual([0, 2]);
    expect([u32(16), u32(20), view.getBigUint64(24, true), u32(32), u32(36)]).toEqual([0, 5, 0n, 0, 0]);
    expect([u32(40), u32(44), view.getBigUint64(48, true), u32(56), u32(60)]).toEqual([1, 3, 5n, 1, 0]);
    expect(u32(block + 68)).toBe(1); // finished
    reader.join(readerCell);
    reader.giveUp('no room');
    expect([u32(block + 320), u32(block + 324), u32(block + 332)]).toEqual([readerCell + 1, 2, 7]);
    expect(nameOfError(() => writer.look())).toBe('io.memio.client.Aborted');
    expect(words.length * 4).toBe(ringSize(4));
  });

  it('is found again by who joins', () => {
    const memory = makeMemory(8, 10);
    makeRing(memory, { buffers: 8, chunkSize: 2 ** 32 - 1, totalLength: 2 ** 40 + 3 }, false, 9);
    expect(readRing(memory.buffer, memory.ring, ringSize(8))).toEqual({ buffers: 8, chunkSize: 2 ** 32 - 1, totalLength: 2 ** 40 + 3 });
    for (const size of [0, 100, ringSize(1) - 4, ringSize(8) + 2, ringSize(4)])
      expect(nameOfError(() => readRing(memory.buffer, memory.ring, size)), `size ${size}`).toBe(corrupt);
    const words = new Int32Array(memory.buffer, memory.ring, ringSize(8) / 4);
    const block = 256 / 4; // 16 + 8 * 24 = 208
    for (const [word, value] of [[2, 4], [3, 32], [block, 7], [block + 2, 2], [block + 3, 4], [block + 4, 0], [block + 5, 1]] as const) {
      const before = words[word]!;
      words[word] = value;
      expect(nameOfError(() => readRing(memory.buffer, memory.ring, ringSize(8))), `word ${word}`).toBe(corrupt);
      words[word] = before;
    }
  });

  it('refuses geometries that there are not', () => {
    for (const [buffers, chunkSize, totalLength] of [[0, 1, 0], [3, 1, 0], [128, 1, 0], [1.5, 1, 0], [4, 0, 0], [4, 2 ** 32, 0], [4, NaN, 0], [4, 1, -1], [4, 1, 2 ** 53]] as const)
      expect(nameOfError(() => checkGeometry({ buffers, chunkSize, totalLength }))).toBe('io.memio.client.Misuse');
    checkGeometry({ buffers: 64, chunkSize: 2 ** 32 - 1, totalLength: undefined });
  });

  it('has each place once', () => {
    const { reader, writer } = makePair();
    expect([writer.taken, reader.taken, reader.otherCell(), writer.otherCell()]).toEqual([true, false, writerCell, -1]);
    expect([reader.join(readerCell), reader.join(readerCell), writer.join(1)]).toEqual([true, false, false]);
    expect(writer.otherCell()).toBe(readerCell);
  });

  it('carries chunks in order, and counts what was taken', () => {
    const { writer, put, take, reader } = makePair();
    for (const text of ['one', 'two', 'three', 'four']) put(text);
    expect([writer.ready(), writer.full, writer.bytesWritten, writer.bytesTaken]).toEqual([false, true, 15, 0]);
    const chunks = [take()!, take()!, take()!];
    expect(chunks.map(({ text, offset, last }) => [text, offset, last])).toEqual([['one', 0, false], ['two', 3, false], ['three', 6, false]]);
    reader.giveBack(chunks[2]!.n);
    reader.giveBack(chunks[1]!.n);
    expect([writer.ready(), writer.bytesTaken, reader.bytesTaken]).toEqual([false, 0, 0]);
    reader.giveBack(chunks[0]!.n);
    expect([writer.ready(), writer.bytesTaken, reader.bytesTaken, reader.bytesWritten]).toEqual([true, 11, 11, 11]);
    put('', true);
    reader.giveBack(take()!.n);
    const last = take()!;
    expect([last.text, last.last, reader.take(), reader.finished, writer.ready()]).toEqual(['', true, undefined, false, false]);
    reader.giveBack(last.n);
    expect([reader.finished, writer.ready(), writer.bytesTaken]).toEqual([true, true, 15]);
  });

  it('goes on where its counters wrap', () => {
    for (const buffers of [1, 4, 64]) {
      const { writer, put, take, reader, words } = makePair({ buffers, start: 2 ** 32 - 3 });
      for (let i = 0; i < 200; ++i) {
        expect(writer.ready()).toBe(true);
        put(`${i}`);
        const taken = take()!;
        expect(taken.text).toBe(`${i}`);
        reader.giveBack(taken.n);
      }
      expect([words[0], words[1]]).toEqual([197, 197]);
    }
  });

  it('rings who waits, once', () => {
    const { reader, writer, put, take, rung } = makePair();
    put('a');
    expect(rung).toEqual({ writer: 0, reader: 0 });
    reader.wantRing();
    put('b');
    put('c');
    expect(rung).toEqual({ writer: 0, reader: 1 });
    writer.wantRing();
    reader.giveBack(take()!.n);
    reader.giveBack(take()!.n);
    expect(rung).toEqual({ writer: 1, reader: 1 });
    reader.wantRing();
    reader.unwantRing();
    put('d', true);
    writer.wantRing();
    reader.giveUp('');
    expect(rung).toEqual({ writer: 2, reader: 1 });
  });

  it('tells why the other has given up, cut to whole characters', () => {
    const { writer, reader, put, take } = makePair();
    put('kept');
    writer.giveUp('ü'.repeat(100));
    expect(take()!.text).toBe('kept');
    expect(() => reader.ready()).toThrow(/The writer gave the stream up: ü{88}$/);
  });

  // Head 0, tail 1; entry 0 from word 4: buffer, length, offset, offset high, finalize.
  it('finds the lies that a writer can tell', () => {
    const state = 128 / 4 + 16 + 1;
    const lies: [string, (words: Int32Array) => void][] = [
      ['a buffer that is not there', (words) => (words[4] = 4)],
      ['a negative buffer', (words) => (words[4] = -1)],
      ['more than a buffer holds', (words) => (words[5] = 17)],
      ['nothing', (words) => (words[5] = 0)],
      ['another offset', (words) => (words[6] = 1)],
      ['a far offset', (words) => (words[7] = 1)],
      ['half an end', (words) => (words[8] = 2)],
      ['an end with something behind', (words) => ((words[8] = 1), (words[1] = 2))],
      ['too much', (words) => (words[1] = 5)],
      ['less than nothing', (words) => (words[1] = -1)],
      ['an end without the last entry', (words) => ((words[1] = 0), (words[state] = 1))],
      ['an unknown state', (words) => (words[state] = 3)],
      ['a negative state', (words) => (words[state] = -1)],
    ];
    for (const [what, lie] of lies) {
      const { reader, put, words } = makePair();
      put('x');
      lie(words);
      expect(nameOfError(() => reader.ready() && reader.take()), what).toBe(corrupt);
    }
  });

  it('finds the lies that a reader can tell', () => {
    const state = 128 / 4 + 16 + 64 + 1;
    for (const [what, lie] of [
      ['more than was put in', (words) => (words[0] = 3)],
      ['back', (words) => (words[0] = -1)],
      ['finished before the end', (words) => ((words[0] = 2), (words[state] = 1))],
      ['an unknown state', (words) => (words[state] = 7)],
    ] as [string, (words: Int32Array) => void][]) {
      const { writer, put, words } = makePair();
      put('x');
      put('y');
      lie(words);
      expect(nameOfError(() => writer.look()), what).toBe(corrupt);
    }
    const { writer, words } = makePair();
    words[128 / 4 + 16 + 64] = 5000;
    expect(nameOfError(() => writer.otherCell())).toBe(corrupt);
  });

  it('survives whatever is in it', () => {
    let seed = 7;
    const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 8;
    const names = new Set<string>();
    for (let round = 0; round < 2000; ++round) {
      const { reader, writer, put, words } = makePair();
      put('abc');
      for (let i = 0; i < 3; ++i) words[random() % words.length] = random() % 3 ? random() % 6 : random() << 8;
      for (const act of [() => reader.ready() && reader.take(), () => writer.look(), () => writer.put(1, false)])
        names.add(nameOfError(act) ?? 'fine');
    }
    expect([...names].filter((name) => !['fine', corrupt, 'io.memio.client.Aborted', 'none'].includes(name))).toEqual([]);
    expect(names.has(corrupt)).toBe(true);
  });
});
