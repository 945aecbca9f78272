// Redis servers and clusters. What only reads sends only commands that read, but for index entries of records
// that the server has forgotten by itself: a look takes them along where the user may.

#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <paidonce/clocks/redis_clock.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/redis/client.hpp>
#include <paidonce/stores/redis.hpp>

#include "escape.hpp"
#include "exit.hpp"
#include "store_reader.hpp"

namespace paidonce_admin {
namespace {

paidonce::RedisOptions connection_options() {
  paidonce::RedisOptions options;
  if (const char* const password = std::getenv("REDISCLI_AUTH")) options.password = password;
  return options;
}

paidonce::RedisStoreOptions store_options(const std::string& prefix) {
  paidonce::RedisStoreOptions options;
  options.connection = connection_options();
  options.prefix = prefix;
  options.lanes = 1;
  options.max_record_bytes = std::size_t{16} << 20;  // whatever those who pay allow for
  // Whether such a server may be used is said by those who pay; what is left there must be settled.
  options.unsafe = paidonce::UnsafeConfig::accept;
  return options;
}

class RedisReader final : public StoreReader {
 public:
  explicit RedisReader(const StoreAddress& address)
      : address_(address.place),
        prefix_(address.prefix),
        endpoint_(paidonce::detail::redis_address(address_, connection_options())),
        store_(std::make_unique<paidonce::RedisStore>(address_, store_options(prefix_))) {
    const paidonce::Timestamp server =
        paidonce::RedisClock(address_, {.connection = connection_options()}).now();
    clock_ = StoreClock(server - paidonce::SystemClock{}.now());
  }

  const StoreKind& kind() const override {
    static constexpr StoreKind kind = {"redis", StoreKind::Use::by_many_at_once, "whose lease is over",
                                       "clock of the server"};
    return kind;
  }
  StoreClock clock() const override { return clock_; }

  About about() const override {
    const paidonce::RedisEndpoint& first = endpoint_.endpoints.front();
    paidonce::detail::RedisClient client(address_, connection_options());
    const auto info = client.run("", {"INFO"});
    const auto told = [&](std::string_view name) {
      return info.is_error() ? std::string() : paidonce::detail::info_field(info.text(), name).value_or("");
    };
    About about;
    about.kind = kind().name;
    about.database = {{"host", first.socket.empty() ? first.host : first.socket},
                      {"port", std::to_string(first.port)},
                      {"database", std::to_string(endpoint_.database)},
                      {"user", endpoint_.user},
                      {"prefix", prefix_},
                      {"size", told("used_memory") + " bytes, with all else on the server"},
                      {"server", "Redis " + told("redis_version") +
                                     (told("cluster_enabled") == "1" ? ", of a cluster" : "")}};
    return about;
  }

  void each(const Wanted& wanted, const Visit& visit) const override {
    told_as_damage([&] {
      store_->scan({.states = wanted.states, .limit = std::numeric_limits<std::size_t>::max()},
                   [&](const paidonce::IdempotencyKey& key, const paidonce::Record& record) {
                     visit({key, record});
                     return true;
                   });
    });
  }

  std::optional<paidonce::Record> find(const paidonce::IdempotencyKey& key) const override {
    std::optional<paidonce::Record> found;
    told_as_damage([&] { found = store_->find(key); });
    return found;
  }

  std::string verify() const override {
    std::size_t records = 0;
    each({}, [&](const Entry&) { ++records; });
    return "every record can be read: " + std::to_string(records) +
           "; the server's own files are looked at by redis-check-aof and redis-check-rdb";
  }

  std::unique_ptr<OpenStore> open_for_changes() const override {
    return std::make_unique<OpenStoreOf<paidonce::RedisStore>>(
        paidonce::RedisStore(address_, store_options(prefix_)));
  }

 private:
  template <class Look>
  static void told_as_damage(const Look& look) {
    try {
      look();
    } catch (const paidonce::Error& error) {
      if (error.code() == paidonce::errc::store_corrupt || error.code() == paidonce::errc::invalid_key)
        throw StoreDamaged(error.what());
      throw;
    }
  }

  std::string address_, prefix_;
  paidonce::detail::RedisAddress endpoint_;
  std::unique_ptr<paidonce::RedisStore> store_;
  StoreClock clock_;
};

}  // namespace

std::unique_ptr<StoreReader> look_at_redis(const StoreAddress& address) {
  return std::make_unique<RedisReader>(address);
}

}  // namespace paidonce_admin
