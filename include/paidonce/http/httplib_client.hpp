#pragma once
// A client that repeats a request until it is answered, under one key, and says truthfully what it does not
// know. Over cpp-httplib (https://github.com/yhirose/cpp-httplib), 0.11 and newer. Component
// paidonce::httplib.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include <httplib.h>

#include <paidonce/clock.hpp>
#include <paidonce/clocks/steady_timer.hpp>
#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/detail/signals_blocked.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/http/base_url.hpp>
#include <paidonce/http/client_policy.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/http/request_key.hpp>
#include <paidonce/http/retry_after.hpp>
#include <paidonce/retry/retry.hpp>
#include <paidonce/timer.hpp>

namespace paidonce::inline v1::http {

struct ClientOptions {
  KeyForm key_form = KeyForm::quoted;
  /// Sent with every request, as `Authorization`.
  std::vector<Field> fields = {};

  Duration connect_timeout = std::chrono::seconds(5);
  Duration write_timeout = std::chrono::seconds(10);  ///< for each piece that is sent
  Duration read_timeout = std::chrono::seconds(30);   ///< for each piece that comes
  /// For a whole try: a server that sends a byte now and then does not hold the caller.
  Duration try_timeout = std::chrono::seconds(40);

  Backoff backoff = {};
  /// Tries at most, the first included.
  std::uint32_t attempts = 10;
  /// For all tries and the pauses between them. A pause that would end later is not begun; a try is cut off
  /// then, which leaves it unknown.
  Duration deadline = std::chrono::minutes(1);
  /// Shared with all who call the same server; null: no budget. Outlives the client, as `stop` does.
  RetryBudget* budget = nullptr;
  /// Ends the pause that it finds, and no try begins after it. A try that runs is not cut off.
  Stop* stop = nullptr;

  ReplyMeaning (*reply_policy)(const Response& reply) = &meaning_of_reply;
  /// Bytes of a body, after decompression; a larger reply is as if it had been lost.
  std::size_t largest_reply = 8 << 20;
  /// Certificates (PEM) that a server's is checked against; empty: the system's. It is always checked.
  std::string ca_file = {};
};

/// What a request came to. Immutable.
class Sent {
 public:
  Sent(std::string key, SendProgress progress, RetryEnd end, std::uint32_t tries, Duration waited,
       Duration retry_after)
      : key_(std::move(key)),
        progress_(std::move(progress)),
        end_(end),
        tries_(tries),
        waited_(waited),
        retry_after_(retry_after) {}

  SendStatus status() const noexcept { return progress_.status(); }
  /// The answer, of whatever status. Throws `Error{wrong_state}` unless `answered`.
  const Response& reply() const {
    if (status() != SendStatus::answered)
      throw Error(errc::wrong_state, "there is no answer: look at status() first");
    return *progress_.reply();
  }
  /// The last complete reply, which is not the answer while the status is `unknown`; null without one.
  const Response* last_reply() const noexcept { return progress_.reply() ? &*progress_.reply() : nullptr; }
  /// Whether the answer was given before, to this key.
  bool replayed() const { return status() == SendStatus::answered && is_replayed(*progress_.reply()); }
  /// Whether the same may be asked for under another key, as far as this request and its key are concerned.
  NewKey new_key() const { return progress_.new_key(); }

  /// What it went under, and has to be repeated under.
  const std::string& key() const noexcept { return key_; }
  std::uint32_t tries() const noexcept { return tries_; }
  /// How the last try ended; none: there was no try.
  std::optional<TryEnd> last_try() const noexcept { return progress_.last(); }
  /// Why there was no further try.
  RetryEnd end() const noexcept { return end_; }
  Duration waited() const noexcept { return waited_; }  ///< in the pauses, on the timer
  /// What the last reply asked to wait before the next try; zero: nothing.
  Duration retry_after() const noexcept { return retry_after_; }

