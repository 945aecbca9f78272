#pragma once
// cpp-httplib's server, with a reader of its own. What cpp-httplib 0.11 reads leniently this refuses, and
// what reaches a handler is a complete request with its fields as they were sent. Component
// paidonce::httplib.
//
// cpp-httplib itself loses what a client sends ahead on a kept connection and takes the rest for a request,
// goes on reading after a malformed head, decodes percent signs in header fields (two keys become one), takes
// "Content-Length: 12x" for 12, waits for bodies that have no length, and gives every single read its
// timeout, so that one byte every four seconds holds a thread for ever.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <sys/socket.h>

#include <httplib.h>

#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/http/chunked_body.hpp>
#include <paidonce/http/detail/connection.hpp>
#include <paidonce/http/detail/memory_stream.hpp>
#include <paidonce/http/detail/workers.hpp>
#include <paidonce/http/httplib.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/http/problem.hpp>
#include <paidonce/http/request_head.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::http {

struct ServerOptions {
  /// Connections that are served at a time; more wait for their turn. Each holds a thread while it is served.
  std::size_t threads = 64;
  /// Connections that the kernel keeps for a server that is slow to accept them; its own limit
  /// (net.core.somaxconn) holds too.
  int backlog = 4096;
  std::size_t requests_per_connection = 1000;
  /// Bytes of request line and header fields; more is 431.
  std::size_t largest_head = 16 << 10;
  /// Bytes; more is 413, and is not read. Of a form cpp-httplib takes
  /// CPPHTTPLIB_FORM_URL_ENCODED_PAYLOAD_MAX_LENGTH at most: 8192 in Debian's library.
  std::size_t largest_body = 1 << 20;
  /// From the first byte of a request to the end of its head, however the bytes arrive; then 408.
  Duration head_timeout = std::chrono::seconds(10);
  /// From the end of the head to that of the body; then 408.
  Duration body_timeout = std::chrono::seconds(30);
  /// For the first byte of a request. While other connections wait for their turn, one that was answered is
  /// not kept.
  Duration idle_timeout = std::chrono::seconds(5);
  /// For an answer to be taken.
  Duration write_timeout = std::chrono::seconds(30);
  /// How a refusal is written, and what else has no answer of a handler's; empty, or when it throws:
  /// `problem_response` (RFC 9457).
  ProblemWriter write_problem = {};
  /// What stands before a problem's slug in its type.
  std::string problem_base{default_problem_base};
};

/// Use it as an `httplib::Server`: routes before, `bind_to_port` or `bind_to_any_port`, `listen_after_bind`
/// (not `listen`, which knows no other backlog than 5), `stop` from any thread but not in a signal handler.
/// HTTP without TLS: that belongs to the proxy in front.
class Server : public httplib::Server {
 public:
  /// Throws `Error{invalid_options}`.
  explicit Server(ServerOptions options = {}) : options_(std::move(options)) {
    if (options_.threads == 0 || options_.backlog < 1 || options_.requests_per_connection == 0 ||
        options_.largest_head < 256 || options_.head_timeout <= Duration::zero() ||
        options_.body_timeout <= Duration::zero() || options_.idle_timeout <= Duration::zero() ||
        options_.write_timeout <= Duration::zero())
      throw Error(errc::invalid_options,
                  "ServerOptions: threads, backlog, requests and timeouts are positive, the largest head has "
                  "at least 256 bytes");
    set_socket_options(&detail::own_port);
    answer_with_problems(*this, [this](const Problem& told) { return written(told); });
    new_task_queue = [this] { return new detail::Workers(options_.threads, waiting_); };
    set_payload_max_length(options_.largest_body);
    set_keep_alive_max_count(options_.requests_per_connection);
    set_keep_alive_timeout(std::max<std::time_t>(
        1, std::chrono::duration_cast<std::chrono::seconds>(options_.idle_timeout).count()));
  }

  /// As that of `httplib::Server`, with the backlog of the options.
  bool listen_after_bind() {
    if (svr_sock_ != INVALID_SOCKET) ::listen(svr_sock_, options_.backlog);
    return httplib::Server::listen_after_bind();
  }

  const ServerOptions& options() const noexcept { return options_; }

