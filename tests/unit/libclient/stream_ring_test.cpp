// SPDX-License-Identifier: MIT
#include "stream_ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "test_stream.h"

namespace memio {
namespace {

using format::StreamState;
using test::TestStream;
using testing::HasSubstr;

constexpr auto word(StreamState state) { return static_cast<std::uint32_t>(state); }

// Puts in an entry of `length` bytes, or says why not.
Errc put(RingWriter& writer, std::uint32_t length, bool last = false) {
  const auto index = writer.begin();
  if (!index) return index.error().code;
  if (!*index) return Errc::busy;
  writer.commit(length, last);
  return Errc::system;
}
constexpr Errc done = Errc::system;  // what put() says if all is well

RingReader::Entry take(RingReader& reader) {
  auto entry = reader.take();
  EXPECT_TRUE(entry && *entry) << (entry ? "nothing there" : entry.error().text());
  return entry && *entry ? **entry : RingReader::Entry{};
}
Errc take_error(RingReader& reader) {
  const auto entry = reader.take();
  if (!entry) return entry.error().code;
  return *entry ? done : Errc::busy;
}

TEST(StreamRing, CarriesEntriesInOrder) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  EXPECT_EQ(take_error(reader), Errc::busy);
  EXPECT_EQ(put(writer, 100), done);
  EXPECT_EQ(put(writer, 1), done);
  EXPECT_EQ(put(writer, 7, true), done);
  EXPECT_EQ(writer.written(), 108U);
  std::uint64_t offset = 0;
  for (const auto& [length, last] : {std::pair{100U, false}, {1U, false}, {7U, true}}) {
    const auto entry = take(reader);
    EXPECT_EQ(entry.length, length);
    EXPECT_EQ(entry.offset, offset);
    EXPECT_EQ(entry.last, last);
    offset += length;
    reader.give_back(entry.number);
  }
  EXPECT_EQ(take_error(reader), Errc::busy) << "nothing after the end";
  EXPECT_TRUE(reader.has_last());
  EXPECT_EQ(stream.ring().reader().state, word(StreamState::finished));
  EXPECT_TRUE(writer.all_taken().value());
  EXPECT_EQ(writer.taken(), 108U);
  EXPECT_EQ(put(writer, 1), Errc::misuse);
}

TEST(StreamRing, PutsTheFieldsWhereTheFormatSays) {
  TestStream stream(2, 1000, 0xffff'ffff);
  auto writer = stream.writer();
  ASSERT_EQ(put(writer, 1000), done);
  ASSERT_EQ(put(writer, 999, true), done);
  const auto number = [&](std::size_t offset, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = size; i > 0; --i)
      value = value << 8 | static_cast<std::uint64_t>(stream.memory()[offset + i - 1]);
    return value;
  };
  EXPECT_EQ(number(0, 4), 0xffff'ffffU);
  EXPECT_EQ(number(4, 4), 1U) << "the tail wraps";
  EXPECT_EQ(number(16 + 24, 4), 1U) << "entry 2^32 - 1 is at 1";
  EXPECT_EQ(number(16 + 24 + 4, 4), 1000U);
  EXPECT_EQ(number(16 + 24 + 8, 8), 0U);
  EXPECT_EQ(number(16 + 24 + 16, 4), 0U);
  EXPECT_EQ(number(16, 4), 0U);
  EXPECT_EQ(number(16 + 4, 4), 999U);
  EXPECT_EQ(number(16 + 8, 8), 1000U);
  EXPECT_EQ(number(16 + 16, 4), 1U);
  EXPECT_EQ(number(64 + 64, 4), TestStream::writer_cell + 1);
  EXPECT_EQ(number(64 + 64 + 4, 4), 1U) << "finished";
}

TEST(StreamRing, IsFullWithAsManyEntriesAsBuffers) {
  for (const std::uint32_t buffers : {1U, 2U, 64U}) {
    TestStream stream(buffers);
    auto writer = stream.writer();
    auto reader = stream.reader();
    for (std::uint32_t i = 0; i < buffers; ++i) EXPECT_EQ(put(writer, 1), done);
    EXPECT_EQ(put(writer, 1), Errc::busy);
    EXPECT_FALSE(writer.has_room());
    const auto entry = take(reader);
    EXPECT_EQ(put(writer, 1), Errc::busy) << "taken, but not given back";
    reader.give_back(entry.number);
    EXPECT_EQ(put(writer, 1), done);
    EXPECT_EQ(put(writer, 1), Errc::busy);
  }
}

// The buffer of an entry that was given back is used again only when those before it were given back too.
TEST(StreamRing, TakesEntriesBackInAnyOrder) {
  TestStream stream(4, 100, 0xffff'fffe);
  auto writer = stream.writer();
  auto reader = stream.reader();
  for (int i = 0; i < 4; ++i) ASSERT_EQ(put(writer, 10), done);
  std::array<RingReader::Entry, 4> entries;
  for (auto& entry : entries) entry = take(reader);
  EXPECT_TRUE(reader.holds_all());
  reader.give_back(entries[2].number);
  reader.give_back(entries[1].number);
  EXPECT_EQ(put(writer, 1), Errc::busy);
  EXPECT_EQ(writer.taken(), 0U);
  reader.give_back(entries[0].number);
  EXPECT_EQ(stream.header().head, 1U) << "past the wrap";
  EXPECT_EQ(put(writer, 1), done);
  EXPECT_EQ(writer.taken(), 30U);
  EXPECT_FALSE(reader.holds_all());
  EXPECT_EQ(take(reader).buffer, entries[0].buffer);
  EXPECT_EQ(put(writer, 1), done);
  EXPECT_EQ(put(writer, 1), done);
  EXPECT_EQ(put(writer, 1), Errc::busy);
}

// Many rounds with random orders, over the wrap of the counters; every byte is accounted for.
TEST(StreamRing, LosesAndRepeatsNothingWhateverTheOrder) {
  for (const std::uint32_t buffers : {1U, 2U, 8U, 64U}) {
    std::mt19937 random(buffers);
    TestStream stream(buffers, 1000, ~std::uint32_t{0} - 1000);
    auto writer = stream.writer();
    auto reader = stream.reader();
    std::vector<std::uint32_t> held;
    std::uint64_t read = 0;
    for (int step = 0; step < 40'000; ++step) {
      const auto what = random() % 3;
      if (what == 0) {
        const auto length = 1 + random() % 1000;
        const auto before = writer.written();
        const auto result = put(writer, static_cast<std::uint32_t>(length));
        ASSERT_TRUE(result == done || result == Errc::busy);
        ASSERT_EQ(writer.written(), before + (result == done ? length : 0));
      } else if (what == 1) {
        const auto entry = reader.take();
        ASSERT_TRUE(entry) << entry.error().text();
        if (!*entry) continue;
        ASSERT_EQ((*entry)->offset, read);
        read += (*entry)->length;
        held.push_back((*entry)->number);
      } else if (!held.empty()) {
        const auto which = held.begin() + static_cast<std::ptrdiff_t>(random() % held.size());
        reader.give_back(*which);
        held.erase(which);
      }
    }
    EXPECT_LT(stream.header().tail, ~std::uint32_t{0} - 1000) << "it was to wrap";
    EXPECT_LE(writer.written() - read, buffers * 1000);
  }
}

TEST(StreamRing, PutsInNothingOfNoLengthUnlessItIsTheLast) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  EXPECT_EQ(put(writer, 0), done);
  EXPECT_EQ(stream.header().tail, 0U);
  EXPECT_EQ(put(writer, 0, true), done);
  const auto entry = take(reader);
  EXPECT_TRUE(entry.last);
  EXPECT_EQ(entry.length, 0U);
}

// --- joining ---

TEST(StreamRing, IsJoinedOncePerSide) {
  TestStream stream;
  auto writer = stream.writer();
  EXPECT_EQ(stream.writer_cells()[TestStream::writer_cell].will, 1U);
  format::Cell& other = stream.writer_cells()[1];
  EXPECT_FALSE(join_ring(stream.ring().writer(), other, 1));
  EXPECT_EQ(other.will, 0U);
  EXPECT_EQ(stream.ring().writer().joined, TestStream::writer_cell + 1);
  stream.end_writer();
  EXPECT_FALSE(join_ring(stream.ring().writer(), stream.writer_cells()[TestStream::writer_cell], 3));
  EXPECT_EQ(stream.writer_cells()[TestStream::writer_cell].will, 0U) << "it must not look as if the writer lived";
}

// --- sleeping and waking ---

TEST(StreamRing, RingsOnlyForThoseWhoWaitAndOnlyOnce) {
  TestStream stream(2);
  auto writer = stream.writer();
  auto reader = stream.reader();
  ASSERT_EQ(put(writer, 1), done);
  EXPECT_EQ(stream.rings_for_reader(), 0U);
  reader.give_back(take(reader).number);
  EXPECT_EQ(stream.rings_for_writer(), 0U);

  EXPECT_TRUE(reader.is_idle(Announce::yes).value());
  ASSERT_EQ(put(writer, 1), done);
  ASSERT_EQ(put(writer, 1), done);
  EXPECT_EQ(stream.rings_for_reader(), 1U);
  EXPECT_FALSE(reader.is_idle(Announce::no).value());
  EXPECT_TRUE(reader.is_idle(Announce::no).value()) << "seen";

  EXPECT_TRUE(writer.is_idle(Announce::yes).value());
  const auto one = take(reader);
  const auto two = take(reader);
  reader.give_back(two.number);
  EXPECT_EQ(stream.rings_for_writer(), 0U) << "nothing has moved";
  reader.give_back(one.number);
  EXPECT_EQ(stream.rings_for_writer(), 1U);
  EXPECT_EQ(stream.rings_for_reader(), 0U) << "nobody wakes himself";
}

TEST(StreamRing, OneWhoStoppedWaitingIsNotRung) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  EXPECT_TRUE(reader.is_idle(Announce::yes).value());
  reader.stop_waiting();
  ASSERT_EQ(put(writer, 1), done);
  EXPECT_EQ(stream.rings_for_reader(), 0U);
}

TEST(StreamRing, GivingUpRings) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  EXPECT_TRUE(reader.is_idle(Announce::yes).value());
  EXPECT_TRUE(writer.is_idle(Announce::yes).value());
  writer.give_up("enough");
  EXPECT_EQ(stream.rings_for_reader(), 1U);
  reader.give_up("me too");
  EXPECT_EQ(stream.rings_for_writer(), 1U);
}

