#include "guarded_server.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

#include <paidonce/guard.hpp>
#include <paidonce/http/canonical_json.hpp>
#include <paidonce/http/form.hpp>
#include <paidonce/http/httplib.hpp>
#include <paidonce/http/httplib_server.hpp>
#include <paidonce/http/responder.hpp>
#include <paidonce/stores/file.hpp>

#include "support/scratch_directory.hpp"

namespace integration {

using namespace paidonce;
using namespace std::chrono_literals;

namespace {

http::ServerOptions server_options(const GuardedServer::Settings& settings) {
  http::ServerOptions options;
  options.threads = settings.threads;
  options.head_timeout = settings.head_timeout;
  options.body_timeout = settings.body_timeout;
  options.idle_timeout = settings.idle_timeout;
  options.write_timeout = settings.write_timeout;
  return options;
}
http::ResponderOptions form_options() {
  http::ResponderOptions options;
  options.body_form = &http::canonical_form;
  return options;
}
http::ResponderOptions json_options() {
  http::ResponderOptions options;
  options.key_syntax = http::KeySyntax::strict;
  options.body_form = http::CanonicalJson();
  return options;
}
GuardOptions guard_options(const GuardedServer::Settings& settings) {
  GuardOptions options;
  options.wait = settings.wait;
  return options;
}
FileStoreOptions store_options() {
  FileStoreOptions options;
  options.durability = Durability::process_crash;  // no power is lost here
  return options;
}

}  // namespace

struct GuardedServer::Parts {
  using Guard = IdempotencyGuard<FileStore&>;

  explicit Parts(const Settings& settings)
      : store(directory / "payments", store_options()),
        guard(store, guard_options(settings)),
        server(server_options(settings)) {
    add("/pay", forms, "application/x-www-form-urlencoded", [] {});
    add("/strict", json, "application/json", [] {});
    add("/slow", forms, "application/x-www-form-urlencoded", [this] {
      std::unique_lock lock(mutex);
      ++waiting;
      changed.notify_all();
      changed.wait(lock, [this] { return let_go; });
    });
    server.Get("/probe", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("probe", "text/plain");
    });
    server.Get("/large", [](const httplib::Request&, httplib::Response& response) {
      response.set_content(std::string(8 << 20, 'a'), "text/plain");
    });
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::yield();  // else stop() would stop nothing
  }
  ~Parts() {
    go();
    server.stop();
    thread.join();
  }

  void go() {
    const std::lock_guard lock(mutex);
    let_go = true;
    changed.notify_all();
  }

  template <class Before>
  void add(const char* path, http::Responder<Guard>& responder, std::string type, Before before) {
    server.Post(path, [=, this, &responder](const httplib::Request& request, httplib::Response& response) {
      const http::Request view = http::view_of(request);
      const auto types = view.values("Content-Type");
      if (types.size() != 1 || types[0] != type) {
        http::Problem wrong =
            http::problem(http::ProblemKind::request_malformed, "Content-Type is " + type + ".");
        wrong.status = 415;
        return http::send(responder.respond(std::move(wrong)), response);
      }
      if (view.body.empty())
        return http::send(responder.respond(http::problem(http::ProblemKind::body_malformed)), response);
      http::send(responder.answer(http::Tenant("shop"), view,
                                  [&](Attempt&) {
                                    before();
                                    const std::lock_guard lock(mutex);
                                    charges.emplace_back(view.body);
                                    changed.notify_all();
                                    return http::Response{200, {{"Content-Type", "text/plain"}}, "paid"};
                                  }),
                 response);
    });
  }

  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::vector<std::string> charges;
  std::size_t waiting = 0;
  bool let_go = false;

  ScratchDirectory directory;
  FileStore store;
  Guard guard;
  http::Responder<Guard> forms{guard, form_options()}, json{guard, json_options()};
  http::Server server;
  int port = 0;
  std::thread thread;
};

GuardedServer::GuardedServer(Settings settings) : parts_(std::make_unique<Parts>(settings)) {}
GuardedServer::~GuardedServer() = default;
int GuardedServer::port() const noexcept { return parts_->port; }
std::vector<std::string> GuardedServer::charges() const {
  const std::lock_guard lock(parts_->mutex);
  return parts_->charges;
}
bool GuardedServer::wait_for_charges(std::size_t count) const {
  std::unique_lock lock(parts_->mutex);
  return parts_->changed.wait_for(lock, 20s, [&] { return parts_->charges.size() >= count; });
}
bool GuardedServer::wait_for_waiting(std::size_t count) const {
  std::unique_lock lock(parts_->mutex);
  return parts_->changed.wait_for(lock, 20s, [&] { return parts_->waiting >= count; });
}
void GuardedServer::let_go() { parts_->go(); }

}  // namespace integration
