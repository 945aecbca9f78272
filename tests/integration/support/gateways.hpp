#pragma once
// The two gateways as running programs, and what a test asks them over HTTP.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <nlohmann/json.hpp>

#include "process.hpp"
#include "support/catch.hpp"

namespace integration {

/// Where a gateway can be asked, and how: the test's own view of it, which shares no code with the client
/// under test.
class Provider {
 public:
  explicit Provider(std::string url) : url_(std::move(url)) {}
  const std::string& url() const { return url_; }

  httplib::Result get(const std::string& path) const { return client().Get(path); }
  httplib::Result post(const httplib::Params& form, const std::string& key = {}) const {
    return post_to("/v1/charges", form, key);
  }
  httplib::Result post_to(const std::string& path, const httplib::Params& form,
                          const std::string& key = {}) const {
    httplib::Headers headers;
    if (!key.empty()) headers.emplace("Idempotency-Key", key);
    return client().Post(path, headers, form);
  }

  /// Everything that the provider's list holds; nullopt when it does not answer.
  std::optional<std::vector<nlohmann::json>> charges() const {
    std::vector<nlohmann::json> all;
    for (std::string after;;) {
      const auto reply = get("/v1/charges?limit=7" + after);  // small pages, so that there are several
      if (!reply || reply->status != 200) return std::nullopt;
      const auto page = nlohmann::json::parse(reply->body);
      for (const auto& charge : page.at("data")) all.push_back(charge);
      if (page.at("has_more") == false) return all;
      after = "&starting_after=" + all.back().at("id").get<std::string>();
    }
  }

 private:
  httplib::Client client() const {
    httplib::Client client(url_);
    client.set_basic_auth("sk_test_of_the_test", "");
    client.set_read_timeout(std::chrono::seconds(20));
    return client;
  }

  std::string url_;
};

/// Reads a program's output line by line, waiting for it.
class OutputPipe {
 public:
  OutputPipe() {
    if (::pipe2(ends_, O_CLOEXEC) != 0) throw std::system_error(errno, std::generic_category(), "pipe2");
  }
  ~OutputPipe() {
    ::close(ends_[0]);
    close_writer();
  }
  OutputPipe(const OutputPipe&) = delete;
  OutputPipe& operator=(const OutputPipe&) = delete;

  int writer() const { return ends_[1]; }
  /// So that `line` ends when the program does.
  void close_writer() {
    if (ends_[1] >= 0) ::close(std::exchange(ends_[1], -1));
  }
  std::string line() {
    std::string text;
    for (char letter; ::read(ends_[0], &letter, 1) == 1 && letter != '\n';) text.push_back(letter);
    return text;
  }

