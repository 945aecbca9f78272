// A payment server: Stripe's API before a gateway, each payment once. It can be killed at any moment and
// started again.

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <pthread.h>
#include <unistd.h>

#include <paidonce/errors.hpp>
#include <paidonce/http/httplib.hpp>
#include <paidonce/http/httplib_server.hpp>

#include "background.hpp"
#include "options.hpp"
#include "routes.hpp"
#include "shop.hpp"
#include "stores.hpp"
#include "stripe_errors.hpp"

namespace payment_server {
namespace {

/// SIGTERM and SIGINT, as something to wait for.
class EndSignals {
 public:
  /// Blocks them in this thread, and so in all that it starts.
  EndSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  }
  void wait() const {
    int signal = 0;
    sigwait(&signals_, &signal);
  }
  /// Until the next, or for so long.
  void wait_for(paidonce::Duration time) const {
    const timespec until{static_cast<time_t>(time.count() / 1000),
                         static_cast<long>(time.count() % 1000 * 1'000'000)};
    while (sigtimedwait(&signals_, nullptr, &until) < 0 && errno == EINTR) {
    }
  }
  /// Ends a wait from within.
  static void send() { ::kill(::getpid(), SIGTERM); }

 private:
  sigset_t signals_{};
};

paidonce::GuardOptions guard_options(const Options& options) {
  paidonce::GuardOptions guard;
  guard.lease = options.lease;
  // For whoever settles a payment without saying whose it is: recovery, the pages, and people on them.
  guard.retention = std::max(options.retention, remembered_for);
  guard.wait = options.wait;
  guard.provider_deduplicates = options.provider_deduplicates;
  return guard;
}

paidonce::http::ServerOptions server_options(const Options& options) {
  paidonce::http::ServerOptions server;
  server.threads = options.threads;
  server.write_problem = &stripe_problem;
  return server;
}

void say_what_is_odd(const Options& options) {
  if (options.demo)
    std::fprintf(stderr,
                 "payment_server: NO TENANTS ARE GIVEN: everybody who can reach this port pays as tenant "
                 "%s with the API key %s; --tenants FILE changes that\n",
                 options.tenants[0].tenant.c_str(), options.tenants[0].api_key.c_str());
  if (options.address != "127.0.0.1" && options.address != "localhost" && options.address != "::1")
    std::fprintf(stderr,
                 "payment_server: it listens at %s without TLS: API keys can be read on the way; put a proxy "
                 "with TLS in front\n",
                 options.address.c_str());
}

Exit serve(const Options& options) {
  const EndSignals signals;
  std::signal(SIGPIPE, SIG_IGN);
  Tenants tenants;
  for (const NamedKey& named : options.tenants) tenants.add(named.tenant, named.api_key);
  const Gateway gateway(options.gateway_url, options.gateway_key, options.timeout);
  const std::unique_ptr<common::OpenStore> store = open_store(options);
  paidonce::Metrics metrics;
  const paidonce::GuardOptions rules = guard_options(options);
  Guard guard(*store, paidonce::KeyedMutex(), paidonce::SystemClock(), rules, metrics);
  LastSurvey survey;
  Service service{guard,
                  *store,
                  metrics,
                  gateway,
                  survey,
                  rules,
                  options.retention,
                  options.admin_password,
                  options.webhook_secret};

  paidonce::http::Server server(server_options(options));
  paidonce::http::answer_with_problems(server, &stripe_problem);
  add_stripe_api(server, service, tenants);
  add_checkout(server, service);
  add_webhook(server, service);
  add_admin(server, service);
  add_monitoring(server, service);
  server.set_socket_options(paidonce::http::detail::own_port);
  int port = options.port;
  if (port == 0)
    port = server.bind_to_any_port(options.address);
  else if (!server.bind_to_port(options.address, port))
    port = -1;
  if (port <= 0)
    throw std::system_error(std::make_error_code(std::errc::address_in_use),
                            "port " + std::to_string(options.port) + " of " + options.address +
                                " is taken, or not for this user; --port 0 picks a free one");

  say_what_is_odd(options);
  Background background(service, survey);
  background.start();
  std::fprintf(stderr, "payment_server: payments are kept in %s\n", name_of(options.store).c_str());
  const bool v6 = options.address.find(':') != std::string::npos;
  std::printf("payment_server: listening on http://%s%s%s:%d\n", v6 ? "[" : "", options.address.c_str(),
              v6 ? "]" : "", port);
  std::fflush(stdout);

  std::atomic<bool> ended{false}, stopped{false};
  std::thread serving([&] {
    stopped = server.listen_after_bind();  // until it is stopped, and what was under way has been answered
    background.stop();
    ended = true;
    EndSignals::send();
  });
  signals.wait();
  guard.shut_down();  // who waits is told so; what runs goes on to its end
  while (!server.is_running() && !ended) std::this_thread::yield();  // before that, it cannot be stopped
  server.stop();
  if (!ended) signals.wait_for(options.drain);
  if (!ended) {
    std::fprintf(stderr,
                 "payment_server: stopped before all requests had ended; recovery finds out about what was "
                 "under way when it is started again\n");
    std::_Exit(static_cast<int>(Exit::cut_short));
  }
  serving.join();
  if (!stopped) {
    std::fprintf(stderr, "payment_server: no more connections can be accepted; start it again\n");
    return Exit::failed;
  }
  return Exit::done;
}

/// What a failure of the store means to whoever called.
Exit exit_of(const paidonce::Error& error) {
  using paidonce::errc;
  if (error.code() == errc::store_busy) return Exit::in_use;
  if (error.code() == errc::store_corrupt) return Exit::damaged;
  if (error.code() == errc::store_unavailable) return Exit::no_store;
  for (const errc code : {errc::invalid_options, errc::unsafe_config, errc::unsupported_format})
    if (error.code() == code) return Exit::bad_usage;
  return Exit::failed;
}

Exit tell(const std::exception& problem, Exit status) {
  std::fprintf(stderr, "payment_server: %s\n", problem.what());
  return status;
}

Exit run(int argc, char** argv) {
  try {
    const auto options = read_options(argc, argv);
    return options ? serve(*options) : Exit::done;
  } catch (const std::invalid_argument& wrong) {
    return tell(wrong, Exit::bad_usage);
  } catch (const paidonce::Error& error) {
    return tell(error, exit_of(error));
  } catch (const std::exception& problem) {
    return tell(problem, Exit::failed);
  }
}

}  // namespace
}  // namespace payment_server

int main(int argc, char** argv) { return static_cast<int>(payment_server::run(argc, argv)); }
