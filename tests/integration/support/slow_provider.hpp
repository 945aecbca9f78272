#pragma once
// A provider in the test's own process whose answers wait until the test lets them go: a program can be
// killed while its request is under way.

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <httplib.h>
#include <nlohmann/json.hpp>

namespace integration {

class SlowProvider {
 public:
  SlowProvider() {
    http_.Post("/v1/charges", [this](const httplib::Request& request, httplib::Response& response) {
      std::unique_lock lock(mutex_);
      keys_.push_back(request.get_header_value("Idempotency-Key"));
      const auto charge = charge_of(request.params);
      came_.notify_all();
      let_go_.wait(lock, [this] { return answers_; });
      response.set_content(charge.dump(), "application/json");
    });
    http_.Get("/v1/charges", [this](const httplib::Request&, httplib::Response& response) {
      const std::lock_guard lock(mutex_);
      response.set_content(nlohmann::json({{"data", listed_}, {"has_more", false}}).dump(),
                           "application/json");
    });
    port_ = http_.bind_to_any_port("127.0.0.1");
    server_ = std::thread([this] { http_.listen_after_bind(); });
  }
  ~SlowProvider() {
    answer();
    http_.stop();
    server_.join();
  }
  SlowProvider(const SlowProvider&) = delete;
  SlowProvider& operator=(const SlowProvider&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  /// Waits until so many requests for a charge have come in all.
  void await(std::size_t requests) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return keys_.size() >= requests; });
  }
  /// From now on requests are answered, those that wait too.
  void answer() {
    const std::lock_guard lock(mutex_);
    answers_ = true;
    let_go_.notify_all();
  }
  /// From now on its list holds a charge for this order.
  void list(const std::string& order, int minor_units) {
    const std::lock_guard lock(mutex_);
    listed_.push_back(charge(order, minor_units));
  }
  /// The `Idempotency-Key` of each request for a charge.
  std::vector<std::string> keys() const {
    const std::lock_guard lock(mutex_);
    return keys_;
  }

 private:
  static nlohmann::json charge(const std::string& order, int minor_units) {
    return {{"object", "charge"}, {"id", "ch_slow"},       {"amount", minor_units},
            {"currency", "eur"},  {"status", "succeeded"}, {"metadata", {{"order", order}}}};
  }
  static nlohmann::json charge_of(const httplib::Params& form) {
    return charge(form.find("metadata[order]")->second, std::stoi(form.find("amount")->second));
  }

  httplib::Server http_;
  std::thread server_;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable came_, let_go_;
  bool answers_ = false;
  std::vector<std::string> keys_;
  nlohmann::json listed_ = nlohmann::json::array();
};

}  // namespace integration
