// SPDX-License-Identifier: MIT
// A chart of the last seconds that scrolls with time, on a canvas of the screen's real pixels.

const points = 1024; // a power of two, more than `span` holds
const labelRoom = 17; // for the times below the plot

/** The next of 1, 2, 5, 10, 20, ... at or above `value`. */
function niceCeiling(value) {
  const magnitude = 10 ** Math.floor(Math.log10(value));
  return magnitude * [1, 2, 5, 10].find((step) => step * magnitude >= value * 0.9999);
}

export class TimeChart {
  #canvas;
  #context;
  #series;
  #format;
  #fixedMax;
  #least;
  #spanMs;
  #times = new Float64Array(points);
  #values;
  #head = 0; // points pushed so far
  #max; // where the scale ends, and
  #goal; // where it is going to, in eased steps
  #colors = [];
  #grid;
  #faint;
  #font;

  /**
   * series: [{color: '--teal', fill: true}]; max: the scale's end, if it is fixed; least: the smallest end that a scale
   * finds for itself; format: a number as its axis label.
   */
  constructor(canvas, { series, format, max, least = 1, spanMs = 20_000 }) {
    this.#canvas = canvas;
    this.#context = canvas.getContext('2d');
    this.#series = series;
    this.#format = format;
    this.#fixedMax = max;
    this.#least = least;
    this.#max = this.#goal = max ?? least;
    this.#spanMs = spanMs;
    this.#values = series.map(() => new Float32Array(points));
    this.#readColors();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#readColors());
    new ResizeObserver(() => this.#fit()).observe(canvas);
    this.#fit();
  }

  push(time, values) {
    const at = this.#head & (points - 1);
    this.#times[at] = time;
    values.forEach((value, index) => (this.#values[index][at] = value));
    this.#head += 1;
  }

  #readColors() {
    const style = getComputedStyle(document.documentElement);
    const color = (name) => style.getPropertyValue(name).trim();
    this.#colors = this.#series.map((series) => color(series.color));
    this.#grid = color('--grid');
    this.#faint = color('--faint');
    this.#font = `10px ${color('--sans')}`;
  }

  #fit() {
    const ratio = devicePixelRatio;
    const { clientWidth, clientHeight } = this.#canvas;
    this.#canvas.width = Math.max(1, Math.round(clientWidth * ratio));
    this.#canvas.height = Math.max(1, Math.round(clientHeight * ratio));
    this.#context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }

  /** The first point that is still to be seen, or the one before it, so that the line enters from the edge. */
  #first(from) {
    let index = Math.max(0, this.#head - points + 1);
    while (index < this.#head && this.#times[index & (points - 1)] < from) index += 1;
    return Math.max(0, this.#head - points + 1, index - 1);
  }

  #rescale(first) {
    if (this.#fixedMax !== undefined) return;
    let peak = this.#least;
    for (const values of this.#values)
      for (let index = first; index < this.#head; index += 1) peak = Math.max(peak, values[index & (points - 1)]);
    this.#goal = niceCeiling(peak);
    this.#max += (this.#goal - this.#max) * 0.2;
  }

  draw(now) {
    const { clientWidth: width, clientHeight } = this.#canvas;
    const height = clientHeight - labelRoom;
    if (width <= 0 || height <= 0) return;
    const context = this.#context;
    context.clearRect(0, 0, width, clientHeight);
    const from = now - this.#spanMs;
    const first = this.#first(from);
    this.#rescale(first);
    this.#drawAxes(width, height);

    const x = (index) => ((this.#times[index & (points - 1)] - from) / this.#spanMs) * width;
    context.save();
    context.beginPath();
    context.rect(0, 0, width, height + 1);
    context.clip();
    context.lineJoin = 'round';
    context.lineWidth = 1.5;
    this.#series.forEach((series, number) => {
      const values = this.#values[number];
      const y = (index) => height - Math.min(1, values[index & (points - 1)] / this.#max) * (height - 1);
      if (this.#head - first < 2) return;
      const line = new Path2D();
      line.moveTo(x(first), y(first));
      for (let index = first + 1; index < this.#head; index += 1) line.lineTo(x(index), y(index));
      const last = this.#head - 1;
      line.lineTo(width, y(last));
      if (series.fill) {
        const area = new Path2D(line);
        area.lineTo(width, height);
        area.lineTo(x(first), height);
        context.globalAlpha = 0.14;
        context.fillStyle = this.#colors[number];
        context.fill(area);
        context.globalAlpha = 1;
      }
      context.strokeStyle = this.#colors[number];
      context.stroke(line);
    });
    context.restore();
  }

  #drawAxes(width, height) {
    const context = this.#context;
    context.strokeStyle = this.#grid;
    context.lineWidth = 1;
    context.beginPath();
    for (const part of [0, 0.5, 1]) {
      const y = Math.round(part * height) + 0.5;
      context.moveTo(0, y);
      context.lineTo(width, y);
    }
    context.stroke();

    context.font = this.#font;
    context.fillStyle = this.#faint;
    context.textBaseline = 'top';
    context.textAlign = 'left';
    context.fillText(this.#format(this.#goal), 2, 3);
    context.fillText(this.#format(this.#goal / 2), 2, Math.round(height / 2) + 3);
    const seconds = this.#spanMs / 1000;
    context.fillText(`${seconds} s ago`, 0, height + 4);
    context.textAlign = 'center';
    context.fillText(`${seconds / 2} s`, width / 2, height + 4);
    context.textAlign = 'right';
    context.fillText('now', width, height + 4);
  }
}
