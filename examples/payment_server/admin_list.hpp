#pragma once
// Which payments are stuck, oldest first, a page at a time: one walk over what is unfinished, bounded in time
// and in memory, however much is stored.

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/record.hpp>
#include <paidonce/recovery/survey.hpp>
#include <paidonce/time.hpp>

#include "common/open_store.hpp"

namespace payment_server {

/// Whether somebody may still be at work on a payment.
enum class Holder {
  none,       ///< nobody is: it is in doubt, or has ended
  gone,       ///< its process is dead, which is proven; a request that it sent may still be under way
  not_heard,  ///< its lease is over: its process is gone, stalled or cut off, and may yet come back
  alive,      ///< its lease is not over
};
Holder holder_of(common::OpenStore& store, const paidonce::IdempotencyKey& key,
                 const paidonce::Record& record, paidonce::Timestamp now);

/// What does not go on by itself.
struct StuckPayment {
  paidonce::IdempotencyKey key;
  paidonce::Record record;
  Holder holder;
};

/// Where a page of the list ends.
struct ListPosition {
  paidonce::Timestamp updated_at = {};
  std::string key = {};  ///< `IdempotencyKey::bytes()`

  std::string text() const;
  static std::optional<ListPosition> from_text(std::string_view text);
};

struct StuckList {
  paidonce::Survey survey = {};           ///< of what is unfinished; `finished`: the walk saw all of it
  std::size_t stuck = 0;                  ///< in all, of what the walk saw
  std::vector<StuckPayment> shown = {};   ///< changed longest ago first
  std::optional<ListPosition> next = {};  ///< where the next page begins, if there is one
};

/// At most `most` of those behind `after`. The walk ends after `time`, and the list is then of what it saw.
StuckList list_stuck(common::OpenStore& store, paidonce::Timestamp now,
                     const std::optional<ListPosition>& after, std::size_t most, paidonce::Duration time);

}  // namespace payment_server
