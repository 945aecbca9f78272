#pragma once
// A message of a queue that asks for a payment.

#include <cstdint>
#include <string>

namespace paidonce::inline v1 {

/// As a source hands it out. Key and body are the sender's; logs and alerts carry neither.
struct Message {
  std::string id = {};    ///< the broker's, for people
  std::string key = {};   ///< messages of one key are handled one after the other, in order; empty: no order
  std::string body = {};  ///< what to do
  /// How often it was handed out, this time included, as far as the broker can tell.
  std::uint32_t deliveries = 1;
  std::uint64_t token = 0;  ///< the source's own name for this message while it is out
};

}  // namespace paidonce::inline v1
