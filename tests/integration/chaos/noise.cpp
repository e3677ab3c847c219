// SPDX-License-Identifier: MIT
#include "noise.h"

#include <array>
#include <random>

#include "support/raw_connection.h"

namespace memio::test {

namespace {

using Random = std::mt19937_64;

// Calls that are right, and so are nearly right when a byte of them is not.
constexpr std::array<std::string_view, 15> calls = {
    R"({"method":"io.memio.List"})",
    R"({"method":"io.memio.Watch","more":true,"parameters":{"versions":true}})",
    R"({"method":"io.memio.Create","parameters":{"name":"noise","capacity":4096}})",
    R"({"method":"io.memio.Open","parameters":{"name":"r1","access":"read"}})",
    R"({"method":"io.memio.Close","parameters":{"id":1}})",
    R"({"method":"io.memio.Stat","parameters":{"name":"r2"}})",
    R"({"method":"io.memio.OpenConnection","parameters":{"grants":[{"pattern":"x/**","rights":["read"]}]}})",
    R"({"method":"org.varlink.service.GetInfo"})",
    R"({"method":"io.memio.Receive","more":true,"parameters":{"handle":["noise"],"listen":["t/**"]}})",
    R"({"method":"io.memio.Handle","oneway":true,"parameters":{"name":"noise","id":1}})",
    R"({"method":"io.memio.Invoke","parameters":{"name":"c1","arguments":7}})",
    R"({"method":"io.memio.Invoke","oneway":true,"parameters":{"name":"noise","arguments":{},"id":2}})",
    R"({"method":"io.memio.Answer","oneway":true,"parameters":{"id":1,"result":[1]}})",
    R"({"method":"io.memio.Emit","parameters":{"topic":"noise","payload":{"$region":0}}})",
    R"({"method":"io.memio.Attach","parameters":{"name":"r3","capacity":1,"slots":4,"layout":"memio64","lifetime":)"
    R"("session","exclusive":false,"hugePages":false,"access":"write","creator":true,"cell":1,"cells":1024,)"
    R"("regionFileDescriptor":0,"leasesFileDescriptor":1,"doorbellFileDescriptor":2}})",
};

std::string a_call(Random& random) { return std::string(calls.at(random() % calls.size())); }

std::string spoilt(std::string text, Random& random) {
  for (auto n = random() % 4 + 1; n > 0; --n) {
    const auto at = random() % text.size();
    if (random() % 2 == 0)
      text[at] = static_cast<char>(random());
    else
      text.insert(at, text.substr(random() % text.size(), 8));
  }
  return text;
}

}  // namespace

void make_noise(const std::string& socket_path, std::uint64_t seed) {
  Random random(seed);
  RawConnection connection(socket_path);
  const std::vector<int> some_fds(random() % 20, connection.fd());
  switch (random() % 6) {
    case 0:  // half a message
      connection.send(a_call(random).substr(0, 20));
      break;
    case 1:  // spoilt ones
      for (int i = 0; i < 20 && connection.send(spoilt(a_call(random), random) + '\0'); ++i) {
      }
      break;
    case 2:  // descriptors with what wants none, and too few of the right kind with what wants some; its own socket
             // among them
      connection.send(a_call(random) + '\0', some_fds);
      break;
    case 3:  // many calls, of whose answers none is read
      for (int i = 0; i < 200 && connection.send(a_call(random) + '\0'); ++i) {
      }
      break;
    case 4:  // no end
      for (int i = 0; i < 40 && connection.send(std::string(32 << 10, '[')); ++i) {
      }
      break;
    default:  // nothing at all
      break;
  }
}

}  // namespace memio::test
