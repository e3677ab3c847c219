// SPDX-License-Identifier: MIT
import { MemioError } from '../src/errors.js';

/** The name of the MemioError that an action throws; 'none' if it throws nothing. */
export function nameOfError(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof MemioError) return error.name;
    throw error;
  }
  return 'none';
}
