// SPDX-License-Identifier: MIT
// The card for uploads: buttons, dropping, and receipts.
import { bytes, milliseconds } from './format.js';
import { digest, randomFile, Uploader } from './upload.js';

const receiptsShown = 2;
const mostCompared = 256 * 1024 * 1024; // WebKit wants a file in one piece to hash it
const randomSize = 64 * 1024 * 1024;

function span(className, text, parent) {
  const made = document.createElement('span');
  made.className = className;
  made.textContent = text;
  parent.append(made);
  return made;
}

export class UploadPanel {
  #uploader;
  #receipts = document.getElementById('upload-receipts');
  /** All that came back, oldest first: {name, size, sha256, expected, ...} or {name, error}. */
  results = [];

  static async open() {
    const panel = new UploadPanel();
    panel.#uploader = await Uploader.open();
    panel.#listen();
    return panel;
  }

  #listen() {
    const input = document.getElementById('upload-file');
    document.getElementById('upload-choose').addEventListener('click', () => input.click());
    input.addEventListener('change', () => {
      for (const file of input.files) this.send(file);
      input.value = '';
    });
    document.getElementById('upload-random').addEventListener('click', () => this.sendRandom());

    const card = document.getElementById('upload');
    const mark = (dragging) => card.classList.toggle('dragging', dragging);
    card.addEventListener('dragover', (event) => {
      event.preventDefault();
      mark(true);
    });
    card.addEventListener('dragleave', () => mark(false));
    card.addEventListener('drop', (event) => {
      event.preventDefault();
      mark(false);
      for (const file of event.dataTransfer.files) this.send(file);
    });
  }

  sendRandom() {
    return this.send(randomFile(randomSize, 'random bytes'));
  }

  async send(file) {
    const item = document.createElement('li');
    const line = document.createElement('div');
    line.className = 'line';
    span('name', file.name, line);
    span('size', bytes(file.size), line);
    const time = span('time', 'on its way…', line);
    item.append(line);
    this.#receipts.prepend(item);
    while (this.#receipts.children.length > receiptsShown) this.#receipts.lastChild.remove();

    const result = { name: file.name };
    try {
      Object.assign(result, await this.#uploader.send(file));
      const { writeMs, hashMs } = result;
      time.textContent = `written in ${milliseconds(writeMs)}, hashed in ${milliseconds(hashMs)}`;
      const hash = document.createElement('div');
      hash.className = 'hash';
      hash.textContent = result.sha256;
      item.append(hash);
      if (file.size <= mostCompared) {
        result.expected = await digest(file);
        const agreed = result.expected === result.sha256;
        const verdict = agreed
          ? '✓ The native program’s SHA-256; WebKit’s own agrees'
          : `✗ WebKit finds another SHA-256: ${result.expected}`;
        span(agreed ? 'agreed' : 'failed', verdict, item);
      }
    } catch (error) {
      result.error = `${error.name}: ${error.message}`;
      time.textContent = '';
      span('failed', result.error, item);
    }
    this.results.push(result);
    return result;
  }
}
