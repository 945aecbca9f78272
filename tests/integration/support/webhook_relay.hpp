#pragma once
// Stands between a gateway and whoever it tells of events: sees each delivery, and can lose either half of
// it.

#include <condition_variable>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <httplib.h>
#include <nlohmann/json.hpp>

namespace integration {

class WebhookRelay {
 public:
  struct Delivery {
    std::string signature, body;
    int status = 0;  ///< what the target answered; 0: it did not
    nlohmann::json event() const { return nlohmann::json::parse(body); }
    std::string id() const { return event().at("id"); }
  };

  WebhookRelay() {
    server_.Post("/webhook", [this](const httplib::Request& request, httplib::Response& response) {
      Delivery delivery{request.get_header_value("Stripe-Signature"), request.body};
      std::function<int(Delivery&)> take;
      {
        const std::lock_guard lock(mutex_);
        take = take_;
      }
      response.status = take ? take(delivery) : 500;
      const std::lock_guard lock(mutex_);
      delivered_.push_back(std::move(delivery));
      changed_.notify_all();
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
  }
  ~WebhookRelay() {
    while (!server_.is_running()) std::this_thread::yield();  // before that, it cannot be stopped
    server_.stop();
    thread_.join();
  }
  WebhookRelay(const WebhookRelay&) = delete;
  WebhookRelay& operator=(const WebhookRelay&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_) + "/webhook"; }

  /// What becomes of each delivery from now on; the result is what the gateway is answered. Without one, 500.
  void on_delivery(std::function<int(Delivery&)> take) {
    const std::lock_guard lock(mutex_);
    take_ = std::move(take);
  }
  /// Hands deliveries on to that server.
  void forward_to(const std::string& url) {
    on_delivery([url](Delivery& delivery) { return forward(url, delivery); });
  }
  static int forward(const std::string& url, Delivery& delivery) {
    const auto reply = httplib::Client(url).Post(
        "/webhooks/gateway", {{"Stripe-Signature", delivery.signature}}, delivery.body, "application/json");
    delivery.status = reply ? reply->status : 0;
    return reply ? reply->status : 502;
  }

  std::vector<Delivery> delivered() const {
    const std::lock_guard lock(mutex_);
    return delivered_;
  }
  /// Until one of them was answered so.
  void wait_for_status(int status) const {
    std::unique_lock lock(mutex_);
    const auto answered = [&] {
      for (const Delivery& delivery : delivered_)
        if (delivery.status == status) return true;
      return false;
    };
    if (!changed_.wait_for(lock, std::chrono::seconds(30), answered))
      throw std::runtime_error("no delivery was answered " + std::to_string(status));
  }
  void wait_for_deliveries(std::size_t count) const {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(30), [&] { return delivered_.size() >= count; }))
      throw std::runtime_error("the gateway does not deliver");
  }

 private:
  httplib::Server server_;
  int port_ = 0;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::function<int(Delivery&)> take_;
  std::vector<Delivery> delivered_;
  std::thread thread_;
};

}  // namespace integration
