// SPDX-License-Identifier: MIT
// Bundles the runtime that the web process extension injects, and what pages and workers import: memio-client and
// memio-client/worker.
//
// The runtime is one function expression that takes `native` and returns the handlers: nothing of it is a global of
// the page, and what it needs of the page's built-in objects it takes before any script of the page runs.
import { build } from 'esbuild';

const bundle = { bundle: true, charset: 'utf8', target: 'safari17', legalComments: 'none' };

// The worker that uploads files is part of what starts it: a page need not serve it.
const worker = await build({ ...bundle, entryPoints: ['src/upload_worker.ts'], minify: true, format: 'iife', write: false });
const common = { ...bundle, define: { UPLOAD_WORKER: JSON.stringify(worker.outputFiles[0].text) } };

await build({
  ...common,
  entryPoints: ['src/runtime.ts'],
  outfile: 'dist/runtime.js',
  minifySyntax: true,
  format: 'iife',
  globalName: 'runtime',
  banner: { js: "(function (native) { 'use strict';" },
  footer: { js: 'return runtime.start(native); })' },
});
await build({ ...common, entryPoints: ['src/index.ts'], outfile: 'dist/memio-client.js', format: 'esm' });
await build({ ...common, entryPoints: ['src/worker.ts'], outfile: 'dist/worker.js', format: 'esm' });
