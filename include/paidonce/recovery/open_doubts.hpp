#pragma once
// What a recoverer remembers of the payments that it could not settle yet: since when it knows them, how
// often it asked, when it will ask again. Pure: no I/O, no clock of its own, no lock. It grows with what is
// in doubt and forgets what is not.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <paidonce/key.hpp>
#include <paidonce/protocol.hpp>
#include <paidonce/record.hpp>
#include <paidonce/retry/backoff.hpp>
#include <paidonce/time.hpp>

namespace paidonce::inline v1::detail {

class OpenDoubts {
 public:
  /// Whether to ask about a payment.
  enum class Due : std::uint8_t { now, later, left_to_person, being_asked };

  /// What is known of a doubt at the moment in which it is asked about.
  struct Sight {
    Duration seen_for;
    std::uint32_t round;
  };

  /// `most_rounds` answers that settle nothing leave a payment to a person.
  OpenDoubts(const Backoff& backoff, std::uint32_t most_rounds)
      : backoff_(checked(backoff)), most_rounds_(most_rounds) {}

  /// A round of looking at all that is unfinished begins.
  void begin_round() noexcept { ++round_; }

  /// An unfinished record was met: in doubt, or abandoned. Remembers it.
  Due meet(const IdempotencyKey& key, const Record& record, Duration now) {
    Known& known = known_of(key, record, now);
    known.met_in = round_;
    if (known.being_asked) return Due::being_asked;
    if (known.left) return Due::left_to_person;
    return now < known.next ? Due::later : Due::now;
  }

  /// A record was met whose attempt runs. It is not settled; and what was known of its key is not forgotten.
  void meet_running(const IdempotencyKey& key) noexcept {
    if (Known* known = find(key)) known->met_in = round_;
  }

  void begin_asking(const IdempotencyKey& key) {
    if (Known* known = find(key)) known->being_asked = true;
  }

  /// The provider is about to be asked about this record, which is in doubt; proof that its holder is dead
  /// was looked for before `now`. When there is some the time begins anew: until it died the holder may have
  /// sent another request.
  Sight sight(const IdempotencyKey& key, const Record& record, protocol::Holder holder, Duration now) {
    Known& known = known_of(key, record, now);
    known.being_asked = true;
    if (std::exchange(known.holder, holder) != holder) known.first_seen = now;
    return {now - known.first_seen, known.rounds + 1};
  }

  /// Nobody asks about it any more: it was settled, or not asked about after all.
  void free(const IdempotencyKey& key) noexcept {
    if (Known* known = find(key)) known->being_asked = false;
  }

  /// It could not be settled now.
  template <class Random>
  void put_off(const IdempotencyKey& key, Duration now, Random& random) {
    Known* known = find(key);
    if (!known) return;
    known->being_asked = false;
    if (known->tries < UINT32_MAX) ++known->tries;
    known->pause = pause_after(backoff_, known->tries, known->pause, random);
    known->next = now + known->pause;
  }

  /// An answer settled nothing. True: it was the last one, the payment is a person's from now on, and nobody
  /// was told so yet.
  bool count_round(const IdempotencyKey& key) noexcept {
    Known* known = find(key);
    if (!known || known->left || ++known->rounds < most_rounds_) return false;
    known->left = true;
    return !std::exchange(known->told, true);
  }

  /// All that is unfinished was met in this round: the rest is forgotten. The keys of those that were left to
  /// a person and are settled now.
  std::vector<std::string> end_round() {
    std::vector<std::string> settled;
    for (auto at = known_.begin(); at != known_.end();) {
      if (at->second.met_in == round_ || at->second.being_asked) {
        ++at;
        continue;
      }
      if (at->second.told) settled.push_back(at->first);
      at = known_.erase(at);
    }
    return settled;
  }

 private:
  struct Known {
    std::uint64_t attempt_id = 0;
    Timestamp created_at = {};
    State state = State::in_progress;
    protocol::Holder holder = protocol::Holder::may_live;
    Duration first_seen{0};  // in doubt, and with this holder
    Duration next{0}, pause{0};
    std::uint32_t rounds = 0;  // that were answered
    std::uint32_t tries = 0;
    std::uint64_t met_in = 0;
    bool being_asked = false;
    bool left = false;  // to a person
    bool told = false;  // somebody was told so, who will want to hear when it is settled
  };

  struct BytesHash {  // finds by what a key lends, without a copy
    using is_transparent = void;
    std::size_t operator()(std::string_view bytes) const noexcept {
      return std::hash<std::string_view>()(bytes);
    }
  };

  /// Another attempt, or another payment under the key, is another doubt. The time for which a doubt has been
  /// seen begins when it is first seen as a doubt: before, its holder may still have been at work.
  Known& known_of(const IdempotencyKey& key, const Record& record, Duration now) {
    Known& known = known_[std::string(key.bytes())];
    const bool same = known.attempt_id == record.attempt_id && known.created_at == record.created_at;
    if (!same) {
      Known fresh;
      fresh.attempt_id = record.attempt_id;
      fresh.created_at = record.created_at;
      fresh.met_in = known.met_in;
      fresh.being_asked = known.being_asked;
      fresh.told = known.told;
      known = fresh;
    }
    if (!same || known.state != record.state) {
      known.state = record.state;
      known.first_seen = now;
    }
    return known;
  }

  Known* find(const IdempotencyKey& key) noexcept {
    const auto at = known_.find(key.bytes());
    return at == known_.end() ? nullptr : &at->second;
  }

  const Backoff backoff_;
  const std::uint32_t most_rounds_;
  std::unordered_map<std::string, Known, BytesHash, std::equal_to<>> known_;
  std::uint64_t round_ = 0;
};

}  // namespace paidonce::inline v1::detail
