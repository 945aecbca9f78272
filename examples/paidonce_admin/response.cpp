#include "response.hpp"

#include <set>
#include <string>

#include <paidonce/codec.hpp>

#include "amount.hpp"
#include "charge.hpp"
#include "escape.hpp"
#include "exit.hpp"
#include "named_file.hpp"

namespace paidonce_admin {
namespace {

using paidonce::State;
using ChargeCodec = paidonce::Codec<shop::Charge>;

/// What pay_orders would have kept.
shop::Charge charge_of(const Verdict& verdict, const Entry& entry) {
  const auto amount = common::minor_units_of(entry.record.amount);
  if (!amount)
    throw Refusal(
        Exit::bad_usage,
        "this record has no amount that pay_orders could have written, so that its response cannot be "
        "made from --charge-id: give --response and --format");
  shop::Charge charge;
  charge.id = verdict.charge_id.value_or("");
  charge.order = entry.key.text();
  charge.amount = amount->units;
  charge.currency = amount->currency;
  if (verdict.as == State::declined) charge.failure = verdict.failure.value_or("declined");
  return charge;
}

/// Throws where bytes in the format of pay_orders say something else than the person and the record.
void check_charge(const std::string& bytes, const Verdict& verdict, const Entry& entry) {
  const auto refuse = [](const char* why) {
    throw Refusal(Exit::bad_usage, std::string("--response: ") + why);
  };
  shop::Charge charge;
  try {
    charge = ChargeCodec::decode(bytes);
  } catch (const paidonce::Error&) {
    refuse("it is not in the format that it is said to be in");
  }
  const auto amount = common::minor_units_of(entry.record.amount);
  if (charge.order != entry.key.text()) refuse("it is of another order");
  if (amount && (charge.amount != amount->units || charge.currency != amount->currency))
    refuse("it is of another amount than the record");
  if (charge.failure.empty() != (verdict.as == State::succeeded))
    refuse(
        "it says the opposite of --as: a charge that was declined has a failure, and one that succeeded "
        "none");
}

/// The formats of the responses that other payments of this scope have.
std::set<std::string> formats_beside(const Entry& entry, const StoreReader& store) {
  std::set<std::string> formats;
  const Wanted results = {.states = {State::succeeded, State::declined},
                          .key_begins_with = key_beginning_of(entry.key.scope()),
                          .parts = Wanted::Parts::no_response};
  store.each(results, [&](const Entry& other) {
    const State state = other.record.state;
    if (other.key.scope() == entry.key.scope() && (state == State::succeeded || state == State::declined))
      formats.insert(other.record.response_format);
  });
  return formats;
}

}  // namespace

Response response_of(const Options& options, const Entry& entry, const StoreReader& store) {
  const Verdict& verdict = options.verdict;
  Response response;
  if (verdict.format) {
    response.format = *verdict.format;
    response.bytes =
        verdict.response ? *verdict.response : content_of("--response-file", *verdict.response_file);
    if (response.format == ChargeCodec::format) check_charge(response.bytes, verdict, entry);
  } else {
    response.format = ChargeCodec::format;
    response.bytes = ChargeCodec::encode(charge_of(verdict, entry));
  }
  const std::set<std::string> formats = formats_beside(entry, store);
  if (formats.empty()) {
    response.warning =
        "No other payment of this scope has a response that the format could be compared with.";
  } else if (!formats.contains(response.format)) {
    std::string known;
    for (const std::string& format : formats) known += (known.empty() ? "" : ", ") + escaped(format);
    if (!verdict.any_format)
      throw Refusal(Exit::bad_usage, "no other payment of this scope has a response in the format " +
                                         escaped(response.format) +
                                         ", so the paying program may not know it; there are: " + known +
                                         ". --any-format takes it all the same");
    response.warning = "NO OTHER PAYMENT OF THIS SCOPE HAS A RESPONSE IN THIS FORMAT; there are: " + known;
  }
  return response;
}

}  // namespace paidonce_admin
