// SPDX-License-Identifier: MIT
#include "common/fd_source.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "memio/unique_fd.h"

namespace memio::webext {
namespace {

UniqueFd rung() { return UniqueFd(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)); }

void drain(const UniqueFd& event) {
  eventfd_t count = 0;
  EXPECT_EQ(0, ::eventfd_read(event.get(), &count));
}

// It keeps a descriptor of its own from its first use on: here, before the tests count theirs.
[[maybe_unused]] GMainContext* const default_context = g_main_context_default();

// All that is to be done now, without waiting.
void run_loop() {
  while (g_main_context_iteration(nullptr, FALSE)) {
  }
}

TEST(FdSource, CallsAsLongAsTheDescriptorIsReadable) {
  const UniqueFd event = rung();
  int calls = 0;
  const FdSource source(event.get(), [&] {
    if (++calls % 3 == 0) drain(event);
  });
  run_loop();
  EXPECT_EQ(3, calls);
  ASSERT_EQ(0, ::eventfd_write(event.get(), 1));
  run_loop();
  EXPECT_EQ(6, calls);
}

TEST(FdSource, CallsNothingWithinALoopOfTheCallAndGoesOnAfterIt) {
  const UniqueFd event = rung();
  int calls = 0;
  bool within = false;
  const FdSource source(event.get(), [&] {
    EXPECT_FALSE(within);
    within = true;
    // The descriptor is still readable: the loop must not be kept busy by that.
    run_loop();
    within = false;
    if (++calls == 2) drain(event);
  });
  run_loop();
  EXPECT_EQ(2, calls);
}

TEST(FdSource, MayBeDestroyedFromWithinTheCall) {
  const UniqueFd event = rung();
  const auto witness = std::make_shared<int>(0);
  std::optional<FdSource> source;
  source.emplace(event.get(), [&source, witness] {
    ++*witness;
    run_loop();
    source.reset();
    run_loop();
  });
  EXPECT_EQ(2, witness.use_count());
  run_loop();
  EXPECT_EQ(1, *witness);
  EXPECT_EQ(1, witness.use_count());
}

}  // namespace
}  // namespace memio::webext
