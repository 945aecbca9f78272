#pragma once
// A Responder behind cpp-httplib (https://github.com/yhirose/cpp-httplib), 0.11 and newer. Component
// paidonce::httplib. The server to use it with is `http::Server` (http/httplib_server.hpp).

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

#include <sys/socket.h>

#include <httplib.h>

#include <paidonce/attempt.hpp>
#include <paidonce/detail/forced_unwind.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/http/message.hpp>
#include <paidonce/http/problem.hpp>
#include <paidonce/http/responder.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::http {

/// The request as a Responder takes it: borrowed from `request`, which outlives it.
inline Request view_of(const httplib::Request& request) {
  Request view;
  view.method = request.method;
  view.path = request.path;
  const std::string_view target = request.target;
  if (const auto mark = target.find('?'); mark != target.npos)
    view.query = target.substr(mark + 1, target.find('#', mark) - mark - 1);
  view.body = request.body;
  view.fields.reserve(request.headers.size());
  for (const auto& [name, value] : request.headers) view.fields.push_back({name, value});
  return view;
}

/// Writes the response, one of status 204, 205 or 304 without a body: what followed it, a client would take
/// for the next answer on the connection. Of what `to` had, fields of other names are left: default headers
/// of the server.
inline void send(Response response, httplib::Response& to) {
  to.status = response.status;
  to.headers.erase("Content-Type");
  for (const Field& field : response.fields) to.headers.erase(field.name);
  for (Field& field : response.fields) to.headers.emplace(std::move(field.name), std::move(field.value));
  to.body = std::move(response.body);
  if (to.status == 204 || to.status == 205 || to.status == 304) to.body.clear();
}

/// What is behind a route: who asks, or what those are answered that may not. Shows the handler nothing of a
/// request that was not authorised.
using Authorised = std::variant<Tenant, Response>;

namespace detail {

/// A handler that `answer(tenant, view)` answers.
template <class Guard, class Authorise, class Answer>
auto guarded_route(const Responder<Guard>& responder, Authorise authorise, Answer answer) {
  return [&responder, authorise = std::move(authorise), answer = std::move(answer)](
             const httplib::Request& request, httplib::Response& to) {
    const auto answered = [&]() -> Response {
      // cpp-httplib would cut the answer to any method.
      if (!request.ranges.empty())
        return responder.respond(problem(ProblemKind::request_malformed,
                                         "Range has no place here. This request executed nothing."));
      Authorised who = authorise(request);
      if (auto* denial = std::get_if<Response>(&who)) return ResponderRules::unstored(std::move(*denial));
      return answer(std::get<Tenant>(who), request);
    };
    send(answered(), to);
  };
}

}  // namespace detail

/// A handler for a route: `server.Post("/payments", guarded(responder, authorise, pay))`, where
///
///     Authorised authorise(const httplib::Request&);
///     Response pay(const httplib::Request&, Attempt&);  // or PaymentResult<Response>
///
/// `authorise` is asked before anything else: who may not ask learns nothing, not even whether there is such
/// a key. The responder outlives the server; both functions are called from any number of threads.
template <class Guard, class Authorise, class Pay>
auto guarded(const Responder<Guard>& responder, Authorise authorise, Pay pay) {
  return detail::guarded_route(
      responder, std::move(authorise),
      [&responder, pay = std::move(pay)](const Tenant& tenant, const httplib::Request& request) {
        return responder.answer(tenant, view_of(request),
                                [&](Attempt& attempt) { return pay(request, attempt); });
      });
}
/// With a function that asks the provider, as `Responder::answer` takes it.
template <class Guard, class Authorise, class Pay, detail::AsksProvider Reconcile>
auto guarded(const Responder<Guard>& responder, Authorise authorise, Pay pay, Reconcile reconcile) {
  return detail::guarded_route(responder, std::move(authorise),
                               [&responder, pay = std::move(pay), reconcile = std::move(reconcile)](
                                   const Tenant& tenant, const httplib::Request& request) {
                                 return responder.answer(
                                     tenant, view_of(request),
                                     [&](Attempt& attempt) { return pay(request, attempt); }, reconcile);
                               });
}

