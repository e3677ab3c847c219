// SPDX-License-Identifier: MIT
#include "memio/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "memio/protocol_json.h"

namespace memio {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr auto last_code = static_cast<unsigned>(Errc::system);

TEST(Errc, BeginsWithTheErrorsOfTheInterfaceInItsOrder) {
  for (std::size_t i = 0; i < protocol::error_names.size(); ++i)
    EXPECT_EQ(error_name(static_cast<Errc>(i)), protocol::error_names[i]);
  EXPECT_THAT(std::string(error_name(static_cast<Errc>(protocol::error_names.size()))),
              StartsWith("org.varlink.service."));
}

TEST(Errc, HasADistinctNameForEachErrorThatReadsBack) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i <= last_code; ++i) {
    const auto code = static_cast<Errc>(i);
    EXPECT_TRUE(names.insert(error_name(code)).second) << error_name(code);
    EXPECT_EQ(error_from_name(error_name(code)), code);
  }
  EXPECT_EQ(error_from_name("io.memio.NoSuchError"), Errc::protocol_violation);
  EXPECT_EQ(error_from_name(""), Errc::protocol_violation);
}

TEST(Error, SaysWhatWasWrongAndWhichErrorItIs) {
  EXPECT_EQ((Error{Errc::invalid_name, 0, "it is empty"}.text()), "it is empty (io.memio.InvalidName)");
  EXPECT_EQ((Error{Errc::system, ENOENT, "connecting"}.text()), "connecting: No such file or directory");
}

TEST(Error, HasASentenceEvenIfItWasMadeWithoutOne) {
  for (const auto code :
       {Errc::payload_too_large, Errc::read_only, Errc::busy, Errc::corrupt, Errc::evicted, Errc::misuse,
        Errc::disconnected, Errc::timed_out, Errc::out_of_resources, Errc::aborted, Errc::peer_gone}) {
    const auto text = Error{code}.text();
    EXPECT_THAT(text, testing::Not(HasSubstr("the request failed"))) << error_name(code);
    EXPECT_THAT(text, HasSubstr(std::string(error_name(code))));
  }
}

}  // namespace
}  // namespace memio
