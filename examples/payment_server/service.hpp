#pragma once
// What the parts of the server share. All of it outlives the HTTP server.

#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/http/stored_response.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/observe/metrics.hpp>
#include <paidonce/recovery/survey.hpp>

#include "common/open_store.hpp"
#include "gateway.hpp"

namespace payment_server {

/// The one guard of this program. All that it stores are HTTP responses.
using Guard = paidonce::IdempotencyGuard<common::OpenStore&, paidonce::KeyedMutex, paidonce::SystemClock,
                                         paidonce::Metrics&>;

/// The last survey of the store: it is taken in the background, however often somebody asks for it.
class LastSurvey {
 public:
  void set(paidonce::Survey survey) {
    auto taken = std::make_shared<const paidonce::Survey>(std::move(survey));
    const std::lock_guard lock(mutex_);
    taken_.swap(taken);
  }
  /// Null before the first.
  std::shared_ptr<const paidonce::Survey> get() const {
    const std::lock_guard lock(mutex_);
    return taken_;
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const paidonce::Survey> taken_;
};

struct Service {
  Guard& guard;
  common::OpenStore& store;
  paidonce::Metrics& metrics;
  const Gateway& gateway;
  const LastSurvey& survey;
  paidonce::GuardOptions options;  ///< those that the guard was made with
  paidonce::Duration retention;    ///< of the API's payments that end in their request
  std::string admin_password;      ///< empty: there is no admin page
  std::string webhook_secret;      ///< of the gateway's signatures; empty: no webhook is believed
};

}  // namespace payment_server

extern template class paidonce::IdempotencyGuard<common::OpenStore&, paidonce::KeyedMutex,
                                                 paidonce::SystemClock, paidonce::Metrics&>;
