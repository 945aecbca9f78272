#pragma once
// A body that is not what it says it is.

#include <stdexcept>

namespace paidonce::inline v1::http {

/// Thrown by what reads a body. Its text goes to the client as the detail of a 400, so it says what is wrong
/// and never quotes the body.
class BodyMalformed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace paidonce::inline v1::http