TEST(StreamRing, FinishingRings) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  EXPECT_TRUE(reader.is_idle(Announce::yes).value());
  ASSERT_EQ(put(writer, 1, true), done);
  EXPECT_EQ(stream.rings_for_reader(), 1U);
  EXPECT_TRUE(writer.is_idle(Announce::yes).value());
  reader.give_back(take(reader).number);
  EXPECT_EQ(stream.rings_for_writer(), 1U);
  EXPECT_FALSE(writer.is_idle(Announce::yes).value()) << "there is nothing to wait for any more";
}

// --- the end before its time ---

TEST(StreamRing, WhatWasPutInBeforeTheWriterGaveUpIsStillRead) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  ASSERT_EQ(put(writer, 5), done);
  ASSERT_EQ(put(writer, 6), done);
  writer.give_up("the disk is full");
  EXPECT_EQ(put(writer, 1), Errc::misuse);
  EXPECT_EQ(take(reader).length, 5U);
  EXPECT_EQ(take(reader).length, 6U);
  for (int i = 0; i < 2; ++i) {
    const auto entry = reader.take();
    ASSERT_FALSE(entry);
    EXPECT_EQ(entry.error().code, Errc::aborted);
    EXPECT_EQ(entry.error().message, "the disk is full");
  }
  EXPECT_EQ(reader.is_idle(Announce::yes).error().code, Errc::aborted);
}

