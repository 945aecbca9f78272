#pragma once
// One connection to a broker, over librabbitmq. Texts of the broker's errors are never passed on.
// https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf

#include <sys/time.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#endif

#include <paidonce/errors.hpp>
#include <paidonce/queue/rabbitmq/options.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

struct RabbitAddress {
  std::string host = {}, user = {}, password = {}, vhost = {};
  int port = 0;
};

/// Reads `amqp://[user:password@]host[:port][/vhost]`, and `amqps://` where the options have a `connect`.
/// Throws `invalid_options`, and never repeats the URI. A "/" with nothing behind it stands for the default
/// virtual host, which is called "/"; the specification has it stand for one whose name is empty.
/// https://www.rabbitmq.com/docs/uri-spec
inline RabbitAddress rabbit_address(std::string_view uri, const RabbitOptions& options) {
  std::string text(uri);  // is cut into pieces
  amqp_connection_info parsed{};
  if (text.find('\0') != text.npos || amqp_parse_url(text.data(), &parsed) != AMQP_STATUS_OK)
    throw Error(errc::invalid_options,
                "the URI of RabbitMQ is none: write amqp://[user:password@]host[:port][/vhost]");
  if (parsed.ssl && !options.connect)
    throw Error(errc::invalid_options,
                "an amqps:// URI needs RabbitOptions::connect, a function that opens connections over TLS");
  const std::string vhost = *parsed.vhost == '\0' ? "/" : parsed.vhost;
  return {parsed.host, parsed.user, parsed.password, vhost, parsed.port};
}

/// A broker out of reach, a connection that broke, or one that the broker has closed.
inline Error rabbit_outage() {
  return Error(errc::store_unavailable, "the queue's broker is out of reach, or has closed the connection");
}

inline amqp_bytes_t rabbit_bytes(std::string_view text) noexcept {
  return {text.size(), const_cast<char*>(text.data())};  // only read
}
inline std::string_view rabbit_text(amqp_bytes_t bytes) noexcept {
  return bytes.len == 0 ? std::string_view()
                        : std::string_view(static_cast<const char*>(bytes.bytes), bytes.len);
}

inline timeval rabbit_time(Duration length) noexcept {
  timeval time{};
  time.tv_sec = static_cast<decltype(time.tv_sec)>(length.count() / 1000);
  time.tv_usec = static_cast<decltype(time.tv_usec)>(length.count() % 1000 * 1000);
  return time;
}

/// What the broker closed a channel or a connection for.
inline Error rabbit_refusal(int code) {
  const std::string told = " (" + std::to_string(code) + ")";
  switch (code) {
    case AMQP_ACCESS_REFUSED:
    case AMQP_NOT_ALLOWED:
      return Error(
          errc::invalid_options,
          "the queue's broker does not let this user do that: check user, password, virtual host and "
          "permissions" +
              told);
    case AMQP_PRECONDITION_FAILED:
      return Error(errc::invalid_options, "a queue is there with other arguments" + told);
    case AMQP_RESOURCE_LOCKED:
      return Error(errc::invalid_options, "a queue is another connection's own" + told);
    default: return Error(errc::store_unavailable, "the queue's broker has closed the connection" + told);
  }
}

/// A message that came, with its content. Moves.
class RabbitContent {
 public:
  explicit RabbitContent(const amqp_message_t& read) : message_(new amqp_message_t(read)) {}

  std::string_view body() const noexcept { return rabbit_text(message_->body); }
  std::string_view id() const noexcept {
    return message_->properties._flags & AMQP_BASIC_MESSAGE_ID_FLAG
               ? rabbit_text(message_->properties.message_id)
               : std::string_view();
  }
  /// Null: it has no such header.
  const amqp_field_value_t* header(std::string_view name) const noexcept {
    if (!(message_->properties._flags & AMQP_BASIC_HEADERS_FLAG)) return nullptr;
    const amqp_table_t& table = message_->properties.headers;
    for (int at = 0; at < table.num_entries; ++at)
      if (rabbit_text(table.entries[at].key) == name) return &table.entries[at].value;
    return nullptr;
  }
  std::string_view text(std::string_view name) const noexcept {
    const amqp_field_value_t* const value = header(name);
    return value && (value->kind == AMQP_FIELD_KIND_UTF8 || value->kind == AMQP_FIELD_KIND_BYTES)
               ? rabbit_text(value->value.bytes)
               : std::string_view();
  }
  /// Zero where it is none, or not there.
  std::uint64_t number(std::string_view name) const noexcept {
    const amqp_field_value_t* const value = header(name);
    const auto positive = [](auto signed_one) {
      return signed_one > 0 ? static_cast<std::uint64_t>(signed_one) : 0;
    };
    if (!value) return 0;
    switch (value->kind) {
      case AMQP_FIELD_KIND_I8: return positive(value->value.i8);
      case AMQP_FIELD_KIND_I16: return positive(value->value.i16);
      case AMQP_FIELD_KIND_I32: return positive(value->value.i32);
      case AMQP_FIELD_KIND_I64: return positive(value->value.i64);
      case AMQP_FIELD_KIND_U8: return value->value.u8;
      case AMQP_FIELD_KIND_U16: return value->value.u16;
      case AMQP_FIELD_KIND_U32: return value->value.u32;
      case AMQP_FIELD_KIND_U64: return value->value.u64;
      default: return 0;
    }
  }