 private:
  std::string key_;
  SendProgress progress_;
  RetryEnd end_;
  std::uint32_t tries_;
  Duration waited_, retry_after_;
};

namespace detail {

/// Cuts a connection off when a try has lasted too long: httplib's own timeouts begin anew with every byte.
class TryLimit {
 public:
  /// Throws `std::system_error` where there can be no more threads.
  TryLimit(httplib::Client& connection, Duration length) {
    const paidonce::detail::SignalsBlocked blocked;
    thread_ = std::thread([&connection, this, length] {
      constexpr Duration again{20};  // it may just have been about to connect
      for (Duration next = length; done_.wait_for(next, paidonce::detail::Never{}); next = again)
        connection.stop();
    });
  }
  ~TryLimit() {
    done_.request();
    thread_.join();
  }
  TryLimit(const TryLimit&) = delete;
  TryLimit& operator=(const TryLimit&) = delete;

 private:
  Stop done_;
  std::thread thread_ = {};
};

/// Whether nothing can have been sent. What is not known here may have been.
template <class E = httplib::Error>
TryEnd end_of(E error) noexcept {
  switch (error) {
    case E::Connection:
    case E::ConnectionTimeout:
    case E::SSLConnection: return TryEnd::not_connected;
    case E::BindIPAddress:
    case E::SSLLoadingCerts:
    case E::SSLServerVerification: return TryEnd::not_trusted;
    default: break;
  }
  if constexpr (requires { E::SSLServerHostnameVerification; })  // newer versions tell it apart
    if (error == E::SSLServerHostnameVerification) return TryEnd::not_trusted;
  return TryEnd::no_whole_reply;
}

/// Paths are sent as they are given. The setting's name differs between versions of httplib.
template <class Connection>
void leave_path_alone(Connection& connection) {
  if constexpr (requires { connection.set_url_encode(false); })
    connection.set_url_encode(false);
  else
    connection.set_path_encode(false);
}

/// Visible ASCII.
inline bool is_visible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

/// Throws `Error{invalid_options}` for a field that could end the head of a request, or belongs to the
/// client.
inline void check_field(std::string_view name, std::string_view value) {
  if (!is_token(name) || !sound_value(value))
    throw Error(errc::invalid_options, "a field of a request has a token as its name, and one line of text");
  for (const std::string_view own :
       {"Idempotency-Key", "Connection", "Content-Length", "Transfer-Encoding", "Expect", "Accept-Encoding"})
    if (same_name(name, own))
      throw Error(errc::invalid_options, std::string(own) + " is the client's own field; leave it out");
}

}  // namespace detail

/// Sends requests to one server. Any number of threads may use it: it is immutable, and each try has a
/// connection of its own, so that no reply is ever taken for another's.
///
/// Names are resolved by the system, in its own time: no timeout here ends that.
class IdempotentClient {
 public:
  /// `url` as `base_url` takes it. Throws `Error{invalid_options}`.
  explicit IdempotentClient(std::string_view url, ClientOptions options = {})
      : url_(base_url(url)), options_(std::move(options)), policy_(policy_of(options_)) {
#ifndef CPPHTTPLIB_OPENSSL_SUPPORT
    if (url_.starts_with("https://"))
      throw Error(errc::invalid_options,
                  "https:// needs cpp-httplib with TLS: define CPPHTTPLIB_OPENSSL_SUPPORT and link OpenSSL, "
                  "as the build of cpp-httplib's package does");
#endif
    for (const Duration each :
         {options_.connect_timeout, options_.write_timeout, options_.read_timeout, options_.try_timeout})
      if (each.count() <= 0)
        throw Error(errc::invalid_options,
                    "a timeout must be longer than zero: how long may a server take at most?");
    for (const Field& field : options_.fields) detail::check_field(field.name, field.value);
  }

