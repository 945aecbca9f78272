#include "behaviour.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace gateway {
namespace {

/// Whether the event happens: a number in [0, 1) made of everything that may decide about it, below its rate.
bool rolled(double rate, std::string_view event, std::uint64_t seed, std::string_view order,
            std::uint32_t attempt) {
  std::uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  const auto mix = [&hash](std::uint64_t byte) { hash = (hash ^ byte) * 0x100000001b3; };
  for (const char letter : event) mix(static_cast<unsigned char>(letter));
  for (int shift = 0; shift < 64; shift += 8) mix((seed >> shift) & 0xff);
  for (const char letter : order) mix(static_cast<unsigned char>(letter));
  for (int shift = 0; shift < 32; shift += 8) mix((attempt >> shift) & 0xff);
  hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9;  // the finaliser of SplitMix64
  hash = (hash ^ (hash >> 27)) * 0x94d049bb133111eb;
  hash ^= hash >> 31;
  return static_cast<double>(hash >> 11) * 0x1p-53 < rate;
}

constexpr std::array<std::string_view, 8> plain_cards = {
    "tok_visa", "tok_visa_debit", "tok_mastercard", "tok_mastercard_debit", "tok_mastercard_prepaid",
    "tok_amex", "tok_ca",         "tok_discover"};

std::optional<Behaviour> scripted(const Rates& rates, std::string_view token) {
  if (token == "tok_chargeDeclined") return Behaviour{Effect::decline, Answer::send, {}};
  if (token == "tok_500") return Behaviour{Effect::server_error, Answer::send, {}};
  if (token == "tok_429") return Behaviour{Effect::rate_limit, Answer::send, {}};
  if (token == "tok_delay") return Behaviour{Effect::charge, Answer::send, rates.delay_for};
  if (token == "tok_dropReply") return Behaviour{Effect::charge, Answer::drop, {}};
  if (token == "tok_dropRequest") return Behaviour{Effect::nothing, Answer::drop, {}};
  if (token == "tok_crash") return Behaviour{Effect::charge, Answer::die, {}};
  if (token == "tok_processing") return Behaviour{Effect::pend, Answer::send, {}};
  if (token == "tok_processingFails") return Behaviour{Effect::pend, Answer::send, {}, Later::fails};
  if (token == "tok_processingDropReply") return Behaviour{Effect::pend, Answer::drop, {}};
  if (token == "tok_webhookFirst")
    return Behaviour{Effect::pend, Answer::send, {}, Later::succeeds_before_the_answer};
  if (token == "tok_forget") return Behaviour{Effect::forget, Answer::send, {}};
  return std::nullopt;
}

/// A payment method under the name of its token.
std::string as_token(std::string_view name) {
  constexpr std::string_view card = "pm_card_", bank = "pm_bank_transfer";
  if (name.starts_with(card)) return "tok_" + std::string(name.substr(card.size()));
  if (name.starts_with(bank)) return "tok_processing" + std::string(name.substr(bank.size()));
  return std::string(name);
}

std::string_view link_of_chain(std::string_view source, std::uint32_t attempt) {
  std::vector<std::string_view> tokens;
  for (std::size_t from = 0; from <= source.size();) {
    const std::size_t bar = std::min(source.find('|', from), source.size());
    if (const auto token = source.substr(from, bar - from);
        token.starts_with("tok_") || token.starts_with("pm_"))
      tokens.push_back(token);
    from = bar + 1;
  }
  if (tokens.empty()) return source;
  return tokens[std::min<std::size_t>(attempt, tokens.size() - 1)];
}

}  // namespace

std::optional<Behaviour> decide(const Rates& rates, std::string_view order, std::uint32_t attempt,
                                std::string_view source) {
  const std::string token = as_token(link_of_chain(source, attempt));
  if (const auto told = scripted(rates, token)) return told;
  if (std::find(plain_cards.begin(), plain_cards.end(), token) == plain_cards.end()) return std::nullopt;

  const auto happens = [&](double rate, std::string_view event) {
    return rolled(rate, event, rates.seed, order, attempt);
  };
  if (happens(rates.rate_limit, "rate_limit")) return Behaviour{Effect::rate_limit, Answer::send, {}};
  if (happens(rates.server_error, "server_error")) return Behaviour{Effect::server_error, Answer::send, {}};
  if (happens(rates.drop_before, "drop_before")) return Behaviour{Effect::nothing, Answer::drop, {}};
  Behaviour behaviour;
  if (happens(rates.decline, "decline")) behaviour.effect = Effect::decline;
  if (happens(rates.delay, "delay")) behaviour.delay = rates.delay_for;
  if (happens(rates.drop, "drop")) behaviour.answer = Answer::drop;
  if (happens(rates.crash, "crash")) behaviour.answer = Answer::die;
  return behaviour;
}

}  // namespace gateway
