#include "webhooks.hpp"

#include <algorithm>
#include <ctime>
#include <stdexcept>

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace gateway {

std::string signature_of(const std::string& body, const std::string& secret, long long time) {
  const std::string signed_text = std::to_string(time) + "." + body;
  unsigned char code[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  ::HMAC(::EVP_sha256(), secret.data(), static_cast<int>(secret.size()),
         reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(), code, &size);
  std::string digits;
  for (unsigned at = 0; at < size; ++at) {
    digits += "0123456789abcdef"[code[at] >> 4];
    digits += "0123456789abcdef"[code[at] & 15];
  }
  return "t=" + std::to_string(time) + ",v1=" + digits;
}

Webhooks::Webhooks(Ledger& ledger, WebhookTarget target) : ledger_(ledger), target_(std::move(target)) {
  if (!anybody()) return;
  const std::size_t slash = target_.url.starts_with("http://") ? target_.url.find('/', 7) : std::string::npos;
  if (slash == std::string::npos || slash == 7)
    throw std::invalid_argument("a webhook's URL looks like http://127.0.0.1:8000/webhooks/gateway");
  origin_ = target_.url.substr(0, slash);
  path_ = target_.url.substr(slash);
  for (Untold& what : ledger_.untold()) due_.push_back({std::move(what)});
  thread_ = std::thread([this] { run(); });
}

Webhooks::~Webhooks() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Webhooks::send(const Line& line) {
  if (!anybody() || line.deliveries == 0) return;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& event : line.events) due_.push_back({{event, line.deliveries}});
  }
  changed_.notify_all();
}

std::size_t Webhooks::wait_until_told(std::chrono::milliseconds at_most) const {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, at_most, [this] { return due_.empty() || stopping_; });
  return due_.size();
}

void Webhooks::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto next = std::min_element(due_.begin(), due_.end(),
                                       [](const Due& one, const Due& other) { return one.at < other.at; });
    if (next == due_.end()) {
      changed_.wait(lock);
      continue;
    }
    if (const auto at = next->at; at > Clock::now()) {
      changed_.wait_until(lock, at);
      continue;
    }
    const Untold what = next->what;  // it stays in the list until it is told: somebody may wait for that
    const auto id = what.event.at("id").get<std::string>();
    lock.unlock();
    const bool was_told = acknowledged(what);
    if (was_told) ledger_.told(id);
    lock.lock();
    const auto same = std::find_if(due_.begin(), due_.end(),
                                   [&](const Due& other) { return other.what.event.at("id") == id; });
    if (!was_told) {
      constexpr std::chrono::milliseconds longest = std::chrono::minutes(1);
      same->at = Clock::now() + std::min(longest, target_.first_pause * (1 << std::min(same->failures, 10U)));
      ++same->failures;
    } else if (--same->what.left == 0) {
      due_.erase(same);
    }
    changed_.notify_all();
  }
}

bool Webhooks::acknowledged(const Untold& what) const {
  auto event = what.event;
  event["pending_webhooks"] = what.left;
  const std::string body = event.dump(2) + '\n';
  httplib::Client client(origin_);
  client.set_connection_timeout(std::chrono::seconds(5));
  client.set_read_timeout(std::chrono::seconds(10));
  const auto reply =
      client.Post(path_, {{"Stripe-Signature", signature_of(body, target_.secret, std::time(nullptr))}}, body,
                  "application/json");
  return reply && reply->status >= 200 && reply->status < 300;
}

}  // namespace gateway
