// SPDX-License-Identifier: MIT
#pragma once

// Byte tables of the format documents, and memory to compare with them.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <new>
#include <ostream>
#include <regex>
#include <string>
#include <vector>

namespace memio::testing_tables {

constexpr std::uint64_t page = 4096;  // what the figures in the tests are for

struct Row {
  std::uint64_t offset;
  std::uint64_t bytes;
  std::string field;
  bool operator==(const Row&) const = default;
};

inline void PrintTo(const Row& row, std::ostream* out) { *out << row.offset << ' ' << row.bytes << ' ' << row.field; }

// The rows of the byte table under a heading of a document: | offset | bytes | `field` | ...
inline std::vector<Row> documented_in(const std::string& document, const std::string& heading) {
  std::ifstream file(MEMIO_PROTO_DIR "/" + document);
  std::vector<Row> rows;
  const std::regex row("\\| *([0-9]+) *\\| *([0-9]+) *\\| *`([a-z_]+)` *\\|.*");
  bool in_section = false;
  for (std::string line; std::getline(file, line);) {
    std::smatch match;
    if (line.starts_with("#"))
      in_section = line.substr(line.find_first_not_of("# ")) == heading;
    else if (in_section && std::regex_match(line, match, row))
      rows.push_back({std::stoull(match[1]), std::stoull(match[2]), match[3]});
  }
  return rows;
}

#define ROW(type, field) \
  memio::testing_tables::Row { offsetof(type, field), sizeof(type::field), #field }

// Fields by hand, so that neither the compiler's idea of the layout nor its byte order is part of the test.
template <class T>
class Image {
 public:
  Image() { std::memset(bytes_, 0, sizeof bytes_); }
  [[nodiscard]] T& object() { return *std::launder(reinterpret_cast<T*>(bytes_)); }
  [[nodiscard]] std::uint64_t number(std::size_t offset, std::size_t size) const {
    std::uint64_t value = 0;
    for (std::size_t i = size; i > 0; --i) value = value << 8 | bytes_[offset + i - 1];
    return value;
  }

 private:
  alignas(64) unsigned char bytes_[page];
};

}  // namespace memio::testing_tables
