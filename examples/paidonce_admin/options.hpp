#pragma once
// What is asked of the program.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include <paidonce/record.hpp>
#include <paidonce/time.hpp>

#include "store_address.hpp"

namespace paidonce_admin {

enum class Command { survey, list, show, verify, sweep, recover, resolve };

/// Names one payment: the text of its key and, where several scopes have that, its scope; or its digest.
/// Bytes, not as they are written on a command line.
struct Which {
  std::optional<std::string> key = {}, scope = {}, digest = {};
};

/// What a person says of a payment.
struct Verdict {
  paidonce::State as = paidonce::State::in_doubt;
  std::string reason = {}, actor = {};
  std::optional<std::string> charge_id = {}, failure = {};       ///< the response of a paying pay_orders
  std::optional<std::string> response = {}, response_file = {};  ///< or of any other program, encoded
  std::optional<std::string> format = {};                        ///< `Codec<R>::format` of that
  std::optional<std::uint64_t> if_version = {};                  ///< of the record that was looked at
  std::optional<paidonce::Duration> retention = {};
  bool any_format = false;
  bool holder_is_dead = false;
};

struct Options {
  common::StoreAddress store = {};
  Command command = Command::survey;
  bool json = false;
  bool yes = false;
  Which which = {};

  bool stuck = false;
  std::optional<paidonce::Duration> older_than = {};
  std::set<paidonce::State> states = {};  ///< none: all
  std::optional<std::size_t> limit = {};

  bool dry_run = false;
  Verdict verdict = {};
  std::string gateway = {};  ///< empty: nobody is asked
  std::string api_key = {};
  unsigned timeout_ms = 10'000;
};

/// Reads the command line. Nothing when it asked for help, which is then printed. Throws
/// `Refusal{bad_usage}` for everything that is not as `--help` says.
std::optional<Options> read_options(int argc, char** argv);

}  // namespace paidonce_admin
