// SPDX-License-Identifier: MIT
// Commands and messages of a document: what it invokes and handles, what it emits and listens to.
import { pack, unpack } from './attachments.js';
import { MemioError } from './errors.js';
import type { Native, Opened } from './native.js';
import { Bytes, microtask } from './primordials.js';
import { describe } from './publishing.js';
import type { Region } from './region.js';

export interface InvokeOptions {
  /** Gives the call up; the handler is told. The promise rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Milliseconds after which it has failed, with `io.memio.CallTimedOut`; for ever unless told otherwise. */
  timeout?: number;
}

/** What a handler gets besides the arguments. */
export interface CallContext {
  /** The command. */
  readonly name: string;
  /** Aborted when nobody waits for the result any more. */
  readonly signal: AbortSignal;
}

/** Gives the result, or throws: the caller gets the error's `name`, `message` and, if it has such a member, `details`. */
export type CommandFunction = (args: unknown, context: CallContext) => unknown;

export interface Message {
  readonly topic: string;
  readonly payload: unknown;
  /** How many messages before this one were dropped, because too many waited. */
  readonly lost: number;
}
export type MessageFunction = (message: Message) => unknown;

/** What the extension gives for an attachment: bytes, a region that is open now, or nothing that JavaScript could use. */
export type IncomingAttachment = Uint8Array<ArrayBuffer> | Opened | null;

/** An answer as the extension gives it. */
export interface CallResult {
  readonly json: string;
  readonly attachments: readonly IncomingAttachment[];
}

/** What Calls needs of its document. */
export interface CallsOwner {
  ask<T>(send: (request: number) => void): Promise<T>;
  /** A number that is no request's. */
  number(): number;
  adopt(opened: Opened): Region;
}

/** Something that the document handles or listens to, as long as it is not ended. */
interface Standing {
  readonly begin: () => Promise<void>;
  /** As "handles t/x", for people. */
  readonly what: string;
}

interface Handling extends Standing {
  readonly name: string;
  readonly run: CommandFunction;
}

interface Listening extends Standing {
  readonly run: MessageFunction;
}

export class Calls {
  readonly #native: Native;
  readonly #owner: CallsOwner;
  readonly #handlers = new Map<number, Handling>();
  readonly #listeners = new Map<number, Listening>();
  /** Calls that came and are not answered. */
  readonly #running = new Map<number, AbortController>();
  /** How often the document was left. */
  #departures = 0;

  constructor(native: Native, owner: CallsOwner) {
    this.#native = native;
    this.#owner = owner;
  }

