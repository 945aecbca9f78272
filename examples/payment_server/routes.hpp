#pragma once
// The pages and endpoints, each with its own file. They refer to the service, which outlives the server.

#include <httplib.h>

#include "service.hpp"
#include "tenants.hpp"

namespace payment_server {

void add_stripe_api(httplib::Server& server, Service& service, const Tenants& tenants);  // stripe_api.cpp
void add_checkout(httplib::Server& server, Service& service);                            // checkout.cpp
void add_webhook(httplib::Server& server, Service& service);                             // webhook.cpp
void add_admin(httplib::Server& server, Service& service);                               // admin.cpp
void add_monitoring(httplib::Server& server, Service& service);                          // monitoring.cpp

}  // namespace payment_server