  /// Sends the request under that key until it is answered, trying does not help, or the options say that it
  /// is enough. Blocks. Once a try has begun nothing is thrown: what is not known is `unknown`.
  ///
  /// Before the first try it throws `Error{invalid_options}` for a request that cannot be sent, and
  /// `Error{invalid_key}` for a key that cannot stand bare where the options ask for that.
  Sent send(const Request& request, const RequestKey& key) const {
    return send(request, key, SteadyTimer(), SystemRandom(), SystemClock());
  }
  /// The same on a timer, with pauses drawn from a uniform random bit generator and dates compared with a
  /// clock. The timeouts are the system's all the same.
  template <class T, class Random, class C>
  requires Timer<std::remove_reference_t<T>> && Clock<std::remove_reference_t<C>> Sent
  send(const Request& request, const RequestKey& key, T&& timer, Random&& random, C&& clock)
  const {
    const httplib::Request message = message_of(request, key);
    SendProgress progress(key);
    Stop nothing;
    Stop& stop = options_.stop != nullptr ? *options_.stop : nothing;
    const Duration start = timer.elapsed();
    if (options_.budget != nullptr) options_.budget->deposit();
    std::uint32_t tries = 0;
    Duration drawn{0}, waited{0}, asked{0};
    const auto ended = [&](RetryEnd end) { return Sent(key.text(), progress, end, tries, waited, asked); };
    while (!stop.requested()) {
      const Duration left = options_.deadline - (timer.elapsed() - start);
      if (left.count() <= 0) return ended(RetryEnd::past_deadline);
      ++tries;
      const NextStep next = attempt(message, request.body, std::min(left, options_.try_timeout), progress);
      asked = progress.last() == TryEnd::replied
                  ? retry_after(*progress.reply(), clock.now()).value_or(Duration(0))
                  : Duration(0);
      if (next == NextStep::finish)
        return ended(progress.status() == SendStatus::answered ? RetryEnd::settled : RetryEnd::not_retryable);
      const Duration before = timer.elapsed();
      const auto then = paidonce::detail::next_try(policy_, tries, before - start, asked, drawn, random);
      if (then.end) return ended(*then.end);
      pause(timer, then.pause, stop);
      waited += timer.elapsed() - before;
    }
    return ended(RetryEnd::stopped);
  }

  const std::string& url() const noexcept { return url_; }
  const ClientOptions& options() const noexcept { return options_; }

 private:
  static RetryPolicy policy_of(const ClientOptions& options) {
    return paidonce::detail::checked(RetryPolicy{.backoff = options.backoff,
                                                 .attempts = options.attempts,
                                                 .deadline = options.deadline,
                                                 .in_doubt = WhenInDoubt::send_again,
                                                 .budget = options.budget,
                                                 .stop = options.stop});
  }

  httplib::Request message_of(const Request& request, const RequestKey& key) const {
    if (request.method != "POST" && request.method != "PATCH" && request.method != "PUT")
      throw Error(errc::invalid_options,
                  "a request with a key is a POST, a PATCH or a PUT; others change nothing, or need no key");
    if (!request.path.starts_with('/') || !detail::is_visible(request.path) ||
        !detail::is_visible(request.query) || request.path.find_first_of("?#") != request.path.npos ||
        request.query.find('#') != request.query.npos)
      throw Error(errc::invalid_options,
                  "a path begins with a slash, and what is not ASCII or has a meaning in URLs is "
                  "percent-encoded in it; the query is given by itself");
    httplib::Request message;
    message.method = request.method;
    message.path = request.path;
    if (!request.query.empty()) (message.path += '?') += request.query;
    for (const Field& field : options_.fields) message.headers.emplace(field.name, field.value);
    for (const FieldView& field : request.fields) {
      detail::check_field(field.name, field.value);
      message.headers.emplace(field.name, field.value);
    }
    message.headers.emplace("Idempotency-Key", key.field_value(options_.key_form));
#if defined(CPPHTTPLIB_ZLIB_SUPPORT) && defined(CPPHTTPLIB_BROTLI_SUPPORT)
    message.headers.emplace("Accept-Encoding", "gzip, br");
#elif defined(CPPHTTPLIB_ZLIB_SUPPORT)
    message.headers.emplace("Accept-Encoding", "gzip");
#endif
    return message;
  }

