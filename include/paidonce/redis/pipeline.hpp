#pragma once
// Several commands at once, each to the node that has its key: one round trip a node.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/redis/connection.hpp>
#include <paidonce/redis/nodes.hpp>
#include <paidonce/redis/reply.hpp>

namespace paidonce::inline v1::detail {

/// A command that owns its words, and the answer to it.
struct RedisCommand {
  /// What becomes of it where a node has only some keys of the slot yet, which moves there.
  enum class InPart : std::uint8_t { run, refuse };

  std::uint16_t slot = 0;
  std::vector<std::string> words = {};
  InPart in_part = InPart::run;
  std::optional<RedisReply> answer = {};  ///< errors of the server included

  void view(std::vector<std::string_view>& views) const { views.assign(words.begin(), words.end()); }
};

/// Fills in all answers. What is executed twice must do no harm: a node may be lost in the middle. Throws as
/// `RedisNodes::route`, and `store_unavailable` for what is refused in part.
inline void run_all(RedisNodes& nodes, std::vector<RedisCommand>& commands, RedisDeadline deadline) {
  std::vector<std::string_view> words;
  std::vector<RedisCommand*> left, of_node;
  for (RedisCommand& command : commands) left.push_back(&command);
  while (!left.empty()) {
    const RedisCommand* const first = left.front();
    RedisNode& node = nodes.of(first->slot);
    of_node.clear();
    std::erase_if(left, [&](RedisCommand* each) {
      if (&nodes.of(each->slot) != &node && each != first) return false;
      of_node.push_back(each);
      return true;
    });
    if (!nodes.is_cluster() || of_node.size() > 1) {
      RedisPool::Lease lease(node.pool);
      RedisConnection* connection = nullptr;
      try {
        connection = nodes.is_cluster() ? &lease.ready_or_out() : &lease.ready();
      } catch (const RedisOutage&) {
        if (!nodes.is_cluster()) throw;  // else each for itself, wherever that is by now
      }
      if (connection) {
        for (RedisCommand* const each : of_node) {
          each->view(words);
          connection->add(words);
        }
        for (RedisCommand* const each : of_node) each->answer = connection->read(deadline);
      }
    }
    for (RedisCommand* const each : of_node) {
      RedisRedirect from;
      if (each->answer) {
        from = nodes.redirect(each->slot, *each->answer, node.connector.endpoint());
        if (from.verdict == RedisVerdict::refuse) continue;
      }
      each->view(words);
      each->answer = nodes.route(
          each->slot, deadline,
          [&](RedisNode&, RedisConnection& connection, RedisNodes::Asking asking) {
            if (asking == RedisNodes::Asking::yes && each->in_part == RedisCommand::InPart::refuse)
              throw Error(errc::store_unavailable,
                          "the cluster moves these keys at the moment: try again when it has");
            return RedisNodes::exchange(connection, asking, words, deadline);
          },
          from);
    }
  }
}

}  // namespace paidonce::inline v1::detail
