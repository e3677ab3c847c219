// SPDX-License-Identifier: MIT
#include "mapping.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <tuple>

#include "memio/region_format.h"
#include "memio/unique_fd.h"

namespace memio {
namespace {

constexpr std::uint64_t size = 2 * format::huge_page_size;

UniqueFd make_file(std::uint64_t bytes = size + 4096) {
  UniqueFd file(::memfd_create("mapping", MFD_CLOEXEC));
  EXPECT_EQ(::ftruncate(file.get(), static_cast<off_t>(bytes)), 0);
  return file;
}

std::uint64_t memory_of(const UniqueFd& file) {
  struct stat status {};
  ::fstat(file.get(), &status);
  return static_cast<std::uint64_t>(status.st_blocks) * 512;
}

// What the kernel says of the mapping that begins at `data`, such as "ShmemPmdMapped:", in KiB.
std::uint64_t smaps_field(const std::byte* data, const std::string& field) {
  std::ifstream smaps("/proc/self/smaps");
  bool here = false;
  for (std::string line; std::getline(smaps, line);) {
    if (line.find('-') < line.find(' '))
      here = std::stoull(line, nullptr, 16) == reinterpret_cast<std::uintptr_t>(data);
    else if (here && line.starts_with(field))
      return std::stoull(line.substr(field.size()));
  }
  ADD_FAILURE() << "there is no " << field << " for this mapping";
  return 0;
}

TEST(Mapping, RefusesAFileThatIsTooShort) {
  EXPECT_EQ(Mapping::map(make_file(4096).get(), 8192, protocol::Access::read).error().code, Errc::corrupt);
}

TEST(Mapping, ForHugePagesBeginsWhereOneMay) {
  const auto file = make_file();
  for (int i = 0; i < 8; ++i) {
    const auto mapping = Mapping::map(file.get(), size + 4096, protocol::Access::write, Mapping::Pages::huge);
    ASSERT_TRUE(mapping) << mapping.error().text();
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(mapping->data()) % format::huge_page_size, 0U);
    mapping->data()[size] = std::byte{1};
  }
}

TEST(Mapping, AFailureLeavesNoAddressesReserved) {
  const UniqueFd file(::memfd_create("mapping", MFD_CLOEXEC));
  ASSERT_EQ(::ftruncate(file.get(), static_cast<off_t>(size)), 0);
  const UniqueFd reader(::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_CLOEXEC));
  const auto mappings = [] {
    std::ifstream maps("/proc/self/maps");
    return std::count(std::istreambuf_iterator<char>(maps), {}, '\n');
  };
  constexpr int tries = 100;  // a sanitizer makes mappings of its own meanwhile
  const auto before = mappings();
  for (int i = 0; i < tries; ++i) {
    const auto mapping = Mapping::map(reader.get(), size, protocol::Access::write, Mapping::Pages::huge);
    EXPECT_EQ(mapping.error().code, Errc::system);
  }
  EXPECT_LT(mappings(), before + tries / 2);
}

TEST(Mapping, CostsNothingUntilItIsTouched) {
  const auto file = make_file();
  const auto mapping = Mapping::map(file.get(), size, protocol::Access::write, Mapping::Pages::huge);
  ASSERT_TRUE(mapping);
  EXPECT_EQ(memory_of(file), 0U);
}

class Prefault : public testing::TestWithParam<std::tuple<protocol::Access, Mapping::Pages>> {};

TEST_P(Prefault, HasTheMemoryAllocatedAndMapped) {
  const auto& [access, pages] = GetParam();
  const auto file = make_file();
  auto mapping = Mapping::map(file.get(), size + 4096, access, pages);
  ASSERT_TRUE(mapping);
  const auto prefaulted = mapping->prefault(size);
  ASSERT_TRUE(prefaulted) << prefaulted.error().text();
  EXPECT_GE(memory_of(file), size);
  EXPECT_GE(smaps_field(mapping->data(), "Rss:") * 1024, size);
}

INSTANTIATE_TEST_SUITE_P(All, Prefault,
                         testing::Combine(testing::Values(protocol::Access::read, protocol::Access::write),
                                          testing::Values(Mapping::Pages::small, Mapping::Pages::huge)),
                         [](const auto& tested) {
                           return std::string(std::get<0>(tested.param) == protocol::Access::read ? "Read" : "Write") +
                                  (std::get<1>(tested.param) == Mapping::Pages::small ? "Small" : "Huge");
                         });

// Not every kernel collapses shared memory, and the one that does may have no huge page left.
TEST(Mapping, PrefaultingUsesHugePagesWhereTheKernelDoes) {
  const auto file = make_file();
  auto mapping = Mapping::map(file.get(), size, protocol::Access::write, Mapping::Pages::huge);
  ASSERT_TRUE(mapping && mapping->prefault(size));
  const auto huge = [&] { return smaps_field(mapping->data(), "ShmemPmdMapped:") * 1024; };
  if (huge() == size) return;
  ::madvise(mapping->data(), size, 25 /* MADV_COLLAPSE */);
  if (huge() != size) GTEST_SKIP() << "this kernel makes no huge pages of shared memory now";
  FAIL() << "the kernel would have made huge pages";
}

}  // namespace
}  // namespace memio
