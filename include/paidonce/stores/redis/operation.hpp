#pragma once
// The three operations as commands. A caller makes its own ready, and reads its own answer; those who send
// it only pass bytes on.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/errors.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/reply.hpp>
#include <paidonce/stores/combine/combiner.hpp>
#include <paidonce/stores/redis/keys.hpp>
#include <paidonce/stores/redis/scripts.hpp>
#include <paidonce/stores/redis/witnesses.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

/// Whether a record may be forgotten one day, as `protocol::expired` has it.
inline bool may_expire(const Record& record) noexcept {
  return record.state == State::succeeded || record.state == State::declined ||
         (record.state == State::released && record.checkpoint.empty());
}

/// How long the server keeps a record by itself, from when it gets it: as long as its writer meant to,
/// whatever time either of them has. Null: until somebody erases it.
inline std::optional<Duration> time_to_live(const Record& record, Duration grace) noexcept {
  if (!may_expire(record)) return std::nullopt;
  constexpr Duration most{100'000'000'000'000};  // 3000 years, which the server can add to its time
  const Duration::rep from = record.updated_at.time_since_epoch().count();
  const Duration::rep to = record.expires_at.time_since_epoch().count();
  if (to <= from) return grace;
  const auto kept = static_cast<std::uint64_t>(to) - static_cast<std::uint64_t>(from);
  return kept >= static_cast<std::uint64_t>(most.count())
             ? most
             : Duration(static_cast<Duration::rep>(kept)) + grace;
}

inline std::string version_bytes(Version version) {
  std::string bytes;
  put_integer(bytes, version);
  return bytes;
}

/// What a caller wants done, and what came of it.
class RedisOperation : public CombinedOperation {
 public:
  enum class Kind : std::uint8_t { find, insert, replace };

  RedisOperation(const RedisTags& tags, const IdempotencyKey& the_key)
      : RedisOperation(Kind::find, tags, the_key, nullptr, 0, Duration(0)) {}
  RedisOperation(Kind the_kind, const RedisTags& tags, const IdempotencyKey& the_key,
                 const Record* the_record, Version the_expected, Duration grace,
                 std::optional<RedisWitness> the_witness = {})
      : CombinedOperation(the_key.bytes()),
        kind(the_kind),
        tag_number(redis_tag(the_key.bytes())),
        tag(tags[tag_number]),
        record(the_record),
        witness(std::move(the_witness)),
        name_(tag.records) {
    name_.append(key);
    if (!record) return;
    ttl = time_to_live(*record, grace);
    const std::string bytes = to_bytes(*record);
    const auto score = [](Timestamp time) { return std::to_string(time.time_since_epoch().count()); };
    const auto add = [this](std::string_view word) { append_redis_word(arguments_, word); };
    arguments_.reserve(bytes.size() + 2 * (name_.size() + key.size()) + 192);
    for (const std::string_view word :
         {std::string_view("3"), std::string_view(name_), std::string_view(tag.open),
          std::string_view(tag.done), std::string_view(bytes), key})
      add(word);
    add(ttl ? std::to_string(ttl->count()) : "");
    add(ttl ? score(record->expires_at) : "");
    add("0");
    refuses_at_ = arguments_.size() - 3;
    if (kind == Kind::insert) {
      add(score(saturating_add(record->updated_at, -grace)));
      add(tag.records);
      add(witness ? std::string_view(witness->key).substr(tag.records.size()) : std::string_view());
      add(witness ? version_bytes(witness->version) : std::string());
    } else {
      add(version_bytes(the_expected));
    }
  }

  /// Adds the command to a pipeline. `begins_refused`: "1" or "0".
  void add_to(RedisConnection& connection, const RedisScriptNames& scripts,
              std::string_view begins_refused) const {
    if (kind == Kind::find) return connection.add({"GET", name_});
    const bool inserts = kind == Kind::insert;
    const std::string_view arguments = arguments_;
    connection.add_made({inserts ? "*15\r\n$7\r\nEVALSHA\r\n$40\r\n" : "*12\r\n$7\r\nEVALSHA\r\n$40\r\n",
                         inserts ? scripts.insert : scripts.replace, "\r\n", arguments.substr(0, refuses_at_),
                         begins_refused, arguments.substr(refuses_at_ + begins_refused.size())});
  }

  /// Of an insert or replace: whether the server says that it wrote.
  bool wrote() const {
    if (!answer || answer->is_error()) return false;
    return kind == Kind::insert ? answer->is_nil() : kind == Kind::replace && answer->integer() == 1;
  }

  /// Whether a begin was refused, as it was asked to.
  bool begin_refused() const noexcept {
    return answer && ((kind == Kind::insert && answer->is_integer(0)) ||
                      (kind == Kind::replace && answer->is_integer(2)));
  }

  /// Whether an insert was refused because the server did not know what its witness does.
  bool unknown_to_server() const noexcept { return answer && kind == Kind::insert && answer->is_integer(1); }

  /// Of a find or insert. Throws as the operation.
  std::optional<Record> found() const {
    if (answer->expect_done(kind == Kind::find ? "GET" : "EVALSHA").is_nil()) return std::nullopt;
    return record_from_bytes(answer->text());
  }
  bool replaced() const { return answer->expect_done("EVALSHA").integer() == 1; }

  const std::string& name() const noexcept { return name_; }

  const Kind kind;
  const std::size_t tag_number;
  const RedisTag& tag;
  const Record* const record;                 // to be written
  const std::optional<RedisWitness> witness;  // of an insert: what its server must know
  std::optional<Duration> ttl = {};           // of that
  std::optional<RedisReply> answer = {};
  bool unsent = false;  // its node is out of reach: nothing has happened

 private:
  std::string name_;
  std::string arguments_;       // of the script, as they go out
  std::size_t refuses_at_ = 0;  // where it says in them whether begins are refused
};

}  // namespace paidonce::inline v1::detail
