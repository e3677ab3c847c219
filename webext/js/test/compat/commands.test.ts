// SPDX-License-Identifier: MIT
import { describe, expect, it } from 'vitest';
import { Commands } from '../../src/compat/commands.js';
import { MemioError } from '../../src/errors.js';
import type { Memio } from '../../src/memio.js';

describe('an upload stream', () => {
  it('is not made for a region that somebody else is writing', async () => {
    const said: string[] = [];
    const region = {
      name: 'r',
      info: { capacity: 100 },
      begin: () => {
        throw new MemioError('io.memio.client.Busy', 'no');
      },
      close: () => void said.push('close'),
    };
    const stream = () => {
      said.push('stream');
      return Promise.resolve({ async *[Symbol.asyncIterator]() {} });
    };
    const commands = new Commands({ open: () => Promise.resolve(region), stream } as unknown as Memio, undefined);
    const run = (command: string) => commands.run(`plugin:memio|${command}`, { name: 'r', totalLength: 9, chunkSize: 64, bufferCount: 2, version: 1 });
    await expect(run('start_upload_stream')).rejects.toThrow(expect.objectContaining({ name: 'io.memio.client.Busy' }));
    expect(said).toEqual(['close']);
    await expect(run('stop_upload_stream')).rejects.toThrow(/No upload stream/);
  });
});
