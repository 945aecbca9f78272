#pragma once
// A payment provider for the snippets: it answers what it was told to answer, and counts.

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace shop {

struct Reply {
  bool declined = false;
  std::string body = "receipt 17";
};

/// The connection was refused: no byte was sent.
struct NotConnected : std::runtime_error {
  NotConnected() : std::runtime_error("connection refused") {}
};

class Provider {
 public:
  enum class Mood { charges, declines, refuses_connections, charges_and_hangs_up, hangs_up };
  Mood mood = Mood::charges;
  int charges = 0;

  /// Charges once a call, unlike a provider that knows its keys again.
  Reply charge(std::string_view, std::string_view provider_key) {
    if (mood == Mood::refuses_connections) throw NotConnected();
    if (mood == Mood::declines) return done_[std::string(provider_key)] = {true, "no funds"};
    if (mood == Mood::hangs_up) throw std::runtime_error("connection lost");
    ++charges;
    done_[std::string(provider_key)] = {};
    if (mood == Mood::charges_and_hangs_up) throw std::runtime_error("connection lost");
    return {};
  }

  /// What became of the charge that was asked for under this key.
  std::optional<Reply> look_up(std::string_view provider_key) const {
    const auto found = done_.find(std::string(provider_key));
    if (found == done_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::map<std::string, Reply> done_ = {};
};

}  // namespace shop