/// Answers with problems where cpp-httplib would send an empty page, or the text of an exception in a header:
/// handlers that throw (500), requests that it does not read, pages that are not there. Answers that have a
/// body or Cache-Control stay as they are. Replaces the server's exception and error handlers.
inline void answer_with_problems(httplib::Server& server, ProblemWriter write = {}) {
  const auto answer = [write = std::move(write)](ProblemKind kind, std::string_view detail, int status,
                                                 httplib::Response& to) {
    try {
      Problem told = problem(kind, detail);
      told.status = status;
      Response response = write ? write(told) : problem_response(told, default_problem_base);
      send(detail::ResponderRules::sound(told, std::move(response)), to);
    } catch (const paidonce::detail::ForcedUnwind&) {
      throw;
    } catch (...) {  // what leaves here would end the process
      to.status = status;
      to.body.clear();
    }
  };
  constexpr std::string_view unknown =
      "Something failed, and it is not known here what was executed. A new key is not safe.";
  server.set_exception_handler(
      [answer, unknown](const httplib::Request&, httplib::Response& to, std::exception_ptr) {
        answer(ProblemKind::internal, unknown, 500, to);
      });
  using Handled = httplib::Server::HandlerResponse;
  server.set_error_handler(
      httplib::Server::HandlerWithResponse([answer, unknown](const httplib::Request&, httplib::Response& to) {
        if (!to.body.empty() || to.has_header("Cache-Control"))
          return Handled::Unhandled;  // somebody wrote it
        if (to.status >= 500)
          answer(ProblemKind::internal, unknown, to.status, to);
        else if (to.status == 413)
          answer(ProblemKind::body_too_large, "The body is too large.", 413, to);
        else
          answer(ProblemKind::request_malformed,
                 to.status == 404 ? "There is nothing at this address." : "The request cannot be read.",
                 to.status, to);
        return Handled::Handled;
      }));
}

namespace detail {

/// A port belongs to one server: cpp-httplib would share it with any other, and each would get a part of the
/// requests.
inline void own_port(socket_t socket) {
  const int yes = 1;
  ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
}

}  // namespace detail

/// For a server of cpp-httplib itself: one with TLS, or one that is there. Bytes and times as of
/// `ServerOptions`, but what arrives is read by cpp-httplib, leniently.
struct ServerLimits {
  std::size_t threads = 64;  ///< connections that are served at a time, each by its thread
  int backlog = 4096;        ///< connections that the kernel keeps for a server that is slow to accept them
  std::size_t requests_per_connection = 1000;
  std::size_t largest_body = 1 << 20;  ///< not less than the responder's, which answers more fully
  /// For each read and write. A client that sends a byte now and then holds its thread for ever.
  Duration read_timeout = std::chrono::seconds(10), write_timeout = std::chrono::seconds(30);
  Duration idle_timeout = std::chrono::seconds(5);  ///< in whole seconds
};

/// Sets limits, problems and sockets; call it before `bind`. Throws `Error{invalid_options}`.
inline void prepare(httplib::Server& server, const ServerLimits& limits = {}, ProblemWriter write = {}) {
  for (const Duration duration : {limits.read_timeout, limits.write_timeout, limits.idle_timeout})
    if (duration.count() <= 0) throw Error(errc::invalid_options, "ServerLimits: timeouts are positive");
  if (limits.threads == 0 || limits.backlog < 1 || limits.requests_per_connection == 0 ||
      limits.largest_body == 0)
    throw Error(errc::invalid_options, "ServerLimits: threads, backlog, requests and bytes are positive");
  server.set_payload_max_length(limits.largest_body);
  server.set_read_timeout(limits.read_timeout);
  server.set_write_timeout(limits.write_timeout);
  server.set_keep_alive_timeout(static_cast<time_t>(detail::whole_seconds(limits.idle_timeout)));
  server.set_keep_alive_max_count(limits.requests_per_connection);
  server.set_tcp_nodelay(true);  // head and body are two writes
  // The library lets five connections wait. The one to say otherwise is who knows the socket, at a time when
  // it listens.
  const auto listening = std::make_shared<socket_t>(INVALID_SOCKET);
  server.set_socket_options([listening](socket_t socket) {
    detail::own_port(socket);
    *listening = socket;
  });
  server.new_task_queue = [listening, limits] {
    ::listen(*listening, limits.backlog);
    return new httplib::ThreadPool(limits.threads);
  };
  answer_with_problems(server, std::move(write));
}

}  // namespace paidonce::inline v1::http
