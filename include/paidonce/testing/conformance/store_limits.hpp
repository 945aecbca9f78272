#pragma once
// The clauses about what a store does when it has no room, or cannot reach its records. They run where the
// fixture can bring that about.

#include <cstddef>
#include <string>
#include <vector>

#include <paidonce/errors.hpp>
#include <paidonce/store.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/samples.hpp>

namespace paidonce::inline v1::detail {

template <class Operation>
void expect_error(const std::string& what, const std::string& secret, Operation operation) {
  try {
    operation();
  } catch (const Error& error) {
    expect(std::string(error.what()).find(secret) == std::string::npos,
           what + ": expected an error that does not tell the key, saw " + in_quotes(error.what()));
    return;
  } catch (const std::exception& thrown) {
    throw ClauseFailed(what + ": expected paidonce::Error, saw another exception, " +
                       in_quotes(thrown.what()));
  }
  throw ClauseFailed(what + ": expected paidonce::Error, saw an answer");
}

/// Fills a small store with unfinished records and returns them.
template <class S>
std::vector<Record> fill_up(S& store, std::size_t room, const Samples& samples) {
  std::vector<Record> stored;
  for (std::size_t i = 0; i < room; ++i) {
    stored.push_back(i % 2 ? samples.in_doubt(i + 1) : samples.woven(i + 1));
    expect_stored("insert while there is room",
                  store.insert(IdempotencyKey("room", std::to_string(i)), stored.back()));
  }
  return stored;
}

template <class Run>
void store_limit_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;

  if constexpr (requires(decltype(fixture.make())& store) { fixture.break_backend(store); }) {
    run.clause("errors.are_not_absence", [&] {
      auto&& store = fixture.make();
      const IdempotencyKey stored("errors", "a-stored-key"), absent("errors", "an-absent-key");
      expect_stored("insert", store.insert(stored, samples.woven(1)));
      fixture.break_backend(store);
      expect_error("find while the backend is gone", "a-stored-key", [&] { (void)store.find(stored); });
      expect_error("find while the backend is gone", "an-absent-key", [&] { (void)store.find(absent); });
      expect_error("insert while the backend is gone", "an-absent-key",
                   [&] { (void)store.insert(absent, samples.woven(1)); });
      expect_error("replace while the backend is gone", "a-stored-key",
                   [&] { (void)store.replace(stored, 1, samples.woven(2)); });
    });
    if constexpr (requires(decltype(fixture.make())& store) { fixture.mend_backend(store); })
      run.clause("errors.leave_what_was_acknowledged", [&] {
        auto&& store = fixture.make();
        const IdempotencyKey key("errors", "key");
        expect_stored("insert", store.insert(key, samples.woven(1)));
        fixture.break_backend(store);
        expect_error("find while the backend is gone", "key of", [&] { (void)store.find(key); });
        fixture.mend_backend(store);
        expect_record("find after the backend came back", store.find(key), samples.woven(1));
        expect_record("insert after the backend came back", store.insert(key, samples.woven(2)),
                      samples.woven(1));
        expect(store.replace(key, 1, samples.woven(2)), "replace: expected true, saw false");
      });
    else
      run.skip("errors.leave_what_was_acknowledged", "the fixture has no mend_backend(store)");
  } else {
    run.skip("errors.", "the fixture has no break_backend(store)");
  }

  if constexpr (requires { fixture.make_with_room_for(std::size_t{1}); }) {
    constexpr std::size_t room = 64;
    const auto overfill = [&](auto& store) {
      std::size_t refused = 0;
      for (std::size_t i = 0; i < 4 * room; ++i) {
        const IdempotencyKey key("more", std::to_string(i));
        try {
          expect_stored("insert of a new key", store.insert(key, samples.ended(State::succeeded, 1)));
        } catch (const Error& error) {
          expect(error.code() == errc::store_full,
                 "insert into a full store: expected the error store_full, saw " + in_quotes(error.what()));
          expect_nothing("find of a key that a full store refused", store.find(key));
          ++refused;
        }
      }
      return refused;
    };

    run.clause("capacity.full_is_an_error", [&] {
      auto&& store = fixture.make_with_room_for(room);
      fill_up(store, room, samples);
      expect(overfill(store) > 0,
             "inserts of four times as many records as there is room for: expected "
             "store_full, saw all of them stored");
    });

    run.clause("unfinished.never_evicted", [&] {
      auto&& store = fixture.make_with_room_for(room);
      const std::vector<Record> stored = fill_up(store, room, samples);
      overfill(store);
      for (std::size_t i = 0; i < room; ++i)
        expect_record("find of an unfinished record in a full store",
                      store.find(IdempotencyKey("room", std::to_string(i))), stored[i]);
    });

    run.clause("capacity.full_still_completes", [&] {
      auto&& store = fixture.make_with_room_for(room);
      const std::vector<Record> stored = fill_up(store, room, samples);
      overfill(store);
      for (std::size_t i = 0; i < room; ++i) {
        const IdempotencyKey key("room", std::to_string(i));
        const Record completed = samples.ended(State::succeeded, stored[i].version + 1);
        expect_record("insert of a key that is there, into a full store", store.insert(key, completed),
                      stored[i]);
        expect(store.replace(key, stored[i].version, completed),
               "replace in a full store: expected true, saw false");
        expect_record("find after it", store.find(key), completed);
      }
    });

    run.clause("capacity.completed_are_not_evicted", [&] {
      auto&& store = fixture.make_with_room_for(room);
      for (std::size_t i = 0; i < room; ++i)
        expect_stored("insert while there is room", store.insert(IdempotencyKey("done", std::to_string(i)),
                                                                 samples.ended(State::succeeded, i + 1)));
      overfill(store);
      for (std::size_t i = 0; i < room; ++i)
        expect_record("find of a completed record in a full store, its retention not over",
                      store.find(IdempotencyKey("done", std::to_string(i))),
                      samples.ended(State::succeeded, i + 1));
    });
  } else {
    run.skip("capacity., unfinished.", "the fixture has no make_with_room_for(records)");
  }
}

}  // namespace paidonce::inline v1::detail