 private:
  struct Free {
    void operator()(amqp_message_t* message) const noexcept {
      amqp_destroy_message(message);
      delete message;
    }
  };
  std::unique_ptr<amqp_message_t, Free> message_;
};

/// Belongs to one thread. librabbitmq sends and expects heartbeats whenever it waits for frames, and bounds
/// by them how long it waits for a socket.
class RabbitConnection {
 public:
  /// Connects, and logs in. Throws `store_unavailable`, `invalid_options`.
  RabbitConnection(const RabbitAddress& address, const RabbitOptions& options)
      : state_(amqp_new_connection()) {
    if (!state_) throw std::bad_alloc();
    const timeval connecting = rabbit_time(options.connect_timeout),
                  answer = rabbit_time(options.reply_timeout);
    amqp_set_handshake_timeout(native(), &connecting);
    amqp_set_rpc_timeout(native(), &answer);
    open(address, options, connecting);
    // Without it the broker keeps to itself that a queue was deleted, and its consumer waits for ever.
    amqp_table_entry_t cancel{}, capabilities{};
    cancel.key = amqp_cstring_bytes("consumer_cancel_notify");
    cancel.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    cancel.value.value.boolean = 1;
    capabilities.key = amqp_cstring_bytes("capabilities");
    capabilities.value.kind = AMQP_FIELD_KIND_TABLE;
    capabilities.value.value.table = {1, &cancel};
    const amqp_table_t properties{1, &capabilities};
    const amqp_rpc_reply_t reply = amqp_login_with_properties(
        native(), address.vhost.c_str(), 0, 131072, static_cast<int>(options.heartbeat.count() / 1000),
        &properties, AMQP_SASL_METHOD_PLAIN, address.user.c_str(), address.password.c_str());
    expect(reply);
  }

  amqp_connection_state_t native() const noexcept { return state_.get(); }
  int descriptor() const noexcept { return amqp_get_sockfd(native()); }

