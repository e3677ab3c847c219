// SPDX-License-Identifier: MIT
// Adds up numbers where they lie: in a region that memio.mapInto() has made part of this module's memory.
//
//     const memory = new WebAssembly.Memory({ initial: 64, maximum: 64 });   // one that cannot move
//     const { instance } = await WebAssembly.instantiateStreaming(fetch('sum.wasm'), { env: { memory } });
//     const mapping = memio.mapInto(memory, 65536, region);
//     const snapshot = region.read();
//     instance.exports.sum(mapping.offsetOf(snapshot), snapshot.length / 8);
//     snapshot.release();
//
// sum.wasm is this, built with
//     clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry,--import-memory,--strip-all -o sum.wasm sum.c

__attribute__((export_name("sum"))) double sum(const double* numbers, unsigned count) {
  double total = 0;
  for (unsigned i = 0; i < count; ++i) total += numbers[i];
  return total;
}

// Writes them as well, into the place that region.begin() gave.
__attribute__((export_name("fill"))) void fill(double* numbers, unsigned count, double value) {
  for (unsigned i = 0; i < count; ++i) numbers[i] = value;
}
