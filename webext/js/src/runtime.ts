// SPDX-License-Identifier: MIT
// Where the web process extension enters: once for each document that has grants, before any script of the page.
import { DocumentRuntime } from './memio.js';
import type { Handlers, Native } from './native.js';

export function start(native: Native): Handlers {
  const runtime = new DocumentRuntime(native);
  Object.defineProperty(globalThis, 'memio', { value: runtime.memio, writable: true, configurable: true });
  // Captured, and before the page can add listeners: ours run first. isTrusted keeps the page from faking them.
  addEventListener(
    'pagehide',
    (event) => {
      if (event.isTrusted) runtime.suspend(event.persisted);
    },
    true,
  );
  addEventListener(
    'pageshow',
    (event) => {
      if (event.isTrusted && event.persisted) runtime.resume();
    },
    true,
  );
  return runtime;
}