  /// Throws unless the broker has done what was asked.
  void expect(const amqp_rpc_reply_t& reply) const {
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION) throw refusal(reply.reply);
    throw rabbit_outage();
  }
  void expect_asked() const { expect(amqp_get_rpc_reply(native())); }
  /// Of calls that only send.
  static void expect_sent(int status) {
    if (status != AMQP_STATUS_OK) throw rabbit_outage();
  }

  /// The next frame that is there already. Throws where the broker closes, or the connection broke.
  std::optional<amqp_frame_t> next() {
    amqp_maybe_release_buffers(native());
    amqp_frame_t frame{};
    const timeval at_once{};
    const int status = amqp_simple_wait_frame_noblock(native(), &frame, &at_once);
    if (status == AMQP_STATUS_TIMEOUT) return std::nullopt;
    if (status != AMQP_STATUS_OK) throw rabbit_outage();
    if (frame.frame_type == AMQP_FRAME_METHOD && (frame.payload.method.id == AMQP_CHANNEL_CLOSE_METHOD ||
                                                  frame.payload.method.id == AMQP_CONNECTION_CLOSE_METHOD))
      throw passing(refusal(frame.payload.method));
    return frame;
  }

  /// The content that follows a method on its channel.
  RabbitContent content(amqp_channel_t channel) {
    amqp_message_t message{};
    expect(amqp_read_message(native(), channel, &message, 0));
    return RabbitContent(message);
  }

  void open_channel(amqp_channel_t channel) {
    amqp_channel_open(native(), channel);
    expect_asked();
  }
  /// The highest number that the broker lets a channel have.
  amqp_channel_t last_channel() const noexcept {
    const int told = amqp_get_channel_max(native());
    return told <= 0 || told > 65535 ? 65535 : static_cast<amqp_channel_t>(told);
  }
  void close_channel(amqp_channel_t channel) {
    expect(amqp_channel_close(native(), channel, AMQP_REPLY_SUCCESS));
  }
  /// The end, in good order where the broker still answers.
  void close() noexcept { amqp_connection_close(native(), AMQP_REPLY_SUCCESS); }

 private:
  struct Free {
    void operator()(amqp_connection_state_t_* state) const noexcept { amqp_destroy_connection(state); }
  };

  void open(const RabbitAddress& address, const RabbitOptions& options, const timeval& timeout) {
    if (options.connect) {
      try {
        if (options.connect(native(), address.host.c_str(), address.port, options.connect_timeout)) return;
      } catch (const std::bad_alloc&) {
        throw;
      } catch (const std::exception&) {  // its text may hold anything
      }
      throw rabbit_outage();
    }
    amqp_socket_t* const socket = amqp_tcp_socket_new(native());
    if (!socket) throw std::bad_alloc();
    if (amqp_socket_open_noblock(socket, address.host.c_str(), address.port, &timeout) != AMQP_STATUS_OK)
      throw rabbit_outage();
  }

  /// What has worked before is not refused for its arguments: a message was out for longer than the broker's
  /// consumer_timeout, and connecting anew helps.
  static Error passing(const Error& refusal) {
    return retryable(refusal) ? refusal : Error(errc::store_unavailable, refusal.what());
  }
  static Error refusal(const amqp_method_t& method) {
    if (method.id == AMQP_CHANNEL_CLOSE_METHOD)
      return rabbit_refusal(static_cast<const amqp_channel_close_t*>(method.decoded)->reply_code);
    if (method.id == AMQP_CONNECTION_CLOSE_METHOD)
      return rabbit_refusal(static_cast<const amqp_connection_close_t*>(method.decoded)->reply_code);
    return rabbit_outage();
  }

  std::unique_ptr<amqp_connection_state_t_, Free> state_;
};

/// Makes the queues, or sees that they are there as they should be.
class RabbitQueues {
 public:
  explicit RabbitQueues(const RabbitQueueOptions& options)
      : name_(options.queue), count_(options.partitions) {}

  std::string name(std::size_t partition) const { return name_ + "." + std::to_string(partition); }
  std::string dead() const { return name_ + ".dead"; }
  /// Always empty: whoever consumes partitions consumes it, too, and so they are counted. A partition's own
  /// count leaves out those that wait for their turn.
  std::string members() const { return name_ + ".members"; }

  /// Quorum queues, each consumed by one consumer at a time. What the broker itself takes out of a queue (by
  /// a delivery limit or a time to live of the operator's) goes to the dead letters, too.
  void declare(RabbitConnection& connection, amqp_channel_t channel) const {
    const std::string buried = dead();
    const auto text = [](const char* key, std::string_view value) {
      amqp_table_entry_t entry{};
      entry.key = amqp_cstring_bytes(key);
      entry.value.kind = AMQP_FIELD_KIND_UTF8;
      entry.value.value.bytes = rabbit_bytes(value);
      return entry;
    };
    amqp_table_entry_t entries[] = {text("x-queue-type", "quorum"),
                                    text("x-dead-letter-exchange", ""),
                                    text("x-dead-letter-routing-key", buried),
                                    text("x-dead-letter-strategy", "at-least-once"),
                                    text("x-overflow", "reject-publish"),
                                    {}};
    entries[5].key = amqp_cstring_bytes("x-single-active-consumer");
    entries[5].value.kind = AMQP_FIELD_KIND_BOOLEAN;
    entries[5].value.value.boolean = 1;
    const auto make = [&](const std::string& queue, int arguments) {
      amqp_queue_declare(connection.native(), channel, rabbit_bytes(queue), 0, 1, 0, 0, {arguments, entries});
      connection.expect_asked();
    };
    make(buried, 1);
    make(members(), 1);
    for (std::size_t at = 0; at < count_; ++at) make(name(at), 6);
  }

  /// How many consumers there are.
  std::size_t count_members(RabbitConnection& connection, amqp_channel_t channel) const {
    const amqp_queue_declare_ok_t* const there = amqp_queue_declare(
        connection.native(), channel, rabbit_bytes(members()), 1, 0, 0, 0, amqp_empty_table);
    connection.expect_asked();
    return there->consumer_count;
  }

 private:
  const std::string name_;
  const std::size_t count_;
};

}  // namespace paidonce::inline v1::detail
