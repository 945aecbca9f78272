#pragma once
// Records and keys for the clauses of the suites.

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/fingerprint.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Records that a store which looks at the time keeps: nothing of them is over before an hour from now.
class Samples {
 public:
  explicit Samples(Timestamp now) : now_(now) {}

  Timestamp now() const noexcept { return now_; }
  /// When every completed sample may be forgotten.
  Timestamp expiry() const noexcept { return now_ + std::chrono::hours(1); }

  /// In progress, with every field derived from its version: two records mixed up are seen to be.
  Record woven(Version version) const {
    const std::string text = std::to_string(version);
    Record made;
    made.fingerprint = fingerprint("woven", version);
    made.version = version;
    made.attempt_id = version * 0x9e3779b97f4a7c15U;
    made.attempts = static_cast<std::uint32_t>(version);
    made.created_at = now_ + Duration(version);
    made.updated_at = made.created_at + Duration(1);
    made.lease_until = made.created_at + std::chrono::hours(1);
    made.amount = text + ".00 EUR";
    made.description = "order " + text;
    made.checkpoint = "checkpoint " + text;
    made.note = "note " + text;
    return made;
  }

  /// As woven, and finished in that state; succeeded and declined ones have a response.
  Record ended(State state, Version version) const {
    Record made = woven(version);
    made.state = state;
    made.expires_at = expiry();
    made.checkpoint.clear();
    if (state != State::released) {
      made.response = "response " + std::to_string(version);
      made.response_format = "text";
    }
    return made;
  }

  Record in_doubt(Version version) const {
    Record made = woven(version);
    made.state = State::in_doubt;
    return made;
  }

  /// Each field at its extreme, and texts of every byte.
  Record extreme(State state, Version version) const {
    std::string every;
    for (int byte = 0; byte < 256; ++byte) every.push_back(static_cast<char>(byte));
    Record made;
    made.fingerprint = Fingerprinter("a secret of the suite")("extreme", version);
    made.state = state;
    made.version = version;
    made.attempt_id = std::numeric_limits<std::uint64_t>::max() - 1;
    made.attempts = std::numeric_limits<std::uint32_t>::max();
    made.created_at = Timestamp(Duration(1));
    made.updated_at = Timestamp(Duration(-1));
    made.lease_until = Timestamp::max();
    made.expires_at = Timestamp::max();
    made.amount = every;
    made.description = every + "d";
    made.checkpoint = every + "c";
    made.response = every + std::string(64U << 10U, '\0') + every;
    made.response_format = every + "f";
    made.note = every + "n";
    return made;
  }

 private:
  Timestamp now_;
};

/// The moment from which samples count: the fixture's `now()`, else the system's.
template <class F>
Samples samples_for(F& fixture) {
  if constexpr (requires { fixture.now(); })
    return Samples(fixture.now());
  else
    return Samples(std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()));
}

/// Keys that are all different, and that a careless store or lock takes for each other or for an end, a
/// pattern, a number or a statement.
inline std::vector<IdempotencyKey> hostile_keys() {
  using namespace std::string_view_literals;
  std::vector<IdempotencyKey> keys;
  for (const std::string_view text : {"a"sv,
                                      "A"sv,
                                      "a "sv,
                                      " a"sv,
                                      "a\0"sv,
                                      "a\0b"sv,
                                      "a\0c"sv,
                                      "\0"sv,
                                      "\0\0"sv,
                                      "0"sv,
                                      "00"sv,
                                      "1"sv,
                                      "01"sv,
                                      "1.0"sv,
                                      "a\n"sv,
                                      "a\r\n"sv,
                                      "a\tb"sv,
                                      "'"sv,
                                      "''"sv,
                                      "\""sv,
                                      "\\"sv,
                                      "\\\\"sv,
                                      "a'; DROP TABLE records; --"sv,
                                      "%"sv,
                                      "_"sv,
                                      "*"sv,
                                      "?"sv,
                                      "[a]"sv,
                                      "{a}"sv,
                                      "{b}"sv,
                                      "../a"sv,
                                      "/a"sv,
                                      "a/b"sv,
                                      "a:b"sv,
                                      "$1"sv,
                                      "%s"sv,
                                      "NULL"sv,
                                      "null"sv,
                                      "\xff"sv,
                                      "\xfe\xff"sv,
                                      "\xc3\x28"sv,
                                      "\xc3\xa9"sv,
                                      "e\xcc\x81"sv,
                                      "\x80"sv,
                                      "\x7f"sv})
    keys.emplace_back("hostile", text);
  std::string every;
  for (int byte = 0; byte < 255; ++byte) every.push_back(static_cast<char>(byte));
  keys.emplace_back("hostile", every);
  keys.emplace_back("hostile", std::string(every.rbegin(), every.rend()));
  return keys;
}

/// Pairs of scope and text that read the same once they are joined without care.
inline std::vector<IdempotencyKey> ambiguous_keys() {
  using namespace std::string_view_literals;
  std::vector<IdempotencyKey> keys;
  for (const auto& [scope, text] : std::vector<std::pair<std::string_view, std::string_view>>{
           {"", "abc"},     {"a", "bc"},   {"ab", "c"},    {"abc", "abc"},  {"b", "abc"},
           {"a", "b/c"},    {"a/b", "c"},  {"a", "b:c"},   {"a:b", "c"},    {"a", "b\0c"sv},
           {"a\0b"sv, "c"}, {"", "a:b:c"}, {"A", "bc"},    {"a ", "bc"},    {"a", " bc"},
           {"\1", "a"},     {"", "\1a"},   {"\1a", "\1a"}, {"a\0"sv, "bc"}, {"a", "\0bc"sv}})
    keys.emplace_back(scope, text);
  return keys;
}

/// Keys of the greatest lengths that differ in one byte only, at either end of the scope or of the text.
inline std::vector<IdempotencyKey> long_keys() {
  std::vector<IdempotencyKey> keys;
  const std::string whole(IdempotencyKey::max_size, 'k');
  keys.emplace_back(whole, whole);
  for (const std::size_t at : {std::size_t{0}, IdempotencyKey::max_size - 1}) {
    std::string other = whole;
    other[at] = 'x';
    keys.emplace_back(whole, other);
    keys.emplace_back(other, whole);
  }
  for (const std::size_t size : {1U, 15U, 16U, 31U, 32U, 63U, 64U, 127U, 128U, 254U})
    keys.emplace_back(whole, std::string(size, 'k'));
  return keys;
}

}  // namespace paidonce::inline v1::detail
