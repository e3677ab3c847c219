// SPDX-License-Identifier: MIT
// What the page says to the program that shows it (viewer/): how it goes. No data of the demo takes this road.

export function tell(message) {
  globalThis.webkit?.messageHandlers?.demo?.postMessage(JSON.stringify(message));
}

/** Shows what went wrong, and tells. */
export function trouble(error) {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const banner = document.getElementById('trouble');
  banner.textContent = text;
  banner.hidden = false;
  tell({ type: 'trouble', text });
}
