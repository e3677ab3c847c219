// SPDX-License-Identifier: MIT
// Values that are called with, answered and emitted: JSON, in which bytes and regions are replaced by what stands for them
// (proto/PROTOCOL.md, "Attachments"): {"$bytes": i} and {"$region": i} for attachment i.
import { MemioError } from './errors.js';
import { Buffer, Bytes, hasOwn, parseJson, SharedBuffer, toJson } from './primordials.js';
import { toBytes } from './publishing.js';
import { regionInternals } from './region.js';

/** What goes to the extension: bytes in memory of their own, or the handle of a region. */
export type OutgoingAttachment = Uint8Array | number;

export interface Packed {
  readonly json: string;
  readonly attachments: readonly OutgoingAttachment[];
}

/** As many regions as a call may have, and other attachments besides. */
const mostRegions = 5;
const mostAttachments = 16;

const markers = ['$bytes', '$region', '$descriptor'] as const;

function isBytes(value: unknown): value is ArrayBufferLike | ArrayBufferView {
  return Buffer.isView(value) || value instanceof Buffer || (SharedBuffer !== undefined && value instanceof SharedBuffer);
}

/** Turns a value to JSON. Error: Misuse, if JSON cannot say it, or if something in it looks like an attachment. */
export function pack(value: unknown, what: string): Packed {
  const attachments: OutgoingAttachment[] = [];
  const made = new WeakSet<object>();
  const stand = (marker: string, attachment: OutgoingAttachment): object => {
    const place = { [marker]: attachments.push(attachment) - 1 };
    made.add(place);
    return place;
  };
  const replace = (_key: string, each: unknown): unknown => {
    if (typeof each !== 'object' || each === null || made.has(each)) return each;
    if (isBytes(each)) return stand('$bytes', new Bytes(toBytes(each)));
    const handle = regionInternals.handleOf(each);
    if (handle !== undefined) return stand('$region', handle);
    if (regionInternals.isRegion(each)) throw misuse(`${what} has a region in it that has been closed.`);
    if (markerOf(each) !== undefined) throw misuse(`${what} has an object with the one member ${markerOf(each)}, which means an attachment.`);
    return each;
  };
  let json: string | undefined;
  try {
    json = toJson(value, replace);
  } catch (error) {
    if (error instanceof MemioError) throw error;
    throw misuse(`${what} has to be something that JSON can say, with bytes and regions in it: ${String(error)}`);
  }
  if (attachments.length > mostAttachments || attachments.filter((each) => typeof each === 'number').length > mostRegions)
    throw misuse(`${what} has too many attachments: ${mostRegions} regions and ${mostAttachments} in all are possible.`);
  // What JSON has no word for, such as undefined, is null.
  return { json: json ?? 'null', attachments };
}

/** The value, with what was attached in its place. */
export function unpack(json: string, attachments: readonly unknown[]): unknown {
  return parseJson(json, (_key, each: unknown) => {
    const marker = attachments.length > 0 && typeof each === 'object' && each !== null ? markerOf(each) : undefined;
    if (marker === undefined) return each;
    const index = (each as Record<string, unknown>)[marker];
    return typeof index === 'number' && index in attachments ? attachments[index] : each;
  });
}

function markerOf(value: object): string | undefined {
  const marker = markers.find((each) => hasOwn(value, each));
  return marker !== undefined && Object.keys(value).length === 1 ? marker : undefined;
}

function misuse(message: string): MemioError {
  return new MemioError('io.memio.client.Misuse', message);
}
