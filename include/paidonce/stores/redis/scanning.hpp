#pragma once
// Scans and sweeps over the tags. A scan of what is unfinished asks for that alone.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/redis/nodes.hpp>
#include <paidonce/redis/pipeline.hpp>
#include <paidonce/store.hpp>
#include <paidonce/stores/redis/keys.hpp>
#include <paidonce/stores/redis/node.hpp>
#include <paidonce/stores/redis/operation.hpp>
#include <paidonce/stores/redis/scripts.hpp>

namespace paidonce::inline v1::detail {

/// Whether a filter lets records through that expire, or ones that do not.
inline bool asks_for_done(const ScanFilter& filter) noexcept {
  return filter.states.empty() || std::any_of(filter.states.begin(), filter.states.end(), [](State state) {
           return state != State::in_progress && state != State::in_doubt;
         });
}
inline bool asks_for_open(const ScanFilter& filter) noexcept {
  return filter.states.empty() || std::any_of(filter.states.begin(), filter.states.end(), [](State state) {
           return state != State::succeeded && state != State::declined;
         });
}

/// Walks through the tags, and within a tag through the bytes of the keys. Belongs to one thread.
class RedisScan {
 public:
  using Page = std::vector<std::pair<IdempotencyKey, Record>>;

  RedisScan(RedisNodes& nodes, RedisStoreShared& shared, const ScanFilter& filter)
      : nodes_(nodes),
        shared_(shared),
        filter_(filter),
        open_(asks_for_open(filter)),
        done_(asks_for_done(filter)),
        after_(filter.after),
        tag_(after_.empty() ? 0 : redis_tag(after_)) {}

  /// Some more records that the filter lets through, none where it happened so; null at the end.
  std::optional<Page> next() {
    if (position_ == members_.size() && !read_members()) return std::nullopt;
    Page page;
    std::vector<RedisCommand> commands;
    const std::size_t end = std::min(members_.size(), position_ + page_size_);
    for (std::size_t at = position_; at < end; ++at)
      commands.push_back({shared_.tags[members_[at].tag].slot,
                          {"GET", shared_.tags[members_[at].tag].records + members_[at].key}});
    run_all(nodes_, commands, deadline());
    std::size_t bytes = 0;
    std::vector<const Member*> gone;
    for (std::size_t at = position_; at < end; ++at) {
      const RedisReply& answer = *commands[at - position_].answer;
      if (answer.expect_done("GET").is_nil()) {
        gone.push_back(&members_[at]);
        continue;
      }
      bytes += answer.text().size();
      Record record = record_from_bytes(answer.text());
      if (passes(filter_, record))
        page.emplace_back(IdempotencyKey::from_bytes(members_[at].key), std::move(record));
    }
    forget(gone);
    page_size_ = std::clamp((std::size_t{1} << 20) / (bytes / (end - position_) + 1), std::size_t{4},
                            std::size_t{1000});
    position_ = end;
    return page;
  }

 private:
  struct Member {
    std::size_t tag = 0;
    std::string key = {};
  };

  static constexpr std::size_t most_members = 1000;

  RedisDeadline deadline() const { return redis_deadline(shared_.options.connection.reply_timeout); }

  /// The next keys, of several tags at once. False at the end.
  bool read_members() {
    members_.clear();
    position_ = 0;
    while (members_.empty()) {
      if (tag_ == redis_tags) return false;
      const std::size_t first = tag_, end = std::min(redis_tags, first + (done_ ? 4 : 32));
      std::vector<RedisCommand> commands;
      const std::string most = std::to_string(most_members);
      for (std::size_t tag = first; tag < end; ++tag) {
        const RedisTag& names = shared_.tags[tag];
        const std::string from = after_.empty() || tag != first ? "-" : "(" + after_;
        if (open_ && done_)
          commands.push_back({names.slot, {"ZRANGEBYLEX", names.open, from, "+"}});
        else if (open_)
          commands.push_back({names.slot, {"ZRANGEBYLEX", names.open, from, "+", "LIMIT", "0", most}});
        if (done_) commands.push_back({names.slot, {"ZRANGE", names.done, "0", "-1"}});
      }
      run_all(nodes_, commands, deadline());
      std::size_t at = 0;
      for (tag_ = first; tag_ < end; ++tag_) {
        const std::size_t start = members_.size();
        bool more = false;
        if (open_) {
          take(*commands[at++].answer, tag_ == first);
          more = !done_ && members_.size() - start == most_members;
        }
        if (done_) take(*commands[at++].answer, tag_ == first);
        const auto begin = members_.begin() + static_cast<std::ptrdiff_t>(start);
        std::sort(begin, members_.end(), [](const Member& a, const Member& b) { return a.key < b.key; });
        // One that moved from one set to the other in between is in both.
        members_.erase(std::unique(begin, members_.end(),
                                   [](const Member& a, const Member& b) { return a.key == b.key; }),
                       members_.end());
        if (more) {
          after_ = members_.back().key;
          return true;
        }
        after_.clear();
      }
    }
    return true;
  }