  /// One try, on a connection of its own. Throws nothing: what throws before anything is sent was not sent.
  NextStep attempt(const httplib::Request& message, std::string_view body, Duration limit,
                   SendProgress& progress) const {
    bool begun = false;  // bytes may have left
    try {
      std::optional<Response> reply;
      const TryEnd end = exchange(message, body, limit, begun, reply);
      if (!reply) return progress.failed(end);
      const ReplyMeaning meaning = options_.reply_policy(*reply);
      return progress.replied(std::move(*reply), meaning);
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (...) {
      return progress.failed(begun ? TryEnd::no_whole_reply : TryEnd::not_connected);
    }
  }

  TryEnd exchange(httplib::Request message, std::string_view body, Duration limit, bool& begun,
                  std::optional<Response>& reply) const {
    httplib::Client connection(url_);
    connection.set_connection_timeout(std::min(options_.connect_timeout, limit));
    connection.set_write_timeout(std::min(options_.write_timeout, limit));
    connection.set_read_timeout(std::min(options_.read_timeout, limit));
    connection.set_follow_location(false);
    detail::leave_path_alone(connection);
    connection.set_tcp_nodelay(true);
    connection.set_keep_alive(false);
#ifdef CPPHTTPLIB_OPENSSL_SUPPORT
    if (!options_.ca_file.empty()) connection.set_ca_cert_path(options_.ca_file.c_str());
    connection.enable_server_certificate_verification(true);
#endif
    // Newer httplibs repeat a request on TLS by themselves: that a second connection failed proves nothing
    // then. The body is asked for when it is written; where there is none, a second socket tells.
    int sockets = 0;
    connection.set_socket_options([&](socket_t) {
      if (++sockets > 1 && body.empty() && url_.starts_with("https:")) begun = true;
    });
    message.content_length_ = body.size();
    message.content_provider_ = [&](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
      begun = true;
      return sink.write(body.data() + offset, length);
    };
    message.is_chunked_content_provider_ = false;

    Response head;
    bool whole = false;
    message.response_handler = [&](const httplib::Response& came) {
      head = head_of(came);
      return whole = tells_its_end(head);
    };
    std::string received;
    message.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
      if (size > options_.largest_reply - received.size()) return false;
      received.append(data, size);
      return true;
    };

    const detail::TryLimit limited(connection, limit);
    const paidonce::detail::PipeSignalBlocked no_signal;  // where the server has closed the connection
    const httplib::Result result = connection.send(message);
    if (!result) {
      const TryEnd end = detail::end_of(result.error());
      if (end == TryEnd::no_whole_reply) begun = true;
      return begun ? TryEnd::no_whole_reply : end;
    }
    begun = true;
    if (result->status == 204) {  // has no body, whatever its fields say
      head = head_of(*result);
      whole = true;
    }
    if (!whole) return TryEnd::no_whole_reply;
    head.body = std::move(received);
    forget_transfer(head);
    reply = std::move(head);
    return TryEnd::replied;
  }

  static Response head_of(const httplib::Response& came) {
    Response head;
    head.status = came.status;
    for (const auto& [name, value] : came.headers) head.fields.push_back({name, value});
    return head;
  }
  /// Fields that were about these bytes on this connection; httplib has undone the coding.
  static void forget_transfer(Response& reply) {
    std::erase_if(reply.fields, [](const Field& field) {
      for (const std::string_view name :
           {"Connection", "Keep-Alive", "Content-Length", "Transfer-Encoding", "Trailer"})
        if (detail::same_name(field.name, name)) return true;
      return detail::same_name(field.name, "Content-Encoding") &&
             (field.value == "gzip" || field.value == "deflate" || field.value == "br");
    });
  }

  std::string url_;
  ClientOptions options_;
  RetryPolicy policy_;
};

}  // namespace paidonce::inline v1::http
