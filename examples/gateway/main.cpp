// A payment gateway to test against, in a process of its own: it speaks the part of Stripe's API of charges
// and payment intents that a shop needs, and keeps a ledger of every charge, so that a double charge is
// visible to anyone.

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <thread>

#include <pthread.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include "server.hpp"

namespace {

struct Options {
  int port = 0;
  std::string ledger;
  gateway::Dedupe dedupe = gateway::Dedupe::on;
  gateway::Rates rates;
  unsigned delay_ms = 300;
  std::optional<unsigned> settle_after_ms;
  gateway::WebhookTarget webhook;
  unsigned webhook_pause_ms = 500;
};

void declare(CLI::App& app, Options& options) {
  const auto rate = [&app](const char* name, double& value, const char* meaning) {
    app.add_option(name, value, meaning)->check(CLI::Range(0.0, 1.0));
  };
  app.add_option("--port", options.port,
                 "Port on the loopback interface; 0, the default, picks a free one and prints it")
      ->check(CLI::Range(0, 65535));
  app.add_option("--ledger", options.ledger, "File that keeps the charges, one JSON line each")->required();
  const auto dedupe = [&options](const std::string& word) {
    if (word != "on" && word != "off") throw CLI::ValidationError("--dedupe", "is on or off, not " + word);
    options.dedupe = word == "on" ? gateway::Dedupe::on : gateway::Dedupe::off;
  };
  app.add_option_function<std::string>("--dedupe", dedupe, "Whether the Idempotency-Key is heeded")
      ->type_name("on|off")
      ->default_str("on");
  app.add_option("--seed", options.rates.seed, "What the rates are rolled with");
  rate("--decline-rate", options.rates.decline, "Cards that are declined");
  rate("--delay-rate", options.rates.delay, "Requests that take --delay-ms before they are carried out");
  app.add_option("--delay-ms", options.delay_ms, "How long a delay is")
      ->check(CLI::Range(0, 600000))
      ->capture_default_str();
  rate("--drop-rate", options.rates.drop, "Connections closed without an answer after the charge");
  rate("--drop-before-rate", options.rates.drop_before,
       "Connections closed without an answer and without a charge");
  rate("--crash-rate", options.rates.crash, "Charges after which the process dies without an answer");
  rate("--error-rate", options.rates.server_error, "Requests answered with 500, nothing charged");
  rate("--limit-rate", options.rates.rate_limit, "Requests answered with 429, nothing charged");
  app.add_option("--settle-after-ms", options.settle_after_ms,
                 "When payments of tok_processing end; without it, when POST /test/settle says so")
      ->check(CLI::Range(0, 86'400'000));
  app.add_option("--webhook", options.webhook.url,
                 "URL that is told how they ended; events are signed with GATEWAY_WEBHOOK_SECRET, which the "
                 "environment must have");
  app.add_option("--webhook-pause-ms", options.webhook_pause_ms,
                 "Before an event that was not acknowledged is sent again; doubled each time, up to a minute")
      ->check(CLI::Range(1, 60'000))
      ->capture_default_str();
  app.footer(
      "Exit status: 0 ended by SIGTERM or SIGINT; 1 the ledger or the port cannot be used; 2 bad usage.");
}

int run(const Options& options) {
  sigset_t ending;  // blocked in every thread, so that the one that waits for them gets them
  sigemptyset(&ending);
  sigaddset(&ending, SIGINT);
  sigaddset(&ending, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ending, nullptr);

  gateway::Ledger ledger(options.ledger);
  gateway::Webhooks webhooks(ledger, options.webhook);
  gateway::Settlements settlements(ledger, webhooks,
                                   options.settle_after_ms
                                       ? std::optional(std::chrono::milliseconds(*options.settle_after_ms))
                                       : std::nullopt);
  gateway::Server server(ledger, settlements, webhooks, options.dedupe, options.rates);
  const int port = server.bind(options.port);
  if (port <= 0) {
    std::fprintf(stderr,
                 "gateway: port %d of 127.0.0.1 is taken, or not for this user; --port 0 picks a free one\n",
                 options.port);
    return 1;
  }
  std::printf("gateway: listening on http://127.0.0.1:%d\n", port);
  std::fflush(stdout);

  std::thread stopper([&server, ending] {
    int signal = 0;
    sigwait(&ending, &signal);
    server.stop();
  });
  server.serve();
  ::kill(::getpid(), SIGTERM);  // wakes the stopper, had it not been a signal that ended the server
  stopper.join();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A payment gateway to test against; speaks Stripe's charges and payment intents");
  Options options;
  declare(app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& wrong) {
    return app.exit(wrong) == 0 ? 0 : 2;
  }
  if (const char* secret = std::getenv("GATEWAY_WEBHOOK_SECRET")) options.webhook.secret = secret;
  if (!options.webhook.url.empty() && options.webhook.secret.empty()) {
    std::fprintf(stderr, "gateway: --webhook needs a secret to sign with: set GATEWAY_WEBHOOK_SECRET\n");
    return 2;
  }
  options.webhook.first_pause = std::chrono::milliseconds(options.webhook_pause_ms);
  options.rates.delay_for = std::chrono::milliseconds(options.delay_ms);
  try {
    return run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gateway: %s\n", error.what());
    return 1;
  }
}