  void take(const RedisReply& answer, bool first_tag) {
    answer.expect_done("ZRANGE and ZRANGEBYLEX");
    for (std::size_t at = 0; at < answer.size(); ++at) {
      const std::string_view key = answer[at].text();
      if (!first_tag || after_.empty() || key > after_) members_.push_back({tag_, std::string(key)});
    }
  }

  /// Entries whose records are gone: expired by themselves, or taken by somebody who may not.
  void forget(const std::vector<const Member*>& gone) {
    if (gone.empty()) return;
    std::vector<RedisCommand> commands;
    for (std::size_t at = 0; at < gone.size();) {
      const RedisTag& names = shared_.tags[gone[at]->tag];
      RedisCommand command{
          names.slot, {"EVAL", std::string(redis_forget_script), "2", names.open, names.done, names.records}};
      for (const std::size_t tag = gone[at]->tag; at < gone.size() && gone[at]->tag == tag; ++at)
        command.words.push_back(gone[at]->key);
      commands.push_back(std::move(command));
    }
    run_all(nodes_, commands, deadline());
    for (const RedisCommand& command : commands)
      if (!command.answer->is_error())
        shared_.lost_writes.fetch_add(static_cast<std::uint64_t>(command.answer->integer()),
                                      std::memory_order_relaxed);
  }

  RedisNodes& nodes_;
  RedisStoreShared& shared_;
  const ScanFilter& filter_;
  const bool open_, done_;
  std::string after_;  // within the next tag
  std::size_t tag_;    // the next one
  std::vector<Member> members_;
  std::size_t position_ = 0, page_size_ = 64;
};

/// Erases up to `limit` records that have expired by `now`; each is tested and erased by one script.
inline std::size_t erase_expired(RedisNodes& nodes, RedisStoreShared& shared, Timestamp now,
                                 std::size_t limit) {
  constexpr std::size_t most_at_once = 100;  // a script keeps the server from everything else
  const std::int64_t time = now.time_since_epoch().count();
  const std::string score = std::to_string(time);
  const std::string low = std::to_string(static_cast<std::uint32_t>(static_cast<std::uint64_t>(time)));
  const std::string high = std::to_string(static_cast<std::int32_t>(time >> 32));
  const auto deadline = [&] { return redis_deadline(shared.options.connection.reply_timeout); };

  std::vector<RedisCommand> commands;
  for (std::size_t tag = 0; tag < redis_tags; ++tag)
    commands.push_back({shared.tags[tag].slot, {"ZCOUNT", shared.tags[tag].done, "-inf", score}});
  if (limit > 0) run_all(nodes, commands, deadline());

  struct Due {
    std::size_t tag = 0, entries = 0;
  };
  std::vector<Due> due;
  for (std::size_t tag = 0; tag < redis_tags && limit > 0; ++tag)
    if (const auto entries = static_cast<std::size_t>(commands[tag].answer->expect_done("ZCOUNT").integer()))
      due.push_back({tag, entries});

  std::size_t erased = 0;
  while (erased < limit && !due.empty()) {
    commands.clear();
    std::size_t asked = 0;
    std::vector<std::size_t> most;
    for (const Due& each : due) {
      const std::size_t count = std::min({each.entries, most_at_once, limit - erased - asked});
      if (count == 0) break;
      const RedisTag& names = shared.tags[each.tag];
      commands.push_back({names.slot,
                          {"EVAL", std::string(redis_erase_script), "2", names.done, names.swept, score,
                           std::to_string(count), names.records, low, high},
                          RedisCommand::InPart::refuse});  // what is not there has not gone
      asked += count;
      most.push_back(count);
    }
    run_all(nodes, commands, deadline());
    for (std::size_t at = 0; at < commands.size(); ++at) {
      const RedisReply& answer = *commands[at].answer;
      answer.expect_done("EVAL");
      const auto looked_at = static_cast<std::size_t>(answer[0].integer());
      erased += static_cast<std::size_t>(answer[1].integer());
      due[at].entries -= std::min(due[at].entries, looked_at < most[at] ? due[at].entries : looked_at);
    }
    std::erase_if(due, [](const Due& each) { return each.entries == 0; });
  }
  return erased;
}

}  // namespace paidonce::inline v1::detail
