#pragma once
// The payment server as a running program: killed and started again where it was, over the same store.

#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <httplib.h>

#include "gateways.hpp"

namespace integration {

class PaymentServer {
 public:
  /// `environment` as in NAME=VALUE, `options` of the program.
  PaymentServer(std::string gateway, std::string store, std::vector<std::string> environment = {},
                std::vector<std::string> options = {})
      : gateway_(std::move(gateway)),
        store_(std::move(store)),
        environment_(std::move(environment)),
        options_(std::move(options)) {
    environment_.push_back(sanitizer_options());
    start();
  }
  ~PaymentServer() {
    if (!process_) return;
    process_->signal(SIGTERM);
    CHECK(process_->wait() == 0);  // a sanitizer's finding, for one, is another
  }
  PaymentServer(const PaymentServer&) = delete;
  PaymentServer& operator=(const PaymentServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + port_; }
  const std::string& port() const { return port_; }
  pid_t id() const { return process_->id(); }

  void signal(int number) const { process_->signal(number); }
  /// For its end; its exit status.
  int wait() {
    const int status = process_->wait();
    process_.reset();
    return status;
  }
  void kill() {
    process_->signal(SIGKILL);
    process_->wait();
    process_.reset();
  }
  /// At the same port.
  void start() {
    OutputPipe output;
    std::vector<std::string> command = {PAYMENT_SERVER, "--gateway", gateway_, "--store",
                                        store_,         "--port",    port_};
    command.insert(command.end(), options_.begin(), options_.end());
    process_.emplace(command, output.writer(), STDERR_FILENO, environment_);
    output.close_writer();
    const std::string line = output.line();
    if (const auto at = line.find("http://127.0.0.1:"); at != std::string::npos)
      port_ = line.substr(line.rfind(':') + 1);
    else
      throw std::runtime_error("the payment server does not start");
  }

 private:
  std::string gateway_, store_, port_ = "0";
  std::vector<std::string> environment_, options_;
  std::optional<Process> process_;
};

}  // namespace integration
