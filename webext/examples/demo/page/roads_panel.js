// SPDX-License-Identifier: MIT
// The card that compares the two roads.
import { bytes, integer, milliseconds } from './format.js';
import { Roads } from './roads.js';

const show = (id, text) => (document.getElementById(id).textContent = text);

export class RoadsPanel {
  #roads;
  #button = document.getElementById('roads-again');
  result;

  static async open() {
    const panel = new RoadsPanel();
    panel.#roads = await Roads.open();
    panel.#button.addEventListener('click', () => panel.measure());
    return panel;
  }

  async measure() {
    this.#button.disabled = true;
    show('roads-verdict', 'Measuring…');
    try {
      this.result = await this.#roads.measure();
      this.#show(this.result);
    } catch (error) {
      this.result = { error: `${error.name}: ${error.message}` };
      show('roads-verdict', this.result.error);
    } finally {
      this.#button.disabled = false;
    }
    return this.result;
  }

  #show({ size, shared, scheme, same }) {
    // The clock's tick is 1 ms: less than that is all that a single reading can say.
    show('road-shared', shared.readyMs < 1 ? 'under 1 ms' : milliseconds(shared.readyMs));
    show('road-scheme', milliseconds(scheme.readyMs));
    document.getElementById('bar-shared').style.width = `${(100 * shared.readyMs) / scheme.readyMs}%`;
    document.getElementById('bar-scheme').style.width = '100%';
    const verdict = document.getElementById('roads-verdict');
    const times = document.createElement('b');
    times.textContent = `${integer(scheme.readyMs / Math.max(1, shared.readyMs))} times`;
    const agreement = same ? `Both brought the same ${bytes(size)}.` : 'But the bytes differ!';
    verdict.replaceChildren('At least ', times, ` sooner, and nothing was copied. ${agreement}`);
    show('roads-read', milliseconds(shared.oneReadMs));
    show('roads-wake', milliseconds(shared.wakeMs));
    show('roads-first-pass', milliseconds(shared.firstPassMs));
    show('roads-pass', milliseconds(shared.passMs));
    show('roads-copy-pass', milliseconds(scheme.passMs));
  }
}