TEST(StreamRing, AWriterLearnsAtOnceThatTheReaderGaveUp) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  ASSERT_EQ(put(writer, 5), done);
  reader.give_up("not what I wanted");
  EXPECT_EQ(reader.take().error().code, Errc::misuse);
  for (int i = 0; i < 2; ++i) {
    const auto index = writer.begin();
    ASSERT_FALSE(index);
    EXPECT_EQ(index.error().code, Errc::aborted);
    EXPECT_EQ(index.error().message, "not what I wanted");
  }
  EXPECT_EQ(writer.all_taken().error().code, Errc::aborted);
}

TEST(StreamRing, AReasonIsCutAtACharacterAndShownWithoutTricks) {
  const auto told = [](const std::string& reason) {
    TestStream stream;
    auto writer = stream.writer();
    auto reader = stream.reader();
    writer.give_up(reason);
    return reader.take().error().message;
  };
  EXPECT_EQ(told(""), "");
  EXPECT_EQ(told(std::string(176, 'x')), std::string(176, 'x'));
  EXPECT_EQ(told(std::string(200, 'x')), std::string(176, 'x'));
  EXPECT_EQ(told(std::string(175, 'x') + "ü"), std::string(175, 'x'));
  EXPECT_EQ(told("Größe € 😀"), "Größe € 😀");
  EXPECT_EQ(told("\x1b[31mred\n"), "?[31mred?");
  EXPECT_EQ(told("\xc2\x9b"
                 "31m"),
            "??31m")
      << "a control character of two bytes";
  EXPECT_EQ(told("\xff\xc0\xaf\xed\xa0\x80\xe2\x82"), "????????");
}

