#pragma once
// One consumer of a queue of Redis Streams: a thread that shares the partitions out with the other consumers
// and fetches what is in its own.
//
// A partition is consumed under a lease: a key with this consumer's token that expires. Every fetch looks at
// it within the server, in the same step, and renews it; a consumer counts it from before it asked, so that
// it ends here first. Messages of a partition whose lease ended are not handed out any more.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <paidonce/detail/background_thread.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/queue/inbox.hpp>
#include <paidonce/queue/redis_stream/broker_error.hpp>
#include <paidonce/queue/redis_stream/options.hpp>
#include <paidonce/queue/redis_stream/scripts.hpp>
#include <paidonce/redis/client.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/retry/system_random.hpp>
#include <paidonce/uuid.hpp>

namespace paidonce::inline v1::detail {

/// Thread-safe. Uses the client and the options, which outlive it.
class StreamConsumer {
 public:
  StreamConsumer(RedisClient& client, const RedisStreamOptions& options)
      : client_(client),
        options_(options),
        token_(uuid_v4()),
        me_(options.consumer.empty() ? token_ : options.consumer),
        registry_("{" + options.stream + "}:consumers:" + options.group),
        count_("{" + options.stream + "}:partitions") {
    for (std::size_t at = 0; at < options.partitions; ++at) {
      const std::string stream = "{" + options.stream + ":" + std::to_string(at) + "}";
      parts_.push_back({stream, stream + ":lease:" + options.group, stream + ":dead"});
    }
    thread_ = start_store_thread([this] { run(); });
  }
  ~StreamConsumer() {
    halt_.request();
    thread_.join();
  }
  StreamConsumer(const StreamConsumer&) = delete;
  StreamConsumer& operator=(const StreamConsumer&) = delete;

  std::optional<Message> receive(Duration pause, Stop& stop) {
    return inbox_.receive(pause, stop, [&](Held& held, Duration now) {
      if (!active_.load()) call();
      expire(held, now);
    });
  }

  void ack(const Message& message) {
    settle(message, [&](const Part& part, const std::string& id) {
      client_.run(part.stream, {"XACK", part.stream, options_.group, id}).expect_done();
    });
  }

  void dead_letter(const Message& message, std::string_view reason) {
    settle(message, [&](const Part& part, const std::string& id) {
      script(stream_bury, {part.stream, part.lease, part.dead}, {options_.group, id, reason, token_})
          .expect_done();
    });
  }

  void retry_later(const Message& message, Duration pause) {
    inbox_.update([&](Held& held, Duration now) {
      held.retry(message, saturating_add(Timestamp(now), pause).time_since_epoch());
    });
    if (pause.count() == 0) call();
  }

 private:
  struct Entry {
    std::size_t part;
    std::string id;
  };
  using Held = Backlog<Entry>;

  struct Part {
    std::string stream, lease, dead;
    // What follows belongs to the inbox's lock.
    Duration until{0};               // when the lease ends here; zero: not ours
    std::set<std::string> ids = {};  // of what is held
    bool leaving = false;            // given to others once nothing of it is out
    // And this to the thread.
    std::string after = {};  // as stream_fetch has it
    bool again = false;      // it was asked for since the partition was taken
    Duration look{0}, pause{0}, renew{0}, trim{0};
  };

  // --- what callers do

  template <class Tell>
  void settle(const Message& message, Tell&& tell) {
    const Part* part = nullptr;
    std::string id;
    inbox_.with([&](Held& held, Duration now) {
      expire(held, now);
      if (const Entry* const entry = held.find(message.token)) {
        part = &parts_[entry->part];
        id = entry->id;
      }
    });
    if (!part) {  // no longer this consumer's
      inbox_.update([&](Held& held, Duration) { held.done(message.token); });
      return;
    }
    try {
      ask_queue([&] { tell(*part, id); });
    } catch (...) {
      inbox_.update([&](Held& held, Duration now) {
        Message again = message;
        --again.deliveries;  // nothing is wrong with it
        held.retry(again, now + after_failure);
      });
      throw;
    }
    bool was_full = false;
    inbox_.update([&](Held& held, Duration) {
      const Entry* const entry = held.find(message.token);
      if (!entry) return void(held.done(message.token));
      Part& of = parts_[entry->part];
      was_full = of.ids.size() >= options_.prefetch || of.leaving;
      of.ids.erase(id);
      held.done(message.token);
    });
    if (was_full) call();
  }

  void call() noexcept {
    called_.store(true);
    halt_.wake();
  }

  // --- what the thread does

  void run() {
    while (!halt_.requested()) {
      const Duration wait = round();
      halt_.wait_for(wait, [&] { return called_.exchange(false); });
    }
    leave_all();
  }

