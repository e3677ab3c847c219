// SPDX-License-Identifier: MIT
// WebKit’s clocks tick in whole milliseconds, rounded down. Half a tick more is right on average: so is a mean of many
// ages, though a single one is off by up to half a millisecond.

const halfTick = 0.5;

/** How long ago a native program wrote down `wallClockMs` (CLOCK_REALTIME); never negative. */
export function ageOf(wallClockMs) {
  return Math.max(0, Date.now() + halfTick - wallClockMs);
}

/** Events of the last seconds: how many a second, and the mean of what each measured. */
export class Recent {
  #times = [];
  #values = [];
  #span;

  constructor(spanMs = 2000) {
    this.#span = spanMs;
  }

  add(value = 0, now = performance.now()) {
    this.#times.push(now);
    this.#values.push(value);
    this.#forget(now);
  }

  #forget(now) {
    let old = 0;
    while (old < this.#times.length && this.#times[old] < now - this.#span) old += 1;
    if (old === 0) return;
    this.#times.splice(0, old);
    this.#values.splice(0, old);
  }

  perSecond() {
    const now = performance.now();
    this.#forget(now);
    const { length } = this.#times;
    return length < 2 ? 0 : ((length - 1) * 1000) / (this.#times[length - 1] - this.#times[0]);
  }

  mean() {
    const { length } = this.#values;
    return length === 0 ? 0 : this.#values.reduce((sum, value) => sum + value, 0) / length;
  }
}
