#pragma once
// What the parts of the server share. All of it outlives the HTTP server.

#include <paidonce/clocks/system_clock.hpp>
#include <paidonce/guard.hpp>
#include <paidonce/http/stored_response.hpp>
#include <paidonce/locks/keyed_mutex.hpp>
#include <paidonce/observe/metrics.hpp>

#include "common/open_store.hpp"
#include "gateway.hpp"

namespace payment_server {

/// The one guard of this program. All that it stores are HTTP responses.
using Guard = paidonce::IdempotencyGuard<common::OpenStore&, paidonce::KeyedMutex, paidonce::SystemClock,
                                         paidonce::Metrics&>;

struct Service {
  Guard& guard;
  common::OpenStore& store;
  paidonce::Metrics& metrics;
  const Gateway& gateway;
  std::string admin_password;  ///< empty: there is no admin page
  std::string webhook_secret;  ///< of the gateway's signatures; empty: no webhook is believed
};

}  // namespace payment_server
