#include "settlements.hpp"

#include <algorithm>

namespace gateway {

using nlohmann::json;

Settlements::Settlements(Ledger& ledger, Webhooks& webhooks, std::optional<std::chrono::milliseconds> after)
    : ledger_(ledger), webhooks_(webhooks), after_(after) {
  if (!after_) return;
  for (const json& charge : ledger_.pending()) made(charge);
  thread_ = std::thread([this] { run(); });
}

Settlements::~Settlements() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

std::optional<Line> Settlements::settle(const SettleRequest& request) {
  const std::lock_guard lock(settling_);
  return settle_alone(request);
}

std::optional<Line> Settlements::settle_alone(const SettleRequest& request) {
  Line line;
  std::string id = request.payment;
  if (const auto intent = ledger_.find(Ledger::Kind::intent, id)) {
    if (intent->at("latest_charge").is_null()) return std::nullopt;
    id = intent->at("latest_charge");
  }
  const auto charge = ledger_.find(Ledger::Kind::charge, id);
  if (!charge) return std::nullopt;
  line.charge = ended_charge(*charge, request.outcome);
  if (charge->contains("payment_intent")) {
    const json intent = ledger_.find(Ledger::Kind::intent, charge->at("payment_intent")).value();
    const json& method = intent.at("payment_method");
    line.intent = charged_intent(intent, line.charge, method.is_string() ? method.get<std::string>() : "");
    line.intent["latest_charge"] = id;
  }

  const bool succeeded = request.outcome == ChargeStatus::succeeded;
  line.events.push_back(event_object(succeeded ? "charge.succeeded" : "charge.failed", line.charge));
  if (!line.intent.is_null())
    line.events.push_back(
        event_object(succeeded ? "payment_intent.succeeded" : "payment_intent.payment_failed", line.intent));
  if (request.order == SettleRequest::Order::reversed) std::reverse(line.events.begin(), line.events.end());
  line.deliveries = webhooks_.anybody() ? request.deliveries : 0;

  if (charge->at("status") != "pending") {
    line.charge = *charge;  // no money moves
    line.intent = json();
  }
  line = ledger_.append(std::move(line));
  webhooks_.send(line);
  return line;
}

void Settlements::made(const json& charge) {
  if (!after_) return;
  {
    const std::lock_guard lock(mutex_);
    due_.push_back({Clock::now() + *after_, {charge.at("id"), end_of_account(charge)}});
  }
  changed_.notify_all();
}

void Settlements::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (due_.empty()) {
      changed_.wait(lock);
      continue;
    }
    if (const auto at = due_.front().at; at > Clock::now()) {
      changed_.wait_until(lock, at);
      continue;
    }
    const SettleRequest request = due_.front().request;
    due_.pop_front();
    lock.unlock();
    {
      const std::lock_guard settling(settling_);
      const auto charge = ledger_.find(Ledger::Kind::charge, request.payment);
      if (charge && charge->at("status") == "pending") settle_alone(request);  // else somebody has
    }
    lock.lock();
  }
}

}  // namespace gateway
