#include "server.hpp"

#include <charconv>
#include <csignal>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

#include "authorisation.hpp"
#include "drop_connection.hpp"

namespace gateway {
namespace {

void send(httplib::Response& response, const Reply& reply) {
  response.status = reply.status;
  response.set_content(reply.body.dump(2) + '\n', "application/json");
}

/// As a power cut would have it: nothing is flushed, nothing is said.
[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

}  // namespace

Server::Server(Ledger& ledger, Dedupe dedupe, const Rates& rates)
    : ledger_(ledger), dedupe_(dedupe), rates_(rates) {
  for (const Entry& entry : ledger_.entries()) {
    ++attempts_[entry.charge.at("metadata").value("order", "")];
    if (!entry.idempotency_key.empty())
      answers_.finish(entry.idempotency_key, entry.parameters, answer_about(entry.charge));
  }

  http_.new_task_queue = [] {
    return new httplib::ThreadPool(64);
  };                                              // delayed requests must not hold up others
  http_.set_socket_options([](socket_t socket) {  // never share a port with another gateway
    const int on = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  http_.set_pre_routing_handler([](const httplib::Request& request, httplib::Response& response) {
    if (has_api_key(request.get_header_value("Authorization")))
      return httplib::Server::HandlerResponse::Unhandled;
    send(response,
         error_reply(401, "invalid_request_error", "",
                     "You did not provide an API key: use it as the user name of basic authentication."));
    return httplib::Server::HandlerResponse::Handled;
  });
  http_.Post("/v1/charges", [this](const auto& request, auto& response) { create(request, response); });
  http_.Get("/v1/charges", [this](const auto& request, auto& response) { list(request, response); });
  http_.Get("/v1/charges/([^/]+)",
            [this](const auto& request, auto& response) { retrieve(request, response); });
}

int Server::bind(int port) {
  const std::string loopback = "127.0.0.1";
  const int bound = port == 0                            ? http_.bind_to_any_port(loopback)
                    : http_.bind_to_port(loopback, port) ? port
                                                         : 0;
  if (bound > 0) http_.let_many_wait();
  return bound;
}

void Server::create(const httplib::Request& request, httplib::Response& response) {
  const auto form = read_charge_form(request.params);
  if (const auto* wrong = std::get_if<Reply>(&form)) return send(response, *wrong);

  const std::string key = request.get_header_value("Idempotency-Key");
  const std::string parameters = canonical(request.params);
  const bool remember = dedupe_ == Dedupe::on && !key.empty();
  if (remember) {
    const auto [found, reply] = answers_.begin(key, parameters);
    switch (found) {
      case IdempotencyAnswers::Found::nothing: break;
      case IdempotencyAnswers::Found::same_request:
        response.set_header("Idempotent-Replayed", "true");
        return send(response, *reply);
      case IdempotencyAnswers::Found::running:
        return send(response, error_reply(409, "idempotency_error", "idempotency_key_in_use",
                                          "Another request with this Idempotency-Key is still running."));
      case IdempotencyAnswers::Found::other_request:
        return send(response, error_reply(400, "idempotency_error", "",
                                          "This Idempotency-Key was first used with other parameters."));
    }
  }

  const Done done = charge(std::get<ChargeRequest>(form), key, parameters);
  if (remember && done.keep == Done::Keep::yes) answers_.finish(key, parameters, done.reply);
  if (remember && done.keep == Done::Keep::no) answers_.forget(key);
  switch (done.answer) {
    case Answer::send: return send(response, done.reply);
    case Answer::drop: return drop_connection(request.remote_port);
    case Answer::die: die();
  }
}

Server::Done Server::charge(const ChargeRequest& order, const std::string& key,
                            const std::string& parameters) {
  const auto behaviour = decide(rates_, order.order(), next_attempt(order.order()), order.source);
  if (!behaviour)
    return {error_reply(400, "invalid_request_error", "resource_missing",
                        "No such token: '" + order.source + "'", "source"),
            Answer::send, Done::Keep::no};
  std::this_thread::sleep_for(behaviour->delay);

  switch (behaviour->effect) {
    case Effect::charge:
    case Effect::decline: {
      const auto status =
          behaviour->effect == Effect::charge ? ChargeStatus::succeeded : ChargeStatus::failed;
      const auto kept = ledger_.append({charge_object(order, status), key, parameters});
      return {answer_about(kept), behaviour->answer, Done::Keep::yes};
    }
    case Effect::forget: {
      auto charge = charge_object(order, ChargeStatus::succeeded);
      const std::lock_guard lock(mutex_);
      charge["id"] = "ch_forgotten_" + std::to_string(++forgotten_);
      return {{200, charge}, behaviour->answer, Done::Keep::yes};
    }
    case Effect::rate_limit:
      return {error_reply(429, "rate_limit_error", "rate_limit", "Too many requests in a period of time."),
              behaviour->answer, Done::Keep::no};
    case Effect::server_error:
      return {error_reply(500, "api_error", "", "An unknown error occurred"), behaviour->answer,
              Done::Keep::yes};
    case Effect::nothing: break;
  }
  return {{}, behaviour->answer, Done::Keep::no};
}

void Server::list(const httplib::Request& request, httplib::Response& response) const {
  std::size_t limit = 10;
  if (request.has_param("limit")) {
    const std::string text = request.get_param_value("limit");
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (problem != std::errc() || end != text.data() + text.size() || limit < 1 || limit > 100)
      return send(response, error_reply(400, "invalid_request_error", "parameter_invalid_integer",
                                        "The limit must be from 1 to 100", "limit"));
  }
  const std::string starting_after = request.get_param_value("starting_after");
  const auto page = ledger_.page(limit, starting_after);
  if (!page)
    return send(response, error_reply(400, "invalid_request_error", "resource_missing",
                                      "No such charge: " + starting_after, "starting_after"));
  send(response, {200, list_object(page->charges, page->has_more)});
}

void Server::retrieve(const httplib::Request& request, httplib::Response& response) const {
  const std::string id = request.matches[1];
  if (const auto charge = ledger_.find(id)) return send(response, {200, *charge});
  send(response,
       error_reply(404, "invalid_request_error", "resource_missing", "No such charge: " + id, "id"));
}

std::uint32_t Server::next_attempt(const std::string& order) {
  const std::lock_guard lock(mutex_);
  return attempts_[order]++;
}

}  // namespace gateway