 private:
  bool process_and_close_socket(socket_t socket) override {
    try {
      detail::Connection connection(socket);
      serve(connection);
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (...) {  // no memory: of this connection nothing is left, the others are served on
    }
    return true;
  }

  void serve(detail::Connection& connection) {
    for (std::size_t served = 0; served < options_.requests_per_connection; ++served) {
      if (!first_byte(connection, served > 0)) return;
      Refused wrong;
      const bool last = served + 1 == options_.requests_per_connection;
      if (!serve_one(connection, last, wrong)) {
        if (wrong.why.status != 0) refuse(connection, wrong);
        return;
      }
    }
  }

  /// Whether another request begins. A connection that was served before does not keep others waiting.
  bool first_byte(detail::Connection& connection, bool served_before) {
    if (!connection.unread().empty()) return true;
    const auto deadline = detail::Connection::Clock::now() + options_.idle_timeout;
    return connection.wait(deadline, [&] {
      return svr_sock_ != INVALID_SOCKET && (!served_before || waiting_.count() == 0);
    }) && connection.receive(deadline) == detail::Received::bytes;
  }

  /// More of a request. A server that was stopped waits for nobody: of what is half sent nothing was carried
  /// out.
  detail::Received receive(detail::Connection& connection, detail::Connection::Clock::time_point deadline) {
    if (connection.wait(deadline, [this] { return svr_sock_ != INVALID_SOCKET; }))
      return connection.receive(deadline);
    return svr_sock_ == INVALID_SOCKET ? detail::Received::broken : detail::Received::nothing;
  }

  struct Refused {
    Refusal why = {0};
    bool head_only = false;  // its answer has no body
  };

  /// False: the connection has ended; `wrong` says whether with a refusal.
  bool serve_one(detail::Connection& connection, bool last, Refused& wrong) {
    const auto refused = [&wrong](Refusal why) {
      wrong.why = why;
      return false;
    };
    const auto gone = [&](detail::Received how, Refusal late) {
      if (how == detail::Received::broken) return false;
      return refused(how == detail::Received::nothing ? late
                                                      : Refusal{400, "The request ends before its end."});
    };
    auto deadline = detail::Connection::Clock::now() + options_.head_timeout;
    std::size_t end = 0;
    for (detail::HeadEnd search; !search.found(connection.unread(), end);) {
      wrong.head_only = asks_head(connection);
      if (search.malformed()) return refused({400, "A line of the head does not end with CR LF."});
      if (connection.unread().size() > options_.largest_head) return refused(too_large_head(connection));
      if (const auto got = receive(connection, deadline); got != detail::Received::bytes)
        return gone(got, {408, "The head of the request did not come in time."});
    }
    wrong.head_only = asks_head(connection);
    if (end > options_.largest_head) return refused(too_large_head(connection));
    const std::string head_text = connection.take(end);
    auto read = read_request_head(head_text);
    if (const auto* why = std::get_if<Refusal>(&read)) return refused(*why);
    RequestHead& head = std::get<RequestHead>(read);

    std::string body;
    deadline = detail::Connection::Clock::now() + options_.body_timeout;
    const std::size_t largest = largest_body(head);
    if (head.length > largest) return refused(too_large());
    if (head.expects_continue && connection.unread().empty() && (head.chunked || head.length > 0) &&
        !connection.send("HTTP/1.1 100 Continue\r\n\r\n", deadline))
      return false;
    const Refusal late{408, "The body of the request did not come in time."};
    if (head.chunked) {
      ChunkedBody chunks(largest);
      for (;;) {
        connection.drop(chunks.take(connection.unread()));
        if (chunks.refusal().status == 413) return refused(too_large());
        if (chunks.refusal().status != 0) return refused(chunks.refusal());
        if (chunks.ended()) break;
        if (const auto got = receive(connection, deadline); got != detail::Received::bytes)
          return gone(got, late);
      }
      body = std::move(chunks.body());
    } else {
      while (connection.unread().size() < head.length)
        if (const auto got = receive(connection, deadline); got != detail::Received::bytes)
          return gone(got, late);
      body = connection.take(static_cast<std::size_t>(head.length));
    }
    return answer(connection, head, std::move(body), last);
  }

  /// Hands cpp-httplib one request, of which it parses nothing but the line.
  bool answer(detail::Connection& connection, const RequestHead& head, std::string body, bool last) {
    const bool close = last || !head.keeps_alive || svr_sock_ == INVALID_SOCKET || waiting_.count() > 0;
    std::string text;
    ((text += head.method) += ' ') += head.target;
    ((text += " HTTP/1.1\r\nContent-Length: ") += std::to_string(body.size())) += "\r\n\r\n";
    text += body;
    body = {};
    detail::MemoryStream stream(std::move(text), connection, options_.write_timeout);
    bool closed = false;
    const bool written = process(*this, stream, close, closed, [&head](httplib::Request& request) {
      for (const auto& [name, value] : head.fields)
        if (!is_own(name)) request.headers.emplace(std::string(name), std::string(value));
    });
    if (!stream.flush() || !written) return false;
    if (!close && !stream.closes()) return true;
    connection.finish();
    return false;
  }

  /// Newer versions of cpp-httplib are told the addresses.
  template <class Self, class SetUp>
  static bool process(Self& self, detail::MemoryStream& stream, bool close, bool& closed,
                      const SetUp& set_up) {
    if constexpr (requires { self.process_request(stream, close, closed, set_up); }) {
      return self.process_request(stream, close, closed, set_up);
    } else {
      std::string remote, local;
      int remote_port = 0, local_port = 0;
      stream.get_remote_ip_and_port(remote, remote_port);
      stream.get_local_ip_and_port(local, local_port);
      return self.process_request(stream, remote, remote_port, local, local_port, close, closed, set_up);
    }
  }

  /// Fields that speak of the connection, or that cpp-httplib adds and handlers believe.
  static bool is_own(std::string_view name) {
    for (const std::string_view own : {"Content-Length", "Transfer-Encoding", "Expect", "REMOTE_ADDR",
                                       "REMOTE_PORT", "LOCAL_ADDR", "LOCAL_PORT"})
      if (detail::same_name(name, own)) return true;
    return false;
  }

  /// cpp-httplib reads no larger forms, and would say so in its own words.
  std::size_t largest_body(const RequestHead& head) const {
    constexpr std::string_view form = "application/x-www-form-urlencoded";
    for (const auto& [name, value] : head.fields)
      if (detail::same_name(name, "Content-Type") && detail::same_name(value.substr(0, form.size()), form))
        return std::min<std::size_t>(options_.largest_body, CPPHTTPLIB_FORM_URL_ENCODED_PAYLOAD_MAX_LENGTH);
    return options_.largest_body;
  }
  static bool asks_head(const detail::Connection& connection) {
    return connection.unread().starts_with("HEAD ");
  }
  static Refusal too_large() { return {413, "The body is too large."}; }
  static Refusal too_large_head(const detail::Connection& connection) {
    if (connection.unread().find('\n') > longest_target)
      return {414, "The target has more than 8000 characters."};
    return {431, "The header fields are too large."};
  }

  Response written(const Problem& told) const {
    try {
      if (options_.write_problem) return options_.write_problem(told);
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (...) {
    }
    return problem_response(told, options_.problem_base);
  }

  /// The answer to HEAD ends with its fields (RFC 9110, section 9.3.2).
  void refuse(detail::Connection& connection, const Refused& wrong) {
    const Refusal& why = wrong.why;
    Problem told = problem(why.status == 413 ? ProblemKind::body_too_large : ProblemKind::request_malformed,
                           std::string(why.detail) + " This request executed nothing.");
    told.status = why.status;
    Response response = detail::ResponderRules::sound(told, written(told));
    response.set("Connection", "close");
    response.set("Content-Length", std::to_string(response.body.size()));
    if (why.status == 415) response.set("Accept-Encoding", "identity");
    std::string text = "HTTP/1.1 " + std::to_string(response.status) + ' ';
    text += detail::phrase(response.status);
    text += "\r\n";
    for (const Field& field : response.fields) (((text += field.name) += ": ") += field.value) += "\r\n";
    text += "\r\n";
    if (!wrong.head_only) text += response.body;
    if (connection.send(text, detail::Connection::Clock::now() + options_.write_timeout)) connection.finish();
  }

  ServerOptions options_;
  detail::Waiting waiting_;
};

}  // namespace paidonce::inline v1::http
