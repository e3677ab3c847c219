// SPDX-License-Identifier: MIT
// Draws demo/frames: a header of eight f64 as producer/frame_publisher.h says, then RGBA. The ImageData given to the
// canvas lies on the region itself.
import { ageOf, Recent } from './clock.js';

const field = { layout: 0, width: 1, height: 2, stride: 3, ptsMs: 4, number: 5, publishedMs: 6, rate: 7 };
const knownLayout = 1;
const headerSize = 64;

export class Film {
  #region;
  #canvas;
  #context;
  #images = new Map(); // by where a slot's pixels lie: there are only as many as slots
  frames = 0;
  number = 0;
  width = 0;
  height = 0;
  shown = new Recent();
  drawing = new Recent();

  static async open(canvas, name = 'demo/frames') {
    const film = new Film();
    film.#canvas = canvas;
    film.#context = canvas.getContext('2d', { alpha: false });
    film.#region = await memio.open(name);
    film.#region.addEventListener('change', () => film.#draw());
    return film;
  }

  get frameBytes() {
    return this.width * this.height * 4;
  }

  #draw() {
    const snapshot = this.#region.read();
    const { buffer, byteOffset } = snapshot.data;
    const header = new Float64Array(buffer, byteOffset, headerSize / 8);
    if (header[field.layout] === knownLayout) {
      this.#fit(header[field.width], header[field.height]);
      const started = performance.now();
      this.#context.putImageData(this.#image(buffer, byteOffset + headerSize), 0, 0);
      this.drawing.add(performance.now() - started);
      this.shown.add(ageOf(header[field.publishedMs]));
      this.number = header[field.number];
      this.frames += 1;
    }
    snapshot.release();
  }

  #fit(width, height) {
    if (this.width === width && this.height === height) return;
    this.width = this.#canvas.width = width;
    this.height = this.#canvas.height = height;
    this.#images.clear();
  }

  #image(buffer, offset) {
    let image = this.#images.get(offset);
    if (image === undefined) {
      image = new ImageData(new Uint8ClampedArray(buffer, offset, this.frameBytes), this.width, this.height);
      this.#images.set(offset, image);
    }
    return image;
  }
}
