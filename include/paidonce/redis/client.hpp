#pragma once
// Single commands to a server, or to whichever node of a cluster has the key.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/detail/own_process.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/redis/address.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/nodes.hpp>
#include <paidonce/redis/options.hpp>
#include <paidonce/redis/slot.hpp>

namespace paidonce::inline v1::detail {

/// A script, and where a server keeps it: by the SHA-1 of its text, which the server tells.
struct RedisScript {
  std::string_view text;
};

/// Thread-safe. In a forked child it refuses.
class RedisClient {
 public:
  /// Connects to nothing yet. Throws `invalid_options`.
  RedisClient(std::string_view uri, RedisOptions options)
      : options_(checked(options)), address_(redis_address(uri, options_)), nodes_(address_, options_) {}

  /// One command, on the node that has `key`, which is also one of the words. Throws `store_unavailable`
  /// where the answer did not come (nothing is known then), `store_busy`, `store_forked`. Errors of the
  /// server are returned, save those about where the key is.
  RedisReply run(std::string_view key, RedisWords words, RedisDeadline deadline) {
    check_process();
    return nodes_.route(redis_slot(key), deadline,
                        [&](RedisNode&, RedisConnection& connection, RedisNodes::Asking asking) {
                          return RedisNodes::exchange(connection, asking, words, deadline);
                        });
  }
  RedisReply run(std::string_view key, std::initializer_list<std::string_view> words) {
    return run(key, RedisWords(words.begin(), words.size()), redis_deadline(options_.reply_timeout));
  }

  const RedisOptions& options() const noexcept { return options_; }

  void check_process() const {
    if (!process_.is_this_one())
      throw Error(errc::store_forked,
                  "the connections to Redis were opened before the process forked: open them in the child");
  }

 private:
  const OwnProcess process_ = {};
  const RedisOptions options_;
  const RedisAddress address_;
  RedisNodes nodes_;
};

}  // namespace paidonce::inline v1::detail