  /// For how long there is nothing to do.
  Duration round() {
    active_.store(false);
    if (!inbox_.in_use(options_.idle_after)) {
      leave_all();
      registered_ = Duration(0);
      return std::chrono::hours(1);
    }
    active_.store(true);
    failed_ = false;
    attempt([&] { share_out(); });
    for (std::size_t at = 0; at < parts_.size() && !halt_.requested(); ++at) attempt([&] { look_after(at); });
    if (failed_) {
      SystemRandom random;
      return pause_after(options_.connection.reconnect, ++failures_, Duration(0), random);
    }
    failures_ = 0;
    inbox_.works();
    return std::max(next_ - timer_.elapsed(), Duration(0));
  }

  template <class Do>
  void attempt(Do&& step) {
    try {
      step();
    } catch (const Error& failure) {
      failed_ = true;
      inbox_.fails(of_queue(failure));
    } catch (const std::exception&) {  // out of memory
      failed_ = true;
      inbox_.fails(Error(errc::store_unavailable, "messages could not be fetched for want of memory"));
    }
  }

  /// Who is there, and how many partitions each may have: as many as the others, or one more.
  void share_out() {
    const Duration now = timer_.elapsed();
    next_ = now + renewal();
    if (now >= registered_) {
      const std::string length = std::to_string(options_.lease.count()),
                        count = std::to_string(parts_.size());
      const RedisReply reply = script(stream_register, {registry_, count_}, {token_, length, count});
      reply.expect_done();
      check_stream_partitions(reply[0].text(), options_);
      std::size_t rank = 0;
      const RedisValue all = reply[1];
      for (std::size_t at = 0; at < all.size(); ++at) rank += all[at].text() < token_;
      const std::size_t alive = std::max<std::size_t>(all.size(), 1);
      quota_ = parts_.size() / alive + (rank < parts_.size() % alive);
      first_ = rank * parts_.size() / alive;
      registered_ = now + renewal();
    }
    std::size_t have = inbox_.with([&](Held&, Duration) {
      std::size_t staying = 0;
      for (Part& part : parts_) {
        if (part.until.count() == 0) continue;
        part.leaving = staying >= quota_;
        staying += !part.leaving;
      }
      return staying;
    });
    if (have >= quota_ || now < taken_) return;
    taken_ = now + std::min(renewal(), Duration(1000));
    for (std::size_t step = 0; step < parts_.size() && have < quota_; ++step)
      have += take((first_ + step) % parts_.size());
    next_ = std::min(next_, have < quota_ ? taken_ : next_);
  }

  std::size_t take(std::size_t at) {
    Part& part = parts_[at];
    if (is_held(part)) return 0;
    const Duration asked = timer_.elapsed();
    const RedisReply reply = script(stream_take, {part.stream, part.lease},
                                    {token_, std::to_string(options_.lease.count()), options_.group});
    if (reply.expect_done().integer() == 0) return 0;
    part.after = "-";
    part.again = false;
    part.look = part.pause = Duration(0);
    part.renew = asked + renewal();
    part.trim = asked + options_.trim_interval;
    inbox_.with([&](Held&, Duration) {
      part.until = asked + options_.lease;
      part.leaving = false;
    });
    return 1;
  }

  /// Fetches, renews, trims, leaves: what is due at a partition.
  void look_after(std::size_t at) {
    Part& part = parts_[at];
    std::size_t room = 0;
    bool held = false, done = false;
    inbox_.with([&](Held& backlog, Duration now) {
      if (part.until.count() != 0 && part.until <= now) drop(backlog, at);
      held = part.until.count() != 0;
      if (held && part.leaving)
        for (const Entry& entry : backlog.give_back([&](const Entry& one) { return one.part == at; }))
          part.ids.erase(entry.id);
      done = part.leaving && part.ids.empty();
      room = part.leaving || part.ids.size() >= options_.prefetch ? 0 : options_.prefetch - part.ids.size();
    });
    if (!held) return;
    if (done) return leave(at);
    const Duration now = timer_.elapsed();
    if ((room > 0 && now >= part.look) || now >= part.renew) fetch(at, room);
    if (now >= part.trim) {
      part.trim = now + options_.trim_interval;
      script(stream_trim, {part.stream, part.lease}, {token_, options_.group, me_}).expect_done();
    }
    next_ = std::min({next_, part.renew, part.trim, room > 0 ? std::max(part.look, now) : part.renew});
  }

