// SPDX-License-Identifier: MIT
#include "memio/unique_fd.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <cerrno>
#include <type_traits>

namespace memio {
namespace {

static_assert(!std::is_copy_constructible_v<UniqueFd> && !std::is_copy_assignable_v<UniqueFd>);
static_assert(!std::is_convertible_v<UniqueFd, int> && !std::is_convertible_v<int, UniqueFd>);
static_assert(!std::is_constructible_v<bool, UniqueFd>);

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFd, ClosesWhatItOwnsExactlyOnce) {
  int number = -1;
  {
    UniqueFd first(::eventfd(0, EFD_CLOEXEC));
    number = first.get();
    UniqueFd second(std::move(first));
    EXPECT_FALSE(first.valid());
    EXPECT_EQ(second.get(), number);
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, ClosesWhatItHadWhenItIsGivenAnother) {
  UniqueFd target(::eventfd(0, EFD_CLOEXEC));
  UniqueFd source(::eventfd(0, EFD_CLOEXEC));
  const int old = target.get();
  const int kept = source.get();
  target = std::move(source);
  EXPECT_FALSE(is_open(old));
  EXPECT_TRUE(is_open(kept));
  auto& itself = target;
  target = std::move(itself);
  EXPECT_TRUE(is_open(kept));
}

TEST(UniqueFd, SaysWhetherClosingWentWell) {
  UniqueFd owner(::eventfd(0, EFD_CLOEXEC));
  const int number = owner.get();
  EXPECT_TRUE(owner.close());
  EXPECT_FALSE(owner.valid());
  EXPECT_FALSE(is_open(number));
  EXPECT_FALSE(owner.close());
  EXPECT_EQ(errno, EBADF);
}

TEST(UniqueFd, GivesItsDescriptorAwayOpen) {
  UniqueFd owner(::eventfd(0, EFD_CLOEXEC));
  const UniqueFd next(owner.release());
  EXPECT_FALSE(owner.valid());
  EXPECT_TRUE(is_open(next.get()));
}

}  // namespace
}  // namespace memio
