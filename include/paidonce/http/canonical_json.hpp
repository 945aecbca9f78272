#pragma once
// JSON bodies that mean the same, as the same bytes. Component paidonce::json.

#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include <paidonce/http/body_malformed.hpp>

namespace paidonce::inline v1::http {

/// A `BodyForm`. Immutable; safe to call from any number of threads.
class CanonicalJson {
 public:
  /// `left_out`: JSON pointers (RFC 6901) of members that are no part of what is asked for, such as
  /// "/metadata/trace_id". Throws `Error{invalid_options}` for what is no pointer.
  explicit CanonicalJson(std::vector<std::string> left_out = {}) : left_out_(std::move(left_out)) {}

  /// Throws `BodyMalformed`.
  std::string operator()(std::string_view body) const;

 private:
  std::vector<std::string> left_out_;
};

}  // namespace paidonce::inline v1::http
