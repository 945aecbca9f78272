#pragma once
// The queue of a run, over either broker.

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <paidonce/queue/message_source.hpp>

namespace queue_worker {

/// A MessageSource that can be put into.
class Queue {
 public:
  virtual ~Queue() = default;
  virtual std::string put(std::string_view key, std::string_view body) = 0;
  virtual std::optional<paidonce::Message> receive(paidonce::Duration pause, paidonce::Stop& stop) = 0;
  virtual void ack(const paidonce::Message& message) = 0;
  virtual void retry_later(const paidonce::Message& message, paidonce::Duration pause) = 0;
  virtual void dead_letter(const paidonce::Message& message, std::string_view reason) = 0;
};

/// Of the run with this name; `uri` begins with redis:// (and its like) or amqp://. Throws paidonce::Error.
std::unique_ptr<Queue> open_queue(const std::string& uri, const std::string& run);

/// What keeps a URI from being one of these; empty: nothing.
std::string problem_of_broker(const std::string& uri);

}  // namespace queue_worker