 private:
  int ends_[2] = {-1, -1};
};

/// What a gateway under ThreadSanitizer leaves out, besides what the environment says.
inline std::string sanitizer_options() {
  const char* const given = std::getenv("TSAN_OPTIONS");
  return std::string("TSAN_OPTIONS=suppressions=" THREAD_SANITIZER_SUPPRESSIONS) +
         (given != nullptr ? " " : "") + (given != nullptr ? given : "");
}

/// Our own gateway. When it crashes, as it may be told to, it is started again on the same port and ledger.
class Gateway {
 public:
  Gateway(std::string program, std::filesystem::path ledger, std::vector<std::string> options)
      : program_(std::move(program)), ledger_(std::move(ledger)), options_(std::move(options)) {
    start();
    if (provider_.url().empty()) throw std::runtime_error("the gateway does not start");
    keeper_ = std::thread([this] { keep_up(); });
  }
  ~Gateway() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      if (running_) process_->signal(SIGTERM);
    }
    keeper_.join();
    CHECK(last_status_ == 0);  // a sanitizer's finding, for one, is another
  }
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  const std::string& url() const { return provider_.url(); }
  const Provider& provider() const { return provider_; }
  std::size_t starts() const {
    const std::lock_guard lock(mutex_);
    return starts_;
  }

  /// Kills it, as a power cut would have it; it is started again.
  void kill() {
    const std::lock_guard lock(mutex_);
    if (running_) process_->signal(SIGKILL);
  }

  /// The provider's list, from a gateway that may just be starting again.
  std::vector<nlohmann::json> charges() {
    for (;;) {
      const std::size_t seen = starts();
      if (auto charges = provider_.charges()) return *charges;
      std::unique_lock lock(mutex_);
      if (!started_.wait_for(lock, std::chrono::seconds(20), [&] { return starts_ > seen; }))
        throw std::runtime_error("the gateway is gone");
    }
  }

 private:
  void start() {
    OutputPipe output;
    std::vector<std::string> command = {program_, "--ledger", ledger_.string(), "--port", port_};
    command.insert(command.end(), options_.begin(), options_.end());
    process_.emplace(command, output.writer(), STDERR_FILENO, std::vector{sanitizer_options()});
    output.close_writer();
    const std::string line = output.line();
    if (port_ != "0") return;  // started again, where it was
    if (const auto at = line.find("http://"); at != std::string::npos) provider_ = Provider(line.substr(at));
    port_ = provider_.url().substr(provider_.url().rfind(':') + 1);
  }

  /// The process is waited for outside the lock; `running_` says whether it may be signalled.
  void keep_up() {
    for (;;) {
      process_->wait_without_reaping();
      const std::lock_guard lock(mutex_);
      const int status = process_->wait();
      running_ = false;
      last_status_ = status;
      if (status != 128 + SIGKILL) return;  // it was told to stop, or it failed
      if (stopping_) {
        last_status_ = 0;  // it crashed as it was told to, and nobody needs it any more
        return;
      }
      start();
      running_ = true;
      ++starts_;
      started_.notify_all();
    }
  }

  std::string program_;
  std::filesystem::path ledger_;
  std::vector<std::string> options_;
  std::string port_ = "0";
  Provider provider_{""};
  mutable std::mutex mutex_;
  std::condition_variable started_;
  std::optional<Process> process_;
  bool running_ = true, stopping_ = false;
  std::size_t starts_ = 1;
  int last_status_ = 0;
  std::thread keeper_;
};

/// A port that nobody listens on for as long as this lives: connections to it are refused.
class ClosedPort {
 public:
  ClosedPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::system_error(errno, std::generic_category(), "bind");
    number_ = ntohs(address.sin_port);
  }
  ~ClosedPort() { ::close(socket_); }
  ClosedPort(const ClosedPort&) = delete;
  ClosedPort& operator=(const ClosedPort&) = delete;
  int number() const { return number_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(number_); }

 private:
  int socket_, number_ = 0;
};

/// stripe-stateful-mock, installed into `directory`.
class StripeMock {
 public:
  explicit StripeMock(const std::filesystem::path& directory) {
    const std::string cli = (directory / "node_modules/stripe-stateful-mock/dist/cli.js").string();
    for (int tries = 0; tries < 5; ++tries) {
      const int port = ClosedPort().number();  // free now; another process may take it before node does
      OutputPipe output;
      process_.emplace(std::vector<std::string>{"node", cli}, output.writer(), output.writer(),
                       std::vector<std::string>{"PORT=" + std::to_string(port), "LOG_LEVEL=info"});
      output.close_writer();
      if (output.line().find("Server started") != std::string::npos) {
        provider_ = Provider("http://127.0.0.1:" + std::to_string(port));
        return;
      }
      process_.reset();
    }
    throw std::runtime_error("stripe-stateful-mock does not start");
  }

  const std::string& url() const { return provider_.url(); }
  const Provider& provider() const { return provider_; }
  std::vector<nlohmann::json> charges() const { return provider_.charges().value(); }

 private:
  std::optional<Process> process_;
  Provider provider_{""};
};

}  // namespace integration
