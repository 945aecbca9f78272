#pragma once
// What people would look at: the dead letters of a queue on RabbitMQ. Takes them out of the queue.

#include <string>
#include <string_view>
#include <vector>

#include <paidonce/queue/memory_queue.hpp>
#include <paidonce/queue/rabbitmq.hpp>

namespace support {

inline std::vector<paidonce::DeadLetter> dead_letters(std::string_view uri,
                                                      const paidonce::RabbitQueueOptions& options) {
  using namespace paidonce::detail;
  const RabbitAddress address = rabbit_address(uri, options.connection);
  RabbitConnection connection(address, options.connection);
  connection.open_channel(1);
  const std::string queue = RabbitQueues(options).dead();
  std::vector<paidonce::DeadLetter> all;
  for (;;) {
    const amqp_rpc_reply_t reply = amqp_basic_get(connection.native(), 1, rabbit_bytes(queue), 1);
    connection.expect(reply);
    if (reply.reply.id != AMQP_BASIC_GET_OK_METHOD) return all;
    const RabbitContent content = connection.content(1);
    paidonce::DeadLetter letter;
    letter.message.key = content.text("paidonce-key");
    letter.message.id = content.text("paidonce-origin");
    letter.message.body = content.body();
    letter.reason = content.text("paidonce-reason");
    all.push_back(letter);
  }
}

}  // namespace support
