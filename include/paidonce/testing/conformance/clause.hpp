#pragma once
// One clause of a suite: a named body that throws at the first expectation that does not hold.

#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <paidonce/record.hpp>
#include <paidonce/testing/conformance/report.hpp>

namespace paidonce::inline v1::detail {

struct ClauseFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void expect(bool holds, const std::string& otherwise) {
  if (!holds) throw ClauseFailed(otherwise);
}

/// Bytes for people: at most 40 of them, the unprintable ones as hexadecimal.
inline std::string in_quotes(std::string_view bytes) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : bytes.substr(0, 40)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f)
      text += c;
    else
      text += std::string("\\x") + digits[byte >> 4] + digits[byte & 15U];
  }
  return text + (bytes.size() > 40 ? "...\" of " + std::to_string(bytes.size()) + " bytes" : "\"");
}

/// The first field in which a record is not what it should be; empty where it is.
inline std::string difference(const Record& seen, const Record& expected) {
  const auto number = [](const char* name, auto got, auto wanted) {
    return std::string(name) + " is " + std::to_string(got) + " instead of " + std::to_string(wanted);
  };
  const auto time = [&](const char* name, Timestamp got, Timestamp wanted) {
    return number(name, got.time_since_epoch().count(), wanted.time_since_epoch().count()) + " ms";
  };
  const auto text = [](const char* name, const std::string& got, const std::string& wanted) {
    return std::string(name) + " is " + in_quotes(got) + " instead of " + in_quotes(wanted);
  };
  if (seen.version != expected.version) return number("version", seen.version, expected.version);
  if (seen.fingerprint != expected.fingerprint)
    return "fingerprint is " + seen.fingerprint.hex() + " instead of " + expected.fingerprint.hex();
  if (seen.state != expected.state)
    return "state is " + std::string(to_string(seen.state)) + " instead of " +
           std::string(to_string(expected.state));
  if (seen.attempt_id != expected.attempt_id)
    return number("attempt_id", seen.attempt_id, expected.attempt_id);
  if (seen.attempts != expected.attempts) return number("attempts", seen.attempts, expected.attempts);
  if (seen.created_at != expected.created_at) return time("created_at", seen.created_at, expected.created_at);
  if (seen.updated_at != expected.updated_at) return time("updated_at", seen.updated_at, expected.updated_at);
  if (seen.lease_until != expected.lease_until)
    return time("lease_until", seen.lease_until, expected.lease_until);
  if (seen.expires_at != expected.expires_at) return time("expires_at", seen.expires_at, expected.expires_at);
  if (seen.amount != expected.amount) return text("amount", seen.amount, expected.amount);
  if (seen.description != expected.description)
    return text("description", seen.description, expected.description);
  if (seen.checkpoint != expected.checkpoint) return text("checkpoint", seen.checkpoint, expected.checkpoint);
  if (seen.response != expected.response) return text("response", seen.response, expected.response);
  if (seen.response_format != expected.response_format)
    return text("response_format", seen.response_format, expected.response_format);
  if (seen.note != expected.note) return text("note", seen.note, expected.note);
  return "";
}

inline void expect_record(const std::string& what, const std::optional<Record>& seen,
                          const Record& expected) {
  expect(seen.has_value(), what + ": expected a record, saw none");
  const std::string differs = difference(*seen, expected);
  expect(differs.empty(), what + ": its " + differs);
}

inline void expect_nothing(const std::string& what, const std::optional<Record>& seen) {
  if (seen)
    throw ClauseFailed(what + ": expected none, saw a record of version " + std::to_string(seen->version) +
                       ", " + std::string(to_string(seen->state)));
}

inline void expect_stored(const std::string& what, const std::optional<Record>& existing) {
  if (existing)
    throw ClauseFailed(what + ": expected nullopt, which means stored; saw a record of version " +
                       std::to_string(existing->version));
}

/// Runs clauses one after the other on one fixture and writes down how they ended.
template <class F>
class ConformanceRun {
 public:
  ConformanceRun(F& given, const ConformanceOptions& chosen) : fixture(given), options(chosen) {
    if (options.threads < 2) options.threads = 2;
    if (options.rounds < 1) options.rounds = 1;
  }

  F& fixture;
  ConformanceOptions options;

  template <class Body>
  void clause(const std::string& name, Body body) {
    if (!name.starts_with(options.only)) return;
    report_.add_clause(name);
    try {
      if constexpr (requires { fixture.begin_clause(name); }) fixture.begin_clause(name);
      body();
    } catch (const ClauseFailed& failure) {
      report_.add_failure(name, failure.what());
    } catch (const std::exception& thrown) {
      report_.add_failure(name, std::string("expected no exception, saw ") + in_quotes(thrown.what()));
    }
  }

  void skip(const std::string& clauses, const std::string& why) { report_.add_skip(clauses, why); }

  ConformanceReport& report() noexcept { return report_; }

 private:
  ConformanceReport report_ = {};
};

}  // namespace paidonce::inline v1::detail
