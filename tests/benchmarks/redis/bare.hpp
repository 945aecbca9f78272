#pragma once
// What the guard is set against: a loop over hiredis that calls the store's own two scripts with the same
// arguments, made ready beforehand as far as they are the same for each payment. A thread, and a connection
// that blocks, for each payment in flight.

#include <array>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <hiredis/hiredis.h>

#include <paidonce/stores/redis/keys.hpp>
#include <paidonce/stores/redis/operation.hpp>
#include <paidonce/stores/redis/scripts.hpp>

#include "benchmarks/file/payment.hpp"
#include "benchmarks/redis/server.hpp"

namespace redis_benchmark {

struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

class BareConnection {
 public:
  explicit BareConnection(int port) : context_(redisConnect("127.0.0.1", port), &redisFree) {
    if (!context_ || context_->err != 0) throw std::runtime_error("a bare connection cannot be opened");
  }
  template <std::size_t n>
  Reply run(const std::array<std::string_view, n>& words) {
    std::array<const char*, n> texts;
    std::array<std::size_t, n> lengths;
    for (std::size_t at = 0; at < n; ++at) texts[at] = words[at].data(), lengths[at] = words[at].size();
    Reply reply(static_cast<redisReply*>(
        redisCommandArgv(context_.get(), static_cast<int>(n), texts.data(), lengths.data())));
    if (!reply || reply->type == REDIS_REPLY_ERROR)
      throw std::runtime_error(reply ? std::string(reply->str, reply->len) : context_->errstr);
    return reply;
  }
  std::string load(std::string_view script) {
    const Reply reply = run<3>({"SCRIPT", "LOAD", script});
    return {reply->str, reply->len};
  }

 private:
  std::unique_ptr<redisContext, void (*)(redisContext*)> context_;
};

/// New payments.
class BarePeer : public Peer {
 public:
  BarePeer(Server& server, const std::string& prefix, const Width& width)
      : tags_(std::make_unique<paidonce::detail::RedisTags>(prefix)) {
    for (std::size_t i = 0; i < width.threads; ++i)
      connections_.push_back(std::make_unique<BareConnection>(server.redis().port()));
    insert_ = connections_[0]->load(paidonce::detail::redis_insert_script);
    replace_ = connections_[0]->load(
        std::string(paidonce::detail::redis_beyond_maxmemory).append(paidonce::detail::redis_replace_script));
    const paidonce::Duration grace = paidonce::RedisStoreOptions().expiry_grace;
    const auto number = [](auto of) { return std::to_string(of.count()); };
    begun_ = to_bytes(first_), completed_ = to_bytes(second_);
    ttl_ = number(*paidonce::detail::time_to_live(second_, grace));
    score_ = number(second_.expires_at.time_since_epoch());
    old_ = number((first_.updated_at - grace).time_since_epoch());
    version_ = paidonce::detail::version_bytes(first_.version);
    // What the server must know, as the store asks it with each begin: here one payment of each tag.
    Lane lane(0);
    for (std::uint64_t id = ~std::uint64_t{0} >> 1, known = 0; known < witnesses_.size(); --id) {
      const Names names(*tags_, id);
      std::string& witness = witnesses_[paidonce::detail::redis_tag(names.key)];
      if (!witness.empty()) continue;
      pay_one(lane, id);
      witness = names.key;
      ++known;
    }
    witnessed_ = paidonce::detail::version_bytes(second_.version);
  }
  void enter(Lane& lane) override { pay_one(lane, lane.next_id()); }
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) { pay_one(lane, id); });
  }

 protected:
  void pay_one(Lane& lane, std::uint64_t id) {
    const Names names(*tags_, id);
    if (begin(lane, names)->type != REDIS_REPLY_NIL) throw std::runtime_error("a bare payment did not begin");
    const Reply ended = connections_[lane.number()]->run<12>({"EVALSHA", replace_, "3", names.record,
                                                              names.tag.open, names.tag.done, completed_,
                                                              names.key, ttl_, score_, "0", version_});
    if (ended->type != REDIS_REPLY_INTEGER || ended->integer != 1)
      throw std::runtime_error("a bare payment did not end");
  }
  void replay_one(Lane& lane, std::uint64_t id) {
    const Reply there = begin(lane, Names(*tags_, id));
    if (there->type != REDIS_REPLY_STRING || there->len != completed_.size())
      throw std::runtime_error("a bare payment is not there");
  }

 private:
  struct Names {
    Names(const paidonce::detail::RedisTags& tags, std::uint64_t id)
        : key(key_of(id).bytes()), tag(tags.of(key)), record(tag.records + key) {}
    const std::string key;
    const paidonce::detail::RedisTag& tag;
    const std::string record;
  };

  Reply begin(Lane& lane, const Names& names) {
    return connections_[lane.number()]->run<15>(
        {"EVALSHA", insert_, "3", names.record, names.tag.open, names.tag.done, begun_, names.key, "", "",
         "0", old_, names.tag.records, witnesses_[paidonce::detail::redis_tag(names.key)], witnessed_});
  }

  const std::unique_ptr<paidonce::detail::RedisTags> tags_;
  const paidonce::Record first_ = begun(), second_ = completed();
  std::vector<std::unique_ptr<BareConnection>> connections_;
  std::string insert_, replace_, begun_, completed_, ttl_, score_, old_, version_, witnessed_;
  std::array<std::string, paidonce::detail::redis_tags> witnesses_;
};

inline constexpr std::uint64_t replayed_keys = 1000;
inline std::uint64_t replayed_key(std::uint64_t id) { return id * 7919 % replayed_keys; }

/// The same few keys, all of them paid before.
class BareReplayPeer final : public BarePeer {
 public:
  BareReplayPeer(Server& server, const std::string& prefix, const Width& width)
      : BarePeer(server, prefix, width) {
    Lane lane(0);
    for (std::uint64_t id = 0; id < replayed_keys; ++id) pay_one(lane, id);
  }
  void enter(Lane&) override {}
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) { replay_one(lane, replayed_key(id)); });
  }
};

}  // namespace redis_benchmark
