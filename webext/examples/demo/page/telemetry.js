// SPDX-License-Identifier: MIT
// Reads demo/telemetry: all f64, laid out as producer/telemetry.h says.
import { ageOf, Recent } from './clock.js';

export const field = {
  layout: 0,
  publishedMs: 1,
  count: 2,
  coreCount: 3,
  memoryTotal: 4,
  memoryAvailable: 5,
  memoryCached: 6,
  swapUsed: 7,
  networkReceived: 8,
  networkSent: 9,
  diskRead: 10,
  diskWritten: 11,
  contextSwitches: 12,
  processesStarted: 13,
  processesRunning: 14,
  ticksPerSecond: 15,
  firstCore: 16, // and from there on, for each core: busy ticks, all ticks
};
const knownLayout = 1;
const kept = 64; // records: more than half a second of them

/** The newest records, and what each publish took to get here. */
export class Telemetry {
  #region;
  #records = [];
  #length = 0;
  updates = 0;
  recent = new Recent();

  static async open(name = 'demo/telemetry') {
    const telemetry = new Telemetry();
    telemetry.#region = await memio.open(name);
    telemetry.#region.addEventListener('change', () => telemetry.#read());
    return telemetry;
  }

  /** The region's own count of publishes, whether or not this page has seen them. */
  get sequence() {
    return this.#region.sequence;
  }

  #read() {
    const snapshot = this.#region.read();
    const { buffer, byteOffset, byteLength } = snapshot.data;
    const shared = new Float64Array(buffer, byteOffset, byteLength / 8);
    if (shared[field.layout] === knownLayout) {
      this.recent.add(ageOf(shared[field.publishedMs]));
      this.#keep(shared);
      this.updates += 1;
    }
    snapshot.release();
  }

  // Rates need a past, and the past is about to be overwritten: these few numbers are the only ones that are copied.
  #keep(shared) {
    const record = this.#length < kept ? new Float64Array(shared.length) : this.#records.shift();
    if (this.#length < kept) this.#length += 1;
    record.set(shared.subarray(0, record.length));
    this.#records.push(record);
  }

  get latest() {
    return this.#records.at(-1);
  }

  /** The record of about `ms` before the latest one. */
  before(ms) {
    const until = this.latest[field.publishedMs] - ms;
    return this.#records.findLast((record) => record[field.publishedMs] <= until) ?? this.#records[0];
  }
}

/** How much of a field is added a second, from one record to a later one. */
export function perSecond(from, to, index) {
  const seconds = (to[field.publishedMs] - from[field.publishedMs]) / 1000;
  return seconds > 0 ? Math.max(0, to[index] - from[index]) / seconds : 0;
}

/** How busy a core was from one record to a later one: 0 to 1. */
export function coreLoad(from, to, core) {
  const at = field.firstCore + core * 2;
  const total = to[at + 1] - from[at + 1];
  return total > 0 ? Math.min(1, Math.max(0, (to[at] - from[at]) / total)) : 0;
}
