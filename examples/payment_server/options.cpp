#include "options.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <CLI/CLI.hpp>

namespace payment_server {
namespace {

constexpr const char* demo_tenant = "demo";
constexpr const char* demo_key = "sk_test_demo";

std::string from_environment(const char* name, const char* otherwise = "") {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

/// PAYMENT_SERVER_KEY_MY_SHOP for my-shop.
std::string variable_of(const std::string& tenant) {
  std::string name = "PAYMENT_SERVER_KEY_";
  for (const char c : tenant) {
    const auto byte = static_cast<unsigned char>(c);
    name += std::isalnum(byte) != 0 ? static_cast<char>(std::toupper(byte)) : '_';
  }
  return name;
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
  });
}
void check(const NamedKey& named, const std::string& where) {
  if (!is_name(named.tenant))
    throw std::invalid_argument(where + ": a tenant's name is 1 to 64 letters, digits, and any of _ - .");
  if (named.tenant == "checkout")
    throw std::invalid_argument(where +
                                ": checkout is the shop of this server itself; name the tenant otherwise");
  const bool plain = std::all_of(named.api_key.begin(), named.api_key.end(),
                                 [](unsigned char c) { return c > ' ' && c < 0x7f && c != ':'; });
  if (named.api_key.size() < 8 || !plain)
    throw std::invalid_argument(where +
                                ": an API key has 8 characters at least, without blanks and colons; make one "
                                "with: openssl rand -hex 24");
}

std::vector<NamedKey> tenants_in(const std::string& file) {
  errno = 0;
  std::ifstream in(file);
  if (!in)
    throw std::invalid_argument("--tenants: cannot read that file: " + std::string(std::strerror(errno)));
  std::vector<NamedKey> tenants;
  std::size_t number = 0;
  for (std::string line; std::getline(in, line);) {
    const std::string where = "--tenants, line " + std::to_string(++number);
    std::istringstream words(line);
    NamedKey named;
    std::string more;
    if (!(words >> named.tenant) || named.tenant.starts_with('#')) continue;
    if (!(words >> named.api_key) || words >> more)
      throw std::invalid_argument(where + ": a line is the name of a tenant, a blank, and its API key");
    check(named, where);
    tenants.push_back(std::move(named));
  }
  if (tenants.empty()) throw std::invalid_argument("--tenants: there is no tenant in that file");
  return tenants;
}

void check_distinct(const std::vector<NamedKey>& tenants) {
  for (std::size_t a = 0; a < tenants.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      if (tenants[a].api_key == tenants[b].api_key && tenants[a].tenant != tenants[b].tenant)
        throw std::invalid_argument("tenants " + tenants[b].tenant + " and " + tenants[a].tenant +
                                    " have the same API key: each needs its own");
}

}  // namespace

std::optional<Options> read_options(int argc, char** argv) {
  Options options;
  CLI::App app("Takes payments over HTTP, each once: Stripe's API before a gateway", "payment_server");
  std::string store = "file:payment_server.store", tenants_file;
  std::vector<std::string> tenants;
  std::optional<std::string> table, schema, prefix;
  long long timeout = options.timeout.count(), lease = options.lease.count(),
            retention = options.retention.count(), wait = options.wait.count(), drain = options.drain.count();
  constexpr long long day = 24 * 3'600'000;

  app.add_option("--port", options.port, "Port; 0, the default, picks a free one and prints it")
      ->check(CLI::Range(0, 65535));
  app.add_option("--address", options.address,
                 "Address to listen at; without TLS nothing but the loopback interface is safe")
      ->capture_default_str();
  app.add_option("--gateway", options.gateway_url, "The gateway, as http://127.0.0.1:8000")->required();
  app.add_option(
         "--store", store,
         "Where payments are kept: file:DIR, sqlite:FILE, postgres:URL, redis:URL. A directory is for "
         "one process, the others are for any number")
      ->capture_default_str();
  app.add_option("--table", table, "Table of a SQLite store");
  app.add_option("--schema", schema, "Schema of a PostgreSQL store");
  app.add_option("--prefix", prefix, "Prefix of a Redis store");
  app.add_flag("--migrate", options.migrate, "Make, or upgrade, the tables of a PostgreSQL store first");
  app.add_option("--tenants", tenants_file, "File of tenants, a line each: NAME KEY");
  app.add_option(
      "--tenant", tenants,
      "A tenant, whose API key is in the environment: PAYMENT_SERVER_KEY_ and the name in capitals. "
      "May be repeated");
  app.add_flag("--provider-deduplicates", options.provider_deduplicates,
               "The gateway charges once per Idempotency-Key for a day: a payment in doubt is sent again");
  app.add_option("--timeout-ms", timeout, "How long the gateway may take for an answer")
      ->check(CLI::Range(1LL, 600'000LL))
      ->capture_default_str();
  app.add_option("--lease-ms", lease,
                 "After what time a payment whose server is silent is another's to find out about")
      ->check(CLI::Range(100LL, day))
      ->capture_default_str();
  app.add_option("--retention-ms", retention, "How long a result is replayed")
      ->check(CLI::Range(1000LL, 366 * day))
      ->capture_default_str();
  app.add_option("--wait-ms", wait, "How long a duplicate waits for the one that runs, before it is told 409")
      ->check(CLI::Range(0LL, 60'000LL))
      ->capture_default_str();
  app.add_option("--drain-ms", drain, "How long a stop waits for payments that are under way")
      ->check(CLI::Range(0LL, 600'000LL))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Requests that are handled at a time")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.footer(
      "Environment, for what nobody should read in a list of processes:\n"
      "  PAYMENT_SERVER_GATEWAY_KEY  API key at the gateway; sk_test_payment_server unless set\n"
      "  PAYMENT_SERVER_KEY_NAME     API key of --tenant NAME\n"
      "  PAIDONCE_ADMIN_PASSWORD     of the admin page, which there is only with one\n"
      "  PAIDONCE_WEBHOOK_SECRET     what the gateway signs its webhooks with; without, none is believed\n"
      "  REDISCLI_AUTH, PGPASSWORD   passwords of the store's server\n"
      "Without tenants there is one that everybody knows: demo, with the key sk_test_demo.\n"
      "Exit status: 0 stopped; 1 the port is taken, or the system said no; 2 bad usage; 3 another process "
      "has\n"
      "the store; 4 the store is damaged; 5 stopped before all payments had ended; 8 the store is out of "
      "reach.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help) {
    app.exit(help);
    return std::nullopt;
  } catch (const CLI::ParseError& wrong) {
    throw std::invalid_argument(std::string(wrong.what()) + "; --help says what there is");
  }

  options.store = common::store_address(store);
  if (table) options.store.table = *table;
  if (schema) options.store.schema = *schema;
  if (prefix) options.store.prefix = *prefix;
  if (options.migrate && options.store.kind != common::StoreAddress::Kind::postgres)
    throw std::invalid_argument(
        "--migrate is for PostgreSQL: other stores make what they need by themselves");
  options.timeout = std::chrono::milliseconds(timeout);
  options.lease = paidonce::Duration(lease);
  options.retention = paidonce::Duration(retention);
  options.wait = paidonce::Duration(wait);
  options.drain = paidonce::Duration(drain);
  if (retention <= lease + wait)
    throw std::invalid_argument("--retention-ms must be longer than --lease-ms and --wait-ms together");
  if (!tenants_file.empty()) options.tenants = tenants_in(tenants_file);
  for (const std::string& tenant : tenants) {
    const std::string variable = variable_of(tenant);
    NamedKey named{tenant, from_environment(variable.c_str())};
    if (named.api_key.empty())
      throw std::invalid_argument("--tenant " + tenant + ": put its API key into the environment, as " +
                                  variable);
    check(named, variable);
    options.tenants.push_back(std::move(named));
  }
  options.demo = options.tenants.empty();
  if (options.demo) options.tenants.push_back({demo_tenant, demo_key});
  check_distinct(options.tenants);
  options.gateway_key = from_environment("PAYMENT_SERVER_GATEWAY_KEY", "sk_test_payment_server");
  options.admin_password = from_environment("PAIDONCE_ADMIN_PASSWORD");
  options.webhook_secret = from_environment("PAIDONCE_WEBHOOK_SECRET");
  return options;
}

}  // namespace payment_server
