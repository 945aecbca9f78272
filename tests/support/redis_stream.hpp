#pragma once
// What people would look at: the dead letters of a queue of Redis Streams.

#include <string>
#include <string_view>
#include <vector>

#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/redis_stream.hpp>

namespace support {

inline std::vector<paidonce::DeadLetter> dead_letters(std::string_view uri,
                                                      const paidonce::RedisStreamOptions& options) {
  paidonce::detail::RedisClient client(uri, options.connection);
  std::vector<paidonce::DeadLetter> all;
  for (std::size_t at = 0; at < options.partitions; ++at) {
    const std::string stream = "{" + options.stream + ":" + std::to_string(at) + "}:dead";
    const paidonce::detail::RedisReply reply = client.run(stream, {"XRANGE", stream, "-", "+"});
    for (std::size_t entry = 0; entry < reply.size(); ++entry) {
      const paidonce::detail::RedisValue fields = reply[entry][1];
      paidonce::DeadLetter letter;
      for (std::size_t field = 0; field < fields.size(); field += 2) {
        const std::string_view name = fields[field].text();
        const std::string value(fields[field + 1].text());
        if (name == "key") letter.message.key = value;
        if (name == "body") letter.message.body = value;
        if (name == "origin") letter.message.id = value;
        if (name == "reason") letter.reason = value;
      }
      all.push_back(letter);
    }
  }
  return all;
}

}  // namespace support
