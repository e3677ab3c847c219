// SPDX-License-Identifier: MIT
// Bundles the runtime that the web process extension injects, and what pages import from 'memio-client'.
//
// The bundle is one function expression that takes `native` and returns the handlers: nothing of it is a global of
// the page, and what it needs of the page's built-in objects it takes before any script of the page runs.
import { build } from 'esbuild';

await build({
  entryPoints: ['src/runtime.ts'],
  outfile: process.argv[2] ?? 'dist/runtime.js',
  bundle: true,
  minifySyntax: true,
  charset: 'utf8',
  target: 'safari17',
  format: 'iife',
  globalName: 'runtime',
  legalComments: 'none',
  banner: { js: "(function (native) { 'use strict';" },
  footer: { js: 'return runtime.start(native); })' },
});

await build({
  entryPoints: ['src/index.ts'],
  outfile: 'dist/memio-client.js',
  bundle: true,
  charset: 'utf8',
  target: 'safari17',
  format: 'esm',
  legalComments: 'none',
});
