// SPDX-License-Identifier: MIT
// Every wrong request has an error of its own that says what was wrong, and the connection goes on.

#include <gtest/gtest.h>

#include "support/bytes.h"
#include "support/daemon.h"

namespace memio::test {
namespace {

class Errors : public DaemonTest {
 protected:
  Client client_ = daemon_.connect();

  void TearDown() override { EXPECT_TRUE(client_.list()) << "the connection did not survive"; }

  template <class T>
  static void expect_error(const Result<T>& result, Errc code, std::string_view part_of_text) {
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, code) << result.error().text();
    EXPECT_NE(result.error().text().find(part_of_text), std::string::npos) << result.error().text();
  }
};

TEST_F(Errors, UnknownNames) {
  expect_error(client_.open("nobody", Access::read), Errc::no_such_region, "nobody");
  expect_error(client_.stat("nobody"), Errc::no_such_region, "nobody");
  expect_error(client_.remove("nobody"), Errc::no_such_region, "nobody");
}

TEST_F(Errors, NamesOutsideTheRules) {
  const std::vector<std::pair<std::string, std::string>> wrong = {{"", "empty"},
                                                                  {"/a", "empty"},
                                                                  {"a/", "empty"},
                                                                  {"a//b", "empty"},
                                                                  {"..", "'..'"},
                                                                  {"a/./b", "'.'"},
                                                                  {"a b", "0x20"},
                                                                  {"\xc3\xa4", "0xc3"},
                                                                  {std::string(201, 'a'), "200"},
                                                                  {"a*", "'*'"},
                                                                  {std::string("a\0b", 3), "0x00"}};
  for (const auto& [name, part] : wrong) {
    expect_error(client_.create(name, {.capacity = 1}), Errc::invalid_name, part);
    expect_error(client_.open(name, Access::read), Errc::invalid_name, part);
  }
}

TEST_F(Errors, ANameThatIsTaken) {
  auto region = client_.create("a", {.capacity = 1});
  expect_error(client_.create("a", {.capacity = 1}), Errc::region_exists, "a");
}

TEST_F(Errors, ImpossibleSizes) {
  expect_error(client_.create("a", {.capacity = 0}), Errc::invalid_capacity, "not 0");
  expect_error(client_.create("a", {.capacity = ~std::uint64_t{0}}), Errc::invalid_capacity, "18446744073709551615");
  expect_error(client_.create("a", {.capacity = std::uint64_t{1} << 40, .slots = 64}), Errc::invalid_capacity,
               "64 slots");
  expect_error(client_.create("a", {.capacity = 1, .slots = 0}), Errc::invalid_slots, "1 to 64");
  expect_error(client_.create("a", {.capacity = 1, .slots = 65}), Errc::invalid_slots, "65");
  EXPECT_TRUE(client_.list()->empty());
}

TEST_F(Errors, APayloadLargerThanTheCapacity) {
  auto region = client_.create("a", {.capacity = 4});
  expect_error(region->write(bytes("12345")), Errc::payload_too_large, "capacity");
  EXPECT_TRUE(region->write(bytes("1234")));
  EXPECT_EQ(region->read_into({}).error().code, Errc::payload_too_large);
}

TEST_F(Errors, WritingThroughAHandleForReading) {
  auto region = client_.create("a", {.capacity = 4});
  auto reader = client_.open("a", Access::read);
  expect_error(reader->begin(1), Errc::read_only, "write access");
}

TEST_F(Errors, CallsThatDoNotFitTheState) {
  auto region = client_.create("a", {.capacity = 4});
  expect_error(region->commit(), Errc::misuse, "without begin");
  ASSERT_TRUE(region->begin(1));
  expect_error(region->begin(1), Errc::misuse, "again");
  region->abort();
  EXPECT_TRUE(region->write(bytes("x")));
  ASSERT_TRUE(region->subscribe({1}));
  expect_error(region->wait(0, std::chrono::milliseconds(0)), Errc::misuse, "dispatch");
}

TEST_F(Errors, TooManyHandlesOfOneRegion) {
  auto region = client_.create("a", {.capacity = 4});
  std::vector<Region> handles;
  Result<Region> last = client_.open("a", Access::read);
  while (last) {
    handles.push_back(std::move(*last));
    last = client_.open("a", Access::read);
  }
  expect_error(last, Errc::limit_exceeded, "1023");
  EXPECT_EQ(handles.size(), 1022U);
  handles.pop_back();
  EXPECT_TRUE(client_.open("a", Access::read));
}

TEST(ErrorsWithoutADaemon, SayWhereItWasLookedForAndWhatToDo) {
  auto client = Client::connect("/nonexistent/io.memio");
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Errc::system);
  EXPECT_NE(client.error().text().find("/nonexistent/io.memio"), std::string::npos);
  EXPECT_NE(client.error().text().find("systemctl --user start"), std::string::npos);
}

TEST(ErrorsWithoutADaemon, SayWhichPathNoSocketCanHave) {
  const std::string too_long = "/" + std::string(200, 'x');
  auto client = Client::connect(too_long);
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().code, Errc::system);
  EXPECT_NE(client.error().text().find("1 to 107 bytes, and this one has 201: '" + too_long), std::string::npos);
}

}  // namespace
}  // namespace memio::test
