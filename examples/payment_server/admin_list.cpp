#include "admin_list.hpp"

#include <charconv>
#include <tuple>
#include <utility>

#include <paidonce/clocks/steady_timer.hpp>

#include "admin_access.hpp"
#include "common/smallest.hpp"

namespace payment_server {
namespace {

using paidonce::IdempotencyKey;
using paidonce::Record;
using paidonce::State;

std::tuple<paidonce::Timestamp, std::string_view> place_of(const StuckPayment& payment) {
  return {payment.record.updated_at, payment.key.bytes()};
}

bool older(const StuckPayment& a, const StuckPayment& b) { return place_of(a) < place_of(b); }

/// Hands on what a scan visits, and looks at it too.
template <class Look>
class Watched {
 public:
  Watched(common::OpenStore& store, Look look) : store_(store), look_(std::move(look)) {}

  std::optional<Record> find(const IdempotencyKey& key) { return store_.find(key); }
  std::optional<Record> insert(const IdempotencyKey& key, const Record& record) {
    return store_.insert(key, record);
  }
  bool replace(const IdempotencyKey& key, paidonce::Version expected, const Record& record) {
    return store_.replace(key, expected, record);
  }
  template <class Visitor>
  void scan(const paidonce::ScanFilter& filter, Visitor&& visitor) {
    store_.scan(filter, [&](const IdempotencyKey& key, const Record& record) {
      look_(key, record);
      return visitor(key, record);
    });
  }

 private:
  common::OpenStore& store_;
  Look look_;
};

}  // namespace

Holder holder_of(common::OpenStore& store, const IdempotencyKey& key, const Record& record,
                 paidonce::Timestamp now) {
  if (record.state != State::in_progress) return Holder::none;
  if (store.holder_gone(key, record)) return Holder::gone;
  return now >= record.lease_until ? Holder::not_heard : Holder::alive;
}

std::string ListPosition::text() const {
  return std::to_string(updated_at.time_since_epoch().count()) + '.' +
         hex_of_key(IdempotencyKey::from_bytes(key));
}

std::optional<ListPosition> ListPosition::from_text(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot == std::string_view::npos) return std::nullopt;
  std::int64_t millis = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + dot, millis);
  const auto key = key_of_hex(text.substr(dot + 1));
  if (problem != std::errc() || end != text.data() + dot || !key) return std::nullopt;
  return ListPosition{paidonce::Timestamp(paidonce::Duration(millis)), std::string(key->bytes())};
}

StuckList list_stuck(common::OpenStore& store, paidonce::Timestamp now,
                     const std::optional<ListPosition>& after, std::size_t most, paidonce::Duration time) {
  StuckList list;
  common::Smallest<StuckPayment, decltype(&older)> oldest(most, &older);
  Watched watched(store, [&](const IdempotencyKey& key, const Record& record) {
    const Holder holder = holder_of(store, key, record, now);
    if (holder == Holder::alive) return;
    ++list.stuck;
    if (after && std::tuple(record.updated_at, key.bytes()) <=
                     std::tuple(after->updated_at, std::string_view(after->key)))
      return;
    oldest.add({key, record, holder});
  });

  paidonce::Stop stop;
  const paidonce::SteadyTimer timer;
  const paidonce::Duration start = timer.elapsed();
  paidonce::SurveyOptions bounded;
  bounded.page = 500;
  bounded.stop = &stop;
  bounded.progress = [&](std::size_t) {
    if (timer.elapsed() - start >= time) stop.request();
  };
  list.survey = paidonce::survey_unfinished(watched, now, bounded);
  list.shown = oldest.take();
  if (oldest.more() && !list.shown.empty())
    list.next = ListPosition{list.shown.back().record.updated_at, std::string(list.shown.back().key.bytes())};
  return list;
}

}  // namespace payment_server
