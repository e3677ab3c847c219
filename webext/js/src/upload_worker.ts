// SPDX-License-Identifier: MIT
// The worker of upload.ts: it is sent one end of a stream and a file.
import type { StreamWriter } from './stream.js';
import { attachStream } from './stream_worker.js';
import { pour } from './upload.js';

onmessage = ({ data }: MessageEvent<{ buffer: SharedArrayBuffer; file: Blob }>) => {
  // How it went is told by the stream itself.
  void pour(data.file, attachStream(data.buffer) as StreamWriter).catch(() => {});
};
postMessage('ready');
