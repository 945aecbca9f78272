#pragma once
// What a RedisStore can be told.

#include <cstddef>
#include <cstdint>
#include <string>

#include <paidonce/errors.hpp>
#include <paidonce/record.hpp>
#include <paidonce/redis/options.hpp>
#include <paidonce/stores/unsafe_config.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1 {

/// What the server does, at least, before or after it acknowledges a write.
enum class Fsync : std::uint8_t {
  unchecked,     ///< it keeps what it acknowledged in a way of its own, and the operator vouches for that
  every_second,  ///< an append-only file, synced every second: a crash of the host forgets the last one or
                 ///< two
  always,        ///< an append-only file, synced before it answers
};

struct RedisStoreOptions {
  /// How servers are reached; single operations aside, scans and sweeps use its `connections`.
  RedisOptions connection = {};
  /// What all keys begin with, in braces together with the number of a tag: 1 to 64 bytes, no braces among
  /// them, none below a space.
  std::string prefix = "paidonce";
  /// Batches of operations under way at once to each server, a connection each. Whoever calls at the same
  /// time is shared out evenly among them: the server works for one while others send and are answered.
  std::size_t lanes = 2;
  /// Operations in a batch at most. 1 combines nothing.
  std::size_t max_batch = 64;
  /// Response and checkpoint of a record together, in bytes.
  std::size_t max_record_bytes = std::size_t{1} << 20;
  /// About servers that may evict, or do not keep what `fsync` asks for.
  UnsafeConfig unsafe = UnsafeConfig::refuse;
  Fsync fsync = Fsync::every_second;
  /// How many replicas must have a record before it is served or acknowledged. 0: none.
  std::uint32_t wait_replicas = 0;
  /// How long they are waited for.
  Duration wait_timeout{1'000};
  /// How often a server is asked whether its settings are still safe.
  Duration check_interval{10'000};
  /// How much longer than its retention a completed record stays where nobody sweeps.
  Duration expiry_grace{60'000};
};

namespace detail {

/// Beyond response and checkpoint: amount, description, note and format.
inline constexpr std::size_t most_other_redis_bytes = std::size_t{1} << 20;

/// Throws `invalid_options`.
inline const RedisStoreOptions& checked(const RedisStoreOptions& options) {
  const auto require = [](auto holds, const char* otherwise) {
    if (!holds) throw Error(errc::invalid_options, otherwise);
  };
  checked(options.connection);
  bool plain = !options.prefix.empty() && options.prefix.size() <= 64;
  for (const char c : options.prefix)
    plain = plain && c != '{' && c != '}' && static_cast<unsigned char>(c) > 32;
  require(plain, "RedisStoreOptions::prefix must be 1 to 64 bytes without braces and spaces");
  require(options.lanes > 0 && options.lanes <= 64, "RedisStoreOptions::lanes must be from 1 to 64");
  require(options.max_batch > 0 && options.max_batch <= 1024,
          "RedisStoreOptions::max_batch must be from 1 to 1024");
  require(options.max_record_bytes > 0 && options.max_record_bytes <= std::size_t{16} << 20,
          "RedisStoreOptions::max_record_bytes must be from 1 to 16 MiB");
  for (const Duration each : {options.wait_timeout, options.check_interval, options.expiry_grace})
    require(each.count() > 0 && each <= Duration(INT32_MAX),
            "the durations of RedisStoreOptions must be longer than zero, and shorter than 24 days");
  require(
      options.wait_replicas == 0 || options.wait_timeout < options.connection.reply_timeout,
      "RedisStoreOptions::wait_timeout must be shorter than RedisOptions::reply_timeout: the server tells "
      "then how many replicas were in time, and the connection lives");
  return options;
}

/// Throws `store_full` for a record that is too long.
inline void check_size(const RedisStoreOptions& options, const Record& record) {
  const std::size_t most = options.max_record_bytes;
  if (record.response.size() > most || record.checkpoint.size() > most - record.response.size())
    throw Error(
        errc::store_full,
        "the response and checkpoint of a record are longer than RedisStoreOptions::max_record_bytes, "
        "which is " +
            std::to_string(most));
  std::size_t others = 0;
  for (const std::string* text : {&record.amount, &record.description, &record.response_format, &record.note})
    others += text->size();
  if (others > most_other_redis_bytes)
    throw Error(errc::store_full, "the amount, description and note of a record are longer than 1 MiB");
}

}  // namespace detail

}  // namespace paidonce::inline v1
