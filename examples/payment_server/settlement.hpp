#pragma once
// How a payment ended that was "processing" when it was answered: who may say so, and that it is written down
// once.

#include <optional>
#include <string_view>

#include "ended.hpp"
#include "service.hpp"

namespace payment_server {

enum class Recorded {
  yes,          ///< now, or before: the same end
  contradicts,  ///< another end is recorded; it stays
  not_now,  ///< somebody else writes it right now, or it is not known whether it was written: again, later
};
/// Writes the end under `settlement_key`: the first one wins. Writing is all it does, so it may be done again
/// where it is in doubt. Throws what the guard throws before it begins.
Recorded record_end(Service& service, const Ended& ended);

/// For payments whose webhook does not come: asks the gateway how it stands with that payment, and records
/// its end if it has one. It asks each time: the caller paces it. Throws where gateway or store do not
/// answer. nullopt: the payment has not ended.
std::optional<Recorded> settle_by_asking(Service& service, Kind kind, std::string_view payment_id);

}  // namespace payment_server
