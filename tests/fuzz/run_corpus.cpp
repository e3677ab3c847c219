// SPDX-License-Identifier: MIT
// Stands in for libFuzzer where there is none: runs each file of the folders named on the command line, whole and cut
// short at some places.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "fuzz.h"

int main(int argc, char** argv) {
  int inputs = 0;
  for (int i = 1; i < argc; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      const std::size_t step = 1 + bytes.size() / 40;
      for (std::size_t left_out = 0; left_out <= bytes.size(); left_out += step, ++inputs) {
        // A copy of its own, so that a read past the end is one past the end of an allocation.
        const std::string cut = bytes.substr(0, bytes.size() - left_out);
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(cut.data()), cut.size());
      }
    }
  }
  std::printf("%d inputs\n", inputs);
  return inputs > 0 ? 0 : 1;
}
