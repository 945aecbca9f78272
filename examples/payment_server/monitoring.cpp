// What monitoring asks: /metrics and /healthz.

#include <exception>

#include <paidonce/observe/prometheus.hpp>

#include "routes.hpp"

namespace payment_server {
namespace {

/// Whether the store answers. What it says of the key does not matter.
bool store_answers(common::OpenStore& store) {
  try {
    store.find(paidonce::IdempotencyKey("health", "check"));
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

void add_monitoring(httplib::Server& server, Service& service) {
  server.Get("/metrics", [&service](const httplib::Request&, httplib::Response& to) {
    std::string text = paidonce::prometheus_text(service.metrics.snapshot());
    if (const auto survey = service.survey.get())
      text += paidonce::prometheus_text(*survey, paidonce::SystemClock{}.now());
    to.set_content(text, "text/plain; version=0.0.4; charset=utf-8");
  });
  server.Get("/healthz", [&service](const httplib::Request&, httplib::Response& to) {
    const bool well = store_answers(service.store);
    to.status = well ? 200 : 503;
    to.set_header("Cache-Control", "no-store");
    to.set_content(well ? "ok\n" : "the store does not answer\n", "text/plain; charset=utf-8");
  });
}

}  // namespace payment_server
