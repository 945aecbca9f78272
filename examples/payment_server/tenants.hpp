#pragma once
// Whose API key it is.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/http/message.hpp>

namespace payment_server {

/// Immutable. Keeps digests of the keys, not the keys.
class Tenants {
 public:
  void add(std::string_view name, std::string_view api_key);
  /// By `Authorization`: `Bearer KEY`, or `Basic` with the key as the user name. In a time that does not tell
  /// how much of a key was right.
  std::optional<paidonce::http::Tenant> find(std::string_view authorization) const;

 private:
  struct Known {
    std::string name;
    std::string digest;
  };
  std::vector<Known> known_;
};

}  // namespace payment_server