TEST(StreamRing, AReasonThatIsTooLongIsCut) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  writer.give_up("why");
  stream.ring().writer().reason_length = ~0U;
  EXPECT_EQ(reader.take().error().message, "why" + std::string(173, '?'));
}

TEST(StreamRing, WhatWasPutInBeforeTheWriterDiedIsStillRead) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  EXPECT_TRUE(reader.is_idle(Announce::yes).value());
  ASSERT_EQ(put(writer, 5), done);
  stream.end_writer();
  EXPECT_EQ(stream.rings_for_reader(), 2U);
  EXPECT_FALSE(reader.is_idle(Announce::yes).value());
  EXPECT_EQ(take(reader).length, 5U);
  EXPECT_EQ(take_error(reader), Errc::busy) << "looked at only by those who are about to sleep";
  for (int i = 0; i < 2; ++i) EXPECT_EQ(reader.is_idle(Announce::yes).error().code, Errc::peer_gone);
  EXPECT_EQ(take_error(reader), Errc::peer_gone);
  EXPECT_EQ(stream.ring().reader().state, word(StreamState::given_up));
}

TEST(StreamRing, AWriterThatDiedAfterItsLastChunkHasFinished) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  ASSERT_EQ(put(writer, 5, true), done);
  stream.end_writer();
  const auto entry = take(reader);
  EXPECT_TRUE(entry.last);
  reader.give_back(entry.number);
  EXPECT_EQ(stream.ring().reader().state, word(StreamState::finished));
}

TEST(StreamRing, AWriterLearnsThatTheReaderDiedWhenItHasToWait) {
  TestStream stream(2);
  auto writer = stream.writer();
  auto reader = stream.reader();
  ASSERT_EQ(put(writer, 5), done);
  EXPECT_TRUE(writer.is_idle(Announce::yes).value());
  stream.end_reader();
  EXPECT_EQ(stream.rings_for_writer(), 1U);
  ASSERT_EQ(put(writer, 5), done);
  EXPECT_EQ(writer.is_idle(Announce::yes).error().code, Errc::peer_gone);
  EXPECT_EQ(put(writer, 5), Errc::peer_gone);
}

TEST(StreamRing, AReaderThatDiedAfterItGaveAllBackHasFinished) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  ASSERT_EQ(put(writer, 5, true), done);
  reader.give_back(take(reader).number);
  stream.end_reader();
  EXPECT_TRUE(writer.all_taken().value());
}

TEST(StreamRing, OneWhoHasNotJoinedYetMayStillCome) {
  TestStream stream(1);
  auto writer = stream.writer();
  ASSERT_EQ(put(writer, 5), done);
  EXPECT_TRUE(writer.is_idle(Announce::yes).value());
  TestStream other(1);
  auto reader = other.reader();
  EXPECT_TRUE(reader.is_idle(Announce::yes).value());
}

// --- lies ---

