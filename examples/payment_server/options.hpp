#pragma once
// What the program is told, on its command line and in its environment.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <paidonce/time.hpp>

#include "common/store_address.hpp"

namespace payment_server {

/// How the program ends; docs/payment_server.md has the same list for people.
enum class Exit : int {
  done = 0,       ///< stopped, and what was under way has ended
  failed = 1,     ///< the port is taken, or the system said no
  bad_usage = 2,  ///< the command line or the environment is not as --help says
  in_use = 3,     ///< another process has the store, which is for one
  damaged = 4,    ///< the store does not verify
  cut_short = 5,  ///< payments were still under way when time was up: recovery finds out about them
  no_store = 8,   ///< the store is out of reach
};

struct NamedKey {
  std::string tenant, api_key;
};

struct Options {
  std::string address = "127.0.0.1";
  int port = 0;
  std::string gateway_url = {};
  common::StoreAddress store = {};
  bool migrate = false;
  bool provider_deduplicates = false;
  std::chrono::milliseconds timeout{10'000};
  paidonce::Duration lease{30'000}, retention{24 * 3'600'000}, wait{0}, drain{30'000};
  std::size_t threads = 64;

  std::vector<NamedKey> tenants = {};  ///< not empty
  bool demo = false;                   ///< whether that is the one that everybody knows
  std::string gateway_key = {}, admin_password = {}, webhook_secret = {};
};

/// Nothing when it asked for help, which is then printed. Throws `std::invalid_argument` with one line that
/// says what to do.
std::optional<Options> read_options(int argc, char** argv);

}  // namespace payment_server