  async invoke(name: string, args: unknown, options: InvokeOptions = {}): Promise<unknown> {
    const { signal, timeout } = options;
    if (timeout !== undefined && timeout !== Infinity && !(Number.isSafeInteger(Math.ceil(timeout)) && timeout >= 0))
      throw misuse(`timeout is a number of milliseconds, not ${describe(timeout)}.`);
    signal?.throwIfAborted();
    const { json, attachments } = pack(args, `What ${describe(name)} is invoked with`);
    let request = 0;
    const milliseconds = timeout === undefined || timeout === Infinity ? undefined : Math.ceil(timeout);
    const answer = this.#owner.ask<CallResult>((n) => {
      request = n;
      this.#native.call(n, name, json, milliseconds, ...attachments);
    });
    if (signal === undefined) return this.#unpack(await answer);
    let abort = (): void => {};
    const aborted = new Promise<never>((_resolve, reject) => {
      abort = () => {
        this.#native.cancelCall(request);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
    });
    let result: CallResult;
    try {
      result = await Promise.race([answer, aborted]);
    } catch (error) {
      answer.then(({ attachments }) => this.#drop(attachments)).catch(() => {}); // nobody waits for what comes after an abort
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
    return this.#unpack(result);
  }

  async handle(name: string, run: CommandFunction): Promise<() => void> {
    if (typeof run !== 'function') throw misuse(`handle() takes a function, not ${describe(run)}.`);
    const number = this.#owner.number();
    const begin = () => this.#owner.ask<void>((n) => this.#native.handle(n, number, name));
    return this.#stand(this.#handlers, number, { name, run, begin, what: `handles ${name}` }, () => this.#native.unhandle(number));
  }

  async emit(topic: string, payload: unknown): Promise<void> {
    const { json, attachments } = pack(payload, `What is emitted under ${describe(topic)}`);
    if (attachments.length > 0) throw misuse('Messages carry no bytes and no regions; publish those in a region, or invoke a command.');
    await this.#owner.ask<unknown>((n) => this.#native.emit(n, topic, json));
  }

  async listen(pattern: string, run: MessageFunction, once = false): Promise<() => void> {
    if (typeof run !== 'function') throw misuse(`listen() takes a function, not ${describe(run)}.`);
    const number = this.#owner.number();
    const begin = () => this.#owner.ask<void>((n) => this.#native.listen(n, number, pattern));
    const unlisten = (): void => void (this.#listeners.delete(number) && this.#native.unlisten(number));
    const first: MessageFunction = (message) => {
      unlisten();
      return run(message);
    };
    const listening: Listening = { run: once ? first : run, begin, what: `listens to ${pattern}` };
    return this.#stand(this.#listeners, number, listening, () => this.#native.unlisten(number));
  }

  /** A call came. */
  called(number: number, call: number, json: string, attachments: readonly IncomingAttachment[]): void {
    const handling = this.#handlers.get(number);
    if (handling === undefined) {
      this.#drop(attachments);
      return this.#native.reject(call, 'Unanswered', 'The page handles this command no longer.', undefined);
    }
    void this.#answer(handling, call, { json, attachments });
  }

  callCancelled(call: number): void {
    this.#running.get(call)?.abort(new MemioError('io.memio.CallCancelled', 'Nobody waits for the result any more.'));
    this.#running.delete(call);
  }

  message(number: number, topic: string, json: string, lost: number): void {
    const listening = this.#listeners.get(number);
    if (listening === undefined) return;
    try {
      listening.run({ topic, payload: unpack(json, []), lost });
    } catch (error) {
      report(error); // as an event's listener: the next one is called
    }
  }

  /**
   * The extension says that it handles or listens no longer: another has the command now, or memiod is gone for good. No promise of
   * the page's could tell it that, so it is reported.
   */
  ended(number: number, { name, message }: MemioError): void {
    const standing = this.#handlers.get(number) ?? this.#listeners.get(number);
    if (standing === undefined) return;
    this.#handlers.delete(number);
    this.#listeners.delete(number);
    report(new MemioError(name, `The page ${standing.what} no longer: ${message}`));
  }

  /** The document goes. `kept`: it may come back, and then handles and listens again. */
  suspend(kept: boolean): void {
    ++this.#departures;
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const each of running) each.abort(new MemioError('io.memio.client.Disconnected', 'The document was left.'));
    if (kept) return;
    this.#handlers.clear();
    this.#listeners.clear();
  }

  resume(): void {
    const departures = this.#departures;
    for (const [number, { begin }] of [...this.#handlers, ...this.#listeners] as [number, Standing][])
      begin().catch((error: MemioError) => {
        if (departures === this.#departures) this.ended(number, error); // else it was left again: the next time, then
      });
  }

  async #stand<T extends Standing>(all: Map<number, T>, number: number, standing: T, stop: () => void): Promise<() => void> {
    all.set(number, standing); // before it begins: what it is to be told may come with the answer
    try {
      await standing.begin();
    } catch (error) {
      all.delete(number);
      throw error;
    }
    return () => {
      if (all.delete(number)) stop();
    };
  }

  async #answer({ name, run }: Handling, call: number, given: CallResult): Promise<void> {
    const controller = new AbortController();
    this.#running.set(call, controller);
    try {
      const result = await run(this.#unpack(given), { name, signal: controller.signal });
      const { json, attachments } = pack(result, `What ${name} gives`);
      if (this.#running.delete(call)) this.#native.answer(call, json, ...attachments);
    } catch (error) {
      if (this.#running.delete(call)) this.#reject(call, error);
    }
  }

  #reject(call: number, error: unknown): void {
    const { name = 'Error', message, details } = (typeof error === 'object' && error !== null ? error : { message: describe(error) }) as {
      name?: unknown;
      message?: unknown;
      details?: unknown;
    };
    let json: string | undefined;
    try {
      if (details !== undefined) ({ json } = pack(details, 'details'));
    } catch {
      // Details that JSON cannot say are left out; the error itself is more important.
    }
    this.#native.reject(call, String(name), String(message ?? ''), json);
  }

  #take(attachment: IncomingAttachment): unknown {
    if (attachment === null) return null;
    if ('handle' in attachment) return this.#owner.adopt(attachment);
    return new Bytes(attachment); // what the extension has filled is pinned, and could not be sent to a worker
  }

  /** Closes the regions that nobody gets. */
  #drop(attachments: readonly IncomingAttachment[]): void {
    for (const each of attachments) if (each !== null && 'handle' in each) this.#native.close(each.handle);
  }

  #unpack({ json, attachments }: CallResult): unknown {
    const taken: unknown[] = [];
    try {
      for (const each of attachments) taken.push(this.#take(each));
    } catch (error) {
      this.#drop(attachments.slice(taken.length + 1)); // the one that failed is closed
      throw error;
    }
    return unpack(json, taken);
  }
}

/** Reports what no promise can tell, as uncaught. */
function report(error: unknown): void {
  microtask(() => {
    throw error;
  });
}

function misuse(message: string): MemioError {
  return new MemioError('io.memio.client.Misuse', message);
}
