// SPDX-License-Identifier: MIT
// The extension's side of a document whose regions lie in ordinary buffers: each open handle has its own copy, and a
// publish reaches them all.
import type { Layout, Region as RegionInfo } from '../../generated/protocol.js';
import { DocumentRuntime } from '../../src/memio.js';
import { leaseTableCellsOffset } from '../../src/format.js';
import type { Aliased, Native, NativeError } from '../../src/native.js';

const pageSize = 4096;
const headerSize = 64;
const magic = 0x5455_5242_4f53_4852n;

interface Handle {
  readonly name: string;
  readonly access: string;
  data: ArrayBuffer | undefined;
  control: ArrayBuffer | undefined;
  begun: { slot: number; length: number } | undefined;
  changed?: () => void;
}

interface FakeRegion {
  readonly info: RegionInfo;
  readonly writable: boolean;
  slot: number;
  sequence: bigint;
  version: bigint;
  bytes: Uint8Array;
}

export class FakeBroker {
  readonly regions = new Map<string, FakeRegion>();
  readonly handles = new Map<number, Handle>();
  /** What the runtime told the application, in order. */
  readonly told: unknown[][] = [];
  readonly runtime: DocumentRuntime;
  #lastHandle = 0;

  constructor(...compatibility: string[]) {
    this.runtime = new DocumentRuntime(this.#native(compatibility));
  }

  make(name: string, { slots = 4, capacity = 1000, layout = 'memio64' as Layout, writable = true, generation = 1 } = {}): void {
    const info: RegionInfo = {
      name, generation, layout, slots, capacity, stride: pageSize, lifetime: 'session', exclusive: false, hugePages: false, sequence: 0, handles: 0,
    };
    this.regions.set(name, { info, writable, slot: 0, sequence: 0n, version: 0n, bytes: new Uint8Array() });
  }

  publish(name: string, bytes: Uint8Array, version?: bigint): void {
    const region = this.regions.get(name)!;
    region.slot = region.info.slots === 1 ? 0 : (region.slot + 1) % region.info.slots;
    region.sequence += 1n;
    region.version = version ?? region.version + 1n;
    region.bytes = bytes.slice();
    for (const handle of this.handles.values())
      if (handle.name === name) {
        this.#show(handle);
        handle.changed?.();
      }
  }

  text(name: string): string {
    return new TextDecoder().decode(this.regions.get(name)!.bytes);
  }

  open(name: string): number {
    return [...this.handles.values()].filter((handle) => handle.name === name).length;
  }

  /** The slots that are leased through open handles. */
  leases(name: string): number {
    const mine = [...this.handles.values()].filter((handle) => handle.name === name && handle.control !== undefined);
    return mine.reduce((mask, { control }) => mask | new Int32Array(control!, pageSize + leaseTableCellsOffset)[0]!, 0);
  }

  #show(handle: Handle): void {
    const { info, slot, sequence, version, bytes } = this.regions.get(handle.name)!;
    if (handle.data === undefined) return;
    const view = new DataView(handle.data, slot * info.stride);
    view.setBigUint64(0, magic, true);
    view.setBigUint64(8, version, true);
    view.setBigUint64(16, BigInt(bytes.length), true);
    new Uint8Array(handle.data, slot * info.stride + headerSize).set(bytes);
    new DataView(handle.control!).setBigUint64(64, (sequence << 6n) | BigInt(slot), true);
  }

  #native(compatibility: string[]): Native {
    const answer = (request: number, error: string, value: unknown) =>
      queueMicrotask(() => this.runtime.settle(request, error, typeof value === 'function' ? value() : value));
    const handleOf = (number: number) => this.handles.get(number)!;
    return {
      pageSize,
      options: { compatibility, workers: false },
      open: (request, name, access) => {
        const region = this.regions.get(name);
        if (region === undefined) return answer(request, 'io.memio.NoSuchRegion', 'none');
        if (access === 'write' && !region.writable) return answer(request, 'io.memio.PermissionDenied', 'no');
        const handle = ++this.#lastHandle;
        this.handles.set(handle, { name, access, data: undefined, control: undefined, begun: undefined });
        const dataSize = region.info.slots * pageSize;
        answer(request, '', { handle, access, info: region.info, cell: 0, dataSize, controlSize: 2 * pageSize });
      },
      create: (request, name, capacity, slots) => {
        this.make(name, { capacity, slots: slots ?? 4 });
        this.runtime.memio.open(name, { access: 'write' }).then(
          (region) => answer(request, 'io.memio.RegionExists', region.name),
          () => undefined,
        );
      },
      list: (request) => answer(request, '', () => [...this.regions.values()].map((region) => region.info)),
      stat: (request) => answer(request, 'io.memio.NoSuchRegion', 'none'),
      remove: (request) => answer(request, '', undefined),
      alias: (number, data, control): Aliased | NativeError => {
        Object.assign(handleOf(number), { data, control });
        const { slot } = this.regions.get(handleOf(number).name)!;
        new DataView(data, slot * pageSize).setBigUint64(0, magic, true);
        this.#show(handleOf(number));
        return { dataOffset: 0, controlOffset: 0, storedOffset: control.byteLength - 4 };
      },
      share: () => ({ error: 'io.memio.client.System', message: 'not here' }),
      mapInto: () => ({ error: 'io.memio.client.System', message: 'not here' }),
      unmap: () => undefined,
      watch: () => undefined,
      unwatch: () => undefined,
      begin: (number, length) => {
        const { info } = this.regions.get(handleOf(number).name)!;
        if (length > info.capacity) return { error: 'io.memio.client.PayloadTooLarge', message: 'too large' };
        // Where the next publish goes, so that filling it disturbs nobody.
        const slot = info.slots === 1 ? 0 : (this.regions.get(info.name)!.slot + 1) % info.slots;
        handleOf(number).begun = { slot, length };
        return slot;
      },
      commit: (number, low, high) => {
        const handle = handleOf(number);
        const { slot, length } = handle.begun!;
        const bytes = new Uint8Array(handle.data!, slot * pageSize + headerSize, length);
        const version = low === undefined ? undefined : (BigInt(high!) << 32n) | BigInt(low);
        this.publish(handle.name, bytes, version);
        return Number(this.regions.get(handle.name)!.sequence);
      },
      abort: () => undefined,
      window: (number, offset, length) => {
        const { data } = handleOf(number);
        return data!.slice(offset, offset + length);
      },
      mend: (number) => void this.#show(handleOf(number)),
      subscribe: (number, _lastSeen, changed) => void Object.assign(handleOf(number), { changed }),
      wake: () => undefined,
      layStream: () => ({ error: 'io.memio.client.System', message: 'not here' }),
      joinStream: () => undefined,
      ringOther: () => undefined,
      otherLives: () => true,
      close: (number) => void this.handles.delete(number),
      call: () => undefined,
      cancelCall: () => undefined,
      handle: () => undefined,
      unhandle: () => undefined,
      answer: () => undefined,
      reject: () => undefined,
      emit: () => undefined,
      listen: () => undefined,
      unlisten: () => undefined,
      taken: (post) => this.told.push(['taken', post]),
      refusePost: (post, error) => this.told.push(['refused', post, error]),
      postWebMessage: (json) => this.told.push(['message', json]),
      suspend: () => this.handles.clear(),
      resume: () => undefined,
    };
  }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
/** Until all answers that are under way have come. */
export const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve));
