#pragma once
// What a person says became of a payment, and the response that customers get from then on.

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include <paidonce/http/message.hpp>
#include <paidonce/key.hpp>
#include <paidonce/record.hpp>

#include "payment.hpp"

namespace payment_server {

enum class Says { paid, declined, nothing_happened };
std::string_view to_string(Says says);
std::optional<Says> says_of(std::string_view text);

/// Whose word is taken for what the gateway has.
enum class Proof {
  gateway,  ///< its own object of that id, which carries this payment's provider key
  by_hand,  ///< the person's: the gateway does not give the object out
};

struct Verdict {
  Says says = Says::paid;
  std::string reason = {};      ///< how the person knows; one line
  std::string payment_id = {};  ///< the gateway's, as in ch_123 or pi_123
  Proof proof = Proof::gateway;
};

/// Not to be carried out; `what()` tells a person why, and what to do.
struct VerdictRefused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Resolution {
  paidonce::State state = paidonce::State::released;
  std::optional<paidonce::http::Response> response = {};  ///< none for what is released
};

/// An object of the gateway, by its id; nullopt where it has none of that id.
using FetchPayment = std::function<std::optional<paidonce::http::Response>(Kind kind, std::string_view id)>;

/// With the gateway's proof: what the server would have recorded itself had it found that object, so that
/// customers are answered as if the gateway's reply had come. The object must carry the payment's provider
/// key and amount, and say what the person says. By hand: what is known from the record and the person, and
/// no more; `metadata[recorded_by_hand]` tells it apart. Throws `VerdictRefused`, and what `fetch` throws.
Resolution resolution_of(const Verdict& verdict, const paidonce::IdempotencyKey& key,
                         const paidonce::Record& record, const FetchPayment& fetch);

}  // namespace payment_server