  void fetch(std::size_t at, std::size_t room) {
    Part& part = parts_[at];
    const Duration asked = timer_.elapsed();
    const std::string after = std::exchange(part.after, "-");  // where the answer is lost, it begins anew
    const RedisReply reply =
        script(stream_fetch, {part.stream, part.lease},
               {token_, std::to_string(options_.lease.count()), options_.group, me_, std::to_string(room),
                after, std::exchange(part.again, true) ? "again" : ""});
    if (reply.is_nil()) return lost(at);
    if (reply.error().find("NOGROUP") != std::string_view::npos) {  // the stream is gone
      leave(at);
      return;
    }
    reply.expect_done();
    const RedisValue entries = reply[1];
    part.after = reply[0].text();
    part.renew = asked + renewal();
    const std::size_t count = entries.size();
    part.pause =
        count != 0 ? Duration(2) : std::min(2 * std::max(part.pause, Duration(1)), options_.poll_interval);
    part.look = count < room ? asked + part.pause : asked;
    const auto add = [&](Held& backlog, Duration now) {
      if (part.until.count() == 0) return;  // ended meanwhile: it is taken anew, and looked through
      part.until = asked + options_.lease;
      for (std::size_t each = 0; each < count; ++each) {
        std::string id(entries[each][0].text());
        if (part.ids.contains(id)) continue;
        Message message = message_of(entries[each][2]);
        message.id = std::to_string(at) + "/" + id;
        message.deliveries =
            static_cast<std::uint32_t>(std::clamp<long long>(entries[each][1].integer(), 1, UINT32_MAX));
        const auto known = part.ids.insert(id).first;
        try {
          backlog.add(std::move(message), Entry{at, std::move(id)}, now);
        } catch (...) {
          part.ids.erase(known);
          part.after = "-";
          throw;
        }
      }
    };
    if (count != 0)
      inbox_.update(add);
    else
      inbox_.with(add);
  }

  static Message message_of(const RedisValue& fields) {
    Message message;
    for (std::size_t at = 0; at + 1 < fields.size(); at += 2) {
      if (fields[at].text() == "key") message.key = fields[at + 1].text();
      if (fields[at].text() == "body") message.body = fields[at + 1].text();
    }
    return message;
  }

  bool is_held(const Part& part) {
    return inbox_.with([&](Held&, Duration) { return part.until.count() != 0; });
  }
  /// These two under the inbox's lock. What is of a partition whose lease ended is another's, perhaps.
  void expire(Held& backlog, Duration now) {
    for (std::size_t at = 0; at < parts_.size(); ++at)
      if (parts_[at].until.count() != 0 && parts_[at].until <= now) drop(backlog, at);
  }
  void drop(Held& backlog, std::size_t at) {
    backlog.drop([&](const Entry& entry) { return entry.part == at; });
    parts_[at].ids.clear();
    parts_[at].until = Duration(0);
    parts_[at].leaving = false;
  }
  void lost(std::size_t at) {
    inbox_.update([&](Held& backlog, Duration) { drop(backlog, at); });
  }
  void leave(std::size_t at) {
    lost(at);
    script(stream_release, {parts_[at].stream, parts_[at].lease}, {token_}).expect_done();
  }

  /// A partition that cannot be given back expires.
  void leave_all() noexcept {
    try {
      std::size_t left = 0;
      for (std::size_t at = 0; at < parts_.size(); ++at) {
        if (!is_held(parts_[at])) continue;
        ++left;
        leave(at);
      }
      if (left != 0) client_.run(registry_, {"ZREM", registry_, token_});
    } catch (const std::exception&) {
    }
  }

  Duration renewal() const { return options_.lease / 3; }

  RedisReply script(const char* text, std::initializer_list<std::string_view> keys,
                    std::initializer_list<std::string_view> words) {
    const std::string count = std::to_string(keys.size());
    std::vector<std::string_view> all{"EVAL", text, count};
    all.insert(all.end(), keys);
    all.insert(all.end(), words);
    return client_.run(*keys.begin(), RedisWords(all.data(), all.size()),
                       redis_deadline(options_.connection.reply_timeout));
  }

  static constexpr Duration after_failure{200};

  RedisClient& client_;
  const RedisStreamOptions& options_;
  const std::string token_, me_, registry_, count_;
  const SteadyTimer timer_ = {};
  Inbox<Entry> inbox_;
  std::vector<Part> parts_;
  std::size_t quota_ = 0, first_ = 0;
  Duration registered_{0}, taken_{0}, next_{0};  // when to do it again
  std::uint32_t failures_ = 0;
  bool failed_ = false;
  std::atomic<bool> active_{false}, called_{false};
  Stop halt_;
  std::thread thread_;
};

}  // namespace paidonce::inline v1::detail