// What a reader finds that has taken one entry of three, after `damage`.
template <class Damage>
Errc after_damage_to_reader(Damage damage) {
  TestStream stream(4, 100, 0xffff'ffff);
  auto writer = stream.writer();
  auto reader = stream.reader();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(put(writer, 10), done);
  EXPECT_EQ(take(reader).length, 10U);
  damage(stream);
  for (int i = 0; i < 4; ++i) {
    if (const auto idle = reader.is_idle(Announce::yes); !idle) {
      EXPECT_EQ(take_error(reader), idle.error().code) << "it is told again";
      EXPECT_EQ(stream.ring().reader().state, word(StreamState::given_up)) << "the writer is told";
      return idle.error().code;
    }
    const auto entry = reader.take();
    if (!entry) {
      EXPECT_EQ(take_error(reader), entry.error().code) << "it is told again";
      EXPECT_EQ(stream.ring().reader().state, word(StreamState::given_up)) << "the writer is told";
      return entry.error().code;
    }
    if (!*entry) return done;
  }
  return done;
}

TEST(StreamRing, AReaderFindsEachLie) {
  using S = TestStream&;
  const auto entry = [](S stream) -> format::RingEntry& { return stream.ring().entry(0); };  // the second
  EXPECT_EQ(after_damage_to_reader([](S) {}), done);
  EXPECT_EQ(after_damage_to_reader([&](S s) { entry(s).reserved = 7; }), done) << "not read";
  for (const std::uint32_t index : {4U, 5U, ~0U})
    EXPECT_EQ(after_damage_to_reader([&](S s) { entry(s).buffer_index = index; }), Errc::corrupt);
  EXPECT_EQ(after_damage_to_reader([&](S s) { entry(s).buffer_index = 3; }), done) << "the writer's choice";
  for (const std::uint32_t length : {0U, 101U, ~0U})
    EXPECT_EQ(after_damage_to_reader([&](S s) { entry(s).length = length; }), Errc::corrupt);
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{11}, ~std::uint64_t{0}})
    EXPECT_EQ(after_damage_to_reader([&](S s) { entry(s).offset = offset; }), Errc::corrupt);
  EXPECT_EQ(after_damage_to_reader([&](S s) { entry(s).finalize = 2; }), Errc::corrupt);
  EXPECT_EQ(after_damage_to_reader([&](S s) { entry(s).finalize = 1; }), Errc::corrupt) << "something after the end";
  // Three are in, from 2^32 - 1 on: the tail is 2.
  for (const std::uint32_t tail : {1U, 0U, ~0U, 4U, 0x8000'0000U})
    EXPECT_EQ(after_damage_to_reader([&](S s) { s.header().tail = tail; }), Errc::corrupt) << tail;
  EXPECT_EQ(after_damage_to_reader([&](S s) { s.ring().writer().state = 1; }), Errc::corrupt) << "without a last one";
  for (const std::uint32_t state : {3U, ~0U})
    EXPECT_EQ(after_damage_to_reader([&](S s) { s.ring().writer().state = state; }), Errc::corrupt);
  for (const std::uint32_t joined : {TestStream::cells + 1, ~0U})
    EXPECT_EQ(after_damage_to_reader([&](S s) { s.ring().writer().joined = joined; }), Errc::corrupt);
  EXPECT_EQ(after_damage_to_reader([&](S s) { s.header().head = 77; }), done) << "the reader knows its own";
  EXPECT_EQ(after_damage_to_reader([&](S s) { s.header().capacity = 64; }), done);
  EXPECT_EQ(after_damage_to_reader([&](S s) { s.ring().reader().state = 1; }), done);
}

// What a writer finds that has put in three entries, of which one was given back, after `damage`.
template <class Damage>
Errc after_damage_to_writer(Damage damage) {
  TestStream stream(4, 100, 0xffff'ffff);
  auto writer = stream.writer();
  auto reader = stream.reader();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(put(writer, 10), done);
  reader.give_back(take(reader).number);
  EXPECT_FALSE(writer.is_idle(Announce::no).value());
  damage(stream);
  if (const auto idle = writer.is_idle(Announce::yes); !idle) {
    EXPECT_EQ(put(writer, 10), idle.error().code) << "it is told again";
    EXPECT_EQ(stream.ring().writer().state, word(StreamState::given_up)) << "the reader is told";
    return idle.error().code;
  }
  return put(writer, 10);
}

TEST(StreamRing, AWriterFindsEachLie) {
  using S = TestStream&;
  EXPECT_EQ(after_damage_to_writer([](S) {}), done);
  // One was given back, from 2^32 - 1 on: the head is 0, the tail 2.
  for (const std::uint32_t head : {~0U, ~0U - 1, 3U, 0x8000'0000U})
    EXPECT_EQ(after_damage_to_writer([&](S s) { s.header().head = head; }), Errc::corrupt) << head;
  EXPECT_EQ(after_damage_to_writer([](S s) { s.header().head = 2; }), done) << "that may be so";
  EXPECT_EQ(after_damage_to_writer([](S s) { s.ring().reader().state = 1; }), Errc::corrupt) << "too early";
  for (const std::uint32_t state : {3U, ~0U})
    EXPECT_EQ(after_damage_to_writer([&](S s) { s.ring().reader().state = state; }), Errc::corrupt);
  for (const std::uint32_t joined : {TestStream::cells + 1, ~0U})
    EXPECT_EQ(after_damage_to_writer([&](S s) { s.ring().reader().joined = joined; }), Errc::corrupt);
  EXPECT_EQ(after_damage_to_writer([](S s) { s.header().tail = 99; }), done) << "the writer knows its own";
  EXPECT_EQ(after_damage_to_writer([](S s) { s.header().capacity = 1; }), done);
}

// The reader has told the truth in all but this: that it has finished, with everything given back but the last not in.
TEST(StreamRing, AReaderCannotFinishBeforeTheWriter) {
  TestStream stream;
  auto writer = stream.writer();
  auto reader = stream.reader();
  ASSERT_EQ(put(writer, 10), done);
  reader.give_back(take(reader).number);
  stream.ring().reader().state = word(StreamState::finished);
  EXPECT_EQ(put(writer, 10), Errc::corrupt);
}

}  // namespace
}  // namespace memio
