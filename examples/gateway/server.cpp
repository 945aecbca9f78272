#include "server.hpp"

#include <algorithm>
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

std::string name_of(Ledger::Kind kind) { return kind == Ledger::Kind::charge ? "charge" : "payment_intent"; }

/// As a power cut would have it: nothing is flushed, nothing is said.
[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

}  // namespace

Server::Server(Ledger& ledger, Settlements& settlements, Webhooks& webhooks, Dedupe dedupe,
               const Rates& rates)
    : ledger_(ledger), settlements_(settlements), webhooks_(webhooks), dedupe_(dedupe), rates_(rates) {
  for (const Line& line : ledger_.take_history()) {
    if (!line.events.empty()) continue;  // it ended a payment, and no request did
    const auto& object = line.intent.is_null() ? line.charge : line.intent;
    if (!line.charge.is_null()) ++attempts_[line.charge.at("metadata").value("order", "")];
    if (!line.idempotency_key.empty())
      answers_.finish(line.idempotency_key, line.parameters, answer_about(object));
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
  const auto add = [this](const std::string& path, Ledger::Kind kind) {
    http_.Get(path, [this, kind](const auto& request, auto& response) { list(kind, request, response); });
    http_.Get(path + "/([^/]+)",
              [this, kind](const auto& request, auto& response) { retrieve(kind, request, response); });
  };
  add("/v1/charges", Ledger::Kind::charge);
  add("/v1/payment_intents", Ledger::Kind::intent);
  http_.Post("/v1/charges",
             [this](const auto& request, auto& response) { create_charge(request, response); });
  http_.Post("/v1/payment_intents",
             [this](const auto& request, auto& response) { create_intent(request, response); });
  http_.Post("/v1/payment_intents/([^/]+)/confirm",
             [this](const auto& request, auto& response) { confirm_intent(request, response); });
  http_.Post("/test/settle", [this](const auto& request, auto& response) { settle(request, response); });
  http_.Get("/test/webhooks", [this](const auto& request, auto& response) {
    std::uint32_t wait = 0;
    const std::string text = request.get_param_value("wait_ms");
    std::from_chars(text.data(), text.data() + text.size(), wait);
    send(response,
         {200, {{"untold", webhooks_.wait_until_told(std::chrono::milliseconds(std::min(wait, 60'000U)))}}});
  });
}

int Server::bind(int port) {
  const std::string loopback = "127.0.0.1";
  const int bound = port == 0                            ? http_.bind_to_any_port(loopback)
                    : http_.bind_to_port(loopback, port) ? port
                                                         : 0;
  if (bound > 0) http_.let_many_wait();
  return bound;
}

template <class Work>
void Server::once(const httplib::Request& request, httplib::Response& response, Work work) {
  const std::string key = request.get_header_value("Idempotency-Key");
  std::string parameters = canonical(request.params);
  if (request.path != "/v1/charges") parameters = request.path + ' ' + parameters;
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

  const Done done = work(Asked{key, parameters});
  if (remember && done.keep == Done::Keep::yes) answers_.finish(key, parameters, done.reply);
  if (remember && done.keep == Done::Keep::no) answers_.forget(key);
  switch (done.answer) {
    case Answer::send: return send(response, done.reply);
    case Answer::drop: return drop_connection(request.remote_port);
    case Answer::die: die();
  }
}

void Server::create_charge(const httplib::Request& request, httplib::Response& response) {
  const auto form = read_charge_form(request.params);
  if (const auto* wrong = std::get_if<Reply>(&form)) return send(response, *wrong);
  once(request, response,
       [&](const Asked& asked) { return charge(std::get<ChargeRequest>(form), nullptr, asked); });
}

void Server::create_intent(const httplib::Request& request, httplib::Response& response) {
  const auto form = read_intent_form(request.params);
  if (const auto* wrong = std::get_if<Reply>(&form)) return send(response, *wrong);
  const auto& asked_for = std::get<IntentRequest>(form);
  once(request, response, [&](const Asked& asked) -> Done {
    nlohmann::json intent = intent_object(asked_for.charge);
    if (asked_for.confirm == Confirm::now) return charge(asked_for.charge, intent, asked);
    return {{200, ledger_.append({nullptr, std::move(intent), asked.key, asked.parameters}).intent}};
  });
}

void Server::confirm_intent(const httplib::Request& request, httplib::Response& response) {
  const std::string id = request.matches[1];
  once(request, response, [&](const Asked& asked) -> Done {
    {
      const std::lock_guard lock(mutex_);
      if (!confirming_.insert(id).second)
        return {error_reply(409, "invalid_request_error", "lock_timeout",
                            "This PaymentIntent is being confirmed by another request."),
                Answer::send, Done::Keep::no};
    }
    Done done = confirm(id, request.get_param_value("payment_method"), asked);
    const std::lock_guard lock(mutex_);
    confirming_.erase(id);
    return done;
  });
}

Server::Done Server::confirm(const std::string& id, const std::string& method, const Asked& asked) {
  const auto wrong = [](int status, const char* code, const std::string& message) -> Done {
    return {error_reply(status, "invalid_request_error", code, message), Answer::send, Done::Keep::no};
  };
  const auto intent = ledger_.find(Ledger::Kind::intent, id);
  if (!intent) return wrong(404, "resource_missing", "No such payment_intent: '" + id + "'");
  const std::string status = intent->at("status");
  if (status != "requires_confirmation" && status != "requires_payment_method")
    return wrong(400, "payment_intent_unexpected_state", "This PaymentIntent's status is " + status + ".");
  ChargeRequest order = request_of(*intent);
  if (!method.empty()) order.source = method;
  if (order.source.empty())
    return wrong(400, "parameter_missing", "You cannot confirm this PaymentIntent without a payment method.");
  return charge(order, *intent, asked);
}

Server::Done Server::charge(const ChargeRequest& order, const nlohmann::json& intent, const Asked& asked) {
  const bool of_intent = !intent.is_null();
  const auto behaviour = decide(rates_, order.order(), next_attempt(order.order()), order.source);
  if (!behaviour)
    return {error_reply(400, "invalid_request_error", "resource_missing",
                        (of_intent ? "No such PaymentMethod: '" : "No such token: '") + order.source + "'",
                        of_intent ? "payment_method" : "source"),
            Answer::send, Done::Keep::no};
  std::this_thread::sleep_for(behaviour->delay);

  const auto moved = [&](const nlohmann::json& charge) {
    const auto line =
        ledger_.append({charge, of_intent ? charged_intent(intent, charge, order.source) : nlohmann::json(),
                        asked.key, asked.parameters});
    if (behaviour->effect == Effect::pend) began(line.charge, behaviour->later);
    return Done{answer_about(of_intent ? line.intent : line.charge), behaviour->answer, Done::Keep::yes};
  };
  switch (behaviour->effect) {
    case Effect::charge: return moved(charge_object(order, ChargeStatus::succeeded));
    case Effect::decline: return moved(charge_object(order, ChargeStatus::failed));
    case Effect::pend:
      return moved(pending_charge(
          order, behaviour->later == Later::fails ? ChargeStatus::failed : ChargeStatus::succeeded));
    case Effect::forget: {
      auto charge = charge_object(order, ChargeStatus::succeeded);
      const std::lock_guard lock(mutex_);
      const std::string number = std::to_string(++forgotten_);
      charge["id"] = "ch_forgotten_" + number;
      if (!of_intent) return {{200, charge}, behaviour->answer, Done::Keep::yes};
      auto forgotten = charged_intent(intent, charge, order.source);
      if (!forgotten.contains("id")) forgotten["id"] = "pi_forgotten_" + number;
      forgotten["latest_charge"] = charge["id"];
      return {{200, forgotten}, behaviour->answer, Done::Keep::yes};
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

void Server::began(const nlohmann::json& charge, Later later) {
  if (later != Later::succeeds_before_the_answer) return settlements_.made(charge);
  settlements_.settle({charge.at("id"), ChargeStatus::succeeded});
  webhooks_.wait_until_told(std::chrono::seconds(10));
}

void Server::list(Ledger::Kind kind, const httplib::Request& request, httplib::Response& response) const {
  std::size_t limit = 10;
  if (request.has_param("limit")) {
    const std::string text = request.get_param_value("limit");
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), limit);
    if (problem != std::errc() || end != text.data() + text.size() || limit < 1 || limit > 100)
      return send(response, error_reply(400, "invalid_request_error", "parameter_invalid_integer",
                                        "The limit must be from 1 to 100", "limit"));
  }
  const std::string starting_after = request.get_param_value("starting_after");
  const auto page = ledger_.page(kind, limit, starting_after);
  if (!page)
    return send(response, error_reply(400, "invalid_request_error", "resource_missing",
                                      "No such " + name_of(kind) + ": " + starting_after, "starting_after"));
  send(response, {200, list_object(request.path, page->objects, page->has_more)});
}

void Server::retrieve(Ledger::Kind kind, const httplib::Request& request, httplib::Response& response) const {
  const std::string id = request.matches[1];
  if (const auto object = ledger_.find(kind, id)) return send(response, {200, *object});
  send(response, error_reply(404, "invalid_request_error", "resource_missing",
                             "No such " + name_of(kind) + ": " + id, "id"));
}

void Server::settle(const httplib::Request& request, httplib::Response& response) {
  const auto form = read_settle_form(request.params);
  if (const auto* wrong = std::get_if<Reply>(&form)) return send(response, *wrong);
  const auto& asked = std::get<SettleRequest>(form);
  const auto line = settlements_.settle(asked);
  if (!line)
    return send(response, error_reply(404, "invalid_request_error", "resource_missing",
                                      "No such payment: " + asked.payment, "payment"));
  send(response, {200, {{"charge", line->charge}, {"events", line->events}}});
}

std::uint32_t Server::next_attempt(const std::string& order) {
  const std::lock_guard lock(mutex_);
  return attempts_[order]++;
}

}  // namespace gateway
