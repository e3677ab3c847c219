// SPDX-License-Identifier: MIT
// What the extension does, for one region, in ordinary memory.
import type { Access, Region as RegionInfo } from '../generated/protocol.js';
import type { Native } from '../src/native.js';
import { type Region, regionInternals } from '../src/region.js';
import { FakeRegion, pageSize } from './fake_region.js';

export const handle = 7;

export class FakeNative implements Native {
  readonly pageSize = pageSize;
  readonly options = { compatibility: [], workers: false };
  readonly calls: string[] = [];
  /** What the extension calls after publishes. */
  changed: () => void = () => {};
  /** The slot that begin() gives. */
  free = 1;
  readonly #fake: FakeRegion;

  constructor(fake: FakeRegion) {
    this.#fake = fake;
  }

  open(): void {}
  create(): void {}
  list(): void {}
  stat(): void {}
  remove(): void {}
  watch(): void {}
  unwatch(): void {}
  alias() {
    return { error: 'io.memio.client.System', message: 'not here' };
  }
  share(): number {
    return 0;
  }
  mapInto(): number {
    return 1;
  }
  unmap(): void {}
  window(_handle: number, _offset: number, length: number): ArrayBuffer {
    return new ArrayBuffer(length);
  }
  mend(): undefined {}
  begin(_handle: number, length: number) {
    if (length > this.#fake.geometry.capacity)
      return { error: 'io.memio.client.PayloadTooLarge', message: `${length} bytes are too many` };
    this.calls.push(`begin ${length}`);
    return this.free;
  }
  commit(): number {
    this.calls.push('commit');
    return 1;
  }
  abort(): void {
    this.calls.push('abort');
  }
  subscribe(_handle: number, lastSeen: number, changed: () => void): undefined {
    this.calls.push(`subscribe ${lastSeen}`);
    this.changed = changed;
  }
  wake(): void {
    this.calls.push('wake');
  }
  close(): void {
    this.calls.push('close');
  }
  layStream(): number {
    return 0;
  }
  joinStream(): undefined {}
  ringOther(): void {}
  otherLives(): boolean {
    return true;
  }
  call(): void {}
  cancelCall(): void {}
  handle(): void {}
  unhandle(): void {}
  answer(): void {}
  reject(): void {}
  emit(): void {}
  listen(): void {}
  unlisten(): void {}
  taken(): void {}
  refusePost(): void {}
  postWebMessage(): void {}
  suspend(): void {}
  resume(): void {}
}

/** A Region over a FakeRegion, and what it has asked for. */
export function openFake(fake: FakeRegion, access: Access = 'write'): { region: Region; native: FakeNative } {
  const native = new FakeNative(fake);
  const { slots, capacity, stride } = fake.geometry;
  const info: RegionInfo = {
    ...{ name: 't/fake', generation: 1, layout: 'memio64', slots, capacity, stride },
    ...{ lifetime: 'session', exclusive: false, hugePages: false, sequence: 0, handles: 1 },
  };
  const owner = {
    hold: () => void native.calls.push('hold'),
    closed: () => void native.calls.push('closed'),
    read: (_region: Region, sequence: number) => void native.calls.push(`read ${sequence}`),
    share: () => Promise.reject(new Error('not here')),
  };
  return { region: regionInternals.make(native, { handle, access, info, memory: fake.memory, owner }), native };
}
