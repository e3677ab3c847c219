// SPDX-License-Identifier: MIT
import type { ErrorName as ProtocolErrorName } from '../generated/protocol.js';

/** The names of errors that memiod never sends, because the library finds them itself. */
export type ClientErrorName =
  | 'io.memio.client.PayloadTooLarge'
  | 'io.memio.client.ReadOnly'
  | 'io.memio.client.Busy'
  | 'io.memio.client.Corrupt'
  | 'io.memio.client.Evicted'
  | 'io.memio.client.Misuse'
  | 'io.memio.client.Disconnected'
  | 'io.memio.client.TimedOut'
  | 'io.memio.client.ProtocolViolation'
  | 'io.memio.client.System'
  | 'io.memio.client.PeerGone'
  | 'io.memio.client.Aborted'
  | 'org.varlink.service.InvalidParameter';

export type ErrorName = ProtocolErrorName | ClientErrorName;

/**
 * What went wrong. `name` is the protocol's name, such as `io.memio.NoSuchRegion`; `message` is for people. If the handler of a command has
 * rejected a call, `rejected` is true, `name` is the handler's own, whatever that looks like, and `details` what else it said.
 */
export class MemioError extends Error {
  override readonly name: string;
  readonly rejected: boolean;
  readonly details: unknown;

  constructor(name: ErrorName | (string & {}), message: string, rejection?: { readonly details: unknown }) {
    super(message);
    this.name = name;
    this.rejected = rejection !== undefined;
    this.details = rejection?.details;
  }
}
