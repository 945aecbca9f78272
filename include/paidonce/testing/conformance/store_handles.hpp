#pragma once
// The clauses about handles: one that is moved, one that is reopened, and two on the same records.

#include <concepts>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>

#include <paidonce/store.hpp>
#include <paidonce/testing/conformance/clause.hpp>
#include <paidonce/testing/conformance/samples.hpp>
#include <paidonce/testing/conformance/store_races.hpp>
#include <paidonce/testing/conformance/store_scan.hpp>
#include <paidonce/testing/conformance/store_sweep.hpp>

namespace paidonce::inline v1::detail {

template <class Run>
void store_reopen_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;
  using S = std::remove_reference_t<decltype(fixture.make())>;
  const auto key = [](std::size_t i) { return IdempotencyKey("reopen", std::to_string(i)); };
  constexpr std::size_t records = 30;
  /// Every third one still in progress, in doubt, completed.
  const auto newest = [&](std::size_t i) {
    return i % 3 == 0   ? samples.woven(100 + i)
           : i % 3 == 1 ? samples.in_doubt(100 + i)
                        : samples.ended(State::succeeded, 100 + i);
  };
  const auto fill = [&](auto& store) {
    for (std::size_t i = 0; i < records; ++i) {
      expect_stored("insert", store.insert(key(i), samples.woven(1)));
      expect(store.replace(key(i), 1, newest(i)), "replace: expected true, saw false");
    }
  };

  run.clause("reopen.keeps_acknowledged", [&] {
    {
      auto&& store = fixture.make();
      fill(store);
      expect_stored("insert",
                    store.insert(IdempotencyKey("reopen", "extreme"), samples.extreme(State::succeeded, 9)));
    }
    auto&& store = fixture.reopen();
    for (std::size_t i = 0; i < records; ++i) {
      expect_record("find after reopening", store.find(key(i)), newest(i));
      expect_record("insert after reopening", store.insert(key(i), samples.woven(1)), newest(i));
      expect(!store.replace(key(i), 1, samples.woven(2)),
             "replace of an old version after reopening: expected false, saw true");
      expect(store.replace(key(i), 100 + i, samples.woven(1000 + i)),
             "replace after reopening: expected true, saw false");
    }
    expect_record("find after reopening", store.find(IdempotencyKey("reopen", "extreme")),
                  samples.extreme(State::succeeded, 9));
    expect_nothing("find of an absent key after reopening", store.find(key(records)));
  });

  run.clause("reopen.keeps_what_came_after_reopening", [&] {
    {
      auto&& store = fixture.make();
      fill(store);
    }
    {
      auto&& store = fixture.reopen();
      for (std::size_t i = 0; i < records; ++i)
        expect(store.replace(key(i), 100 + i, samples.woven(1000 + i)), "replace: expected true, saw false");
    }
    auto&& store = fixture.reopen();
    for (std::size_t i = 0; i < records; ++i)
      expect_record("find after reopening twice", store.find(key(i)), samples.woven(1000 + i));
  });

  if constexpr (SweepableStore<S>)
    run.clause("reopen.keeps_swept_ones_away", [&] {
      {
        auto&& store = fixture.make();
        fill(store);
        expect_count("erase_expired", store.erase_expired(samples.expiry(), all_of_them), records / 3);
      }
      auto&& store = fixture.reopen();
      for (std::size_t i = 0; i < records; ++i)
        if (i % 3 == 2)
          expect_nothing("find of a swept record after reopening", store.find(key(i)));
        else
          expect_record("find after reopening", store.find(key(i)), newest(i));
    });

  if constexpr (HolderAwareStore<S>)
    run.clause("holder.reopening_here_proves_nothing", [&] {
      {
        auto&& store = fixture.make();
        expect_stored("insert", store.insert(key(0), samples.woven(1)));
      }
      auto&& store = fixture.reopen();
      expect(!store.holder_gone(key(0), samples.woven(1)),
             "holder_gone of an attempt that this living process began: expected false, saw true");
    });
}

template <class Run>
void store_second_handle_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;
  using S = std::remove_reference_t<decltype(fixture.make())>;
  const IdempotencyKey key("second", "key");

  run.clause("second_handle.sees_acknowledged", [&] {
    auto&& first = fixture.make();
    auto&& second = fixture.second_handle();
    expect_stored("insert by one handle", first.insert(key, samples.woven(1)));
    expect_record("find by the handle that inserted", first.find(key), samples.woven(1));
    expect_record("find by the other handle", second.find(key), samples.woven(1));
    expect_record("insert by the other handle", second.insert(key, samples.woven(2)), samples.woven(1));
    expect(second.replace(key, 1, samples.woven(2)), "replace by the other handle: expected true, saw false");
    expect_record("find by the first handle", first.find(key), samples.woven(2));
    expect(!first.replace(key, 1, samples.woven(3)),
           "replace of a version that the other handle has replaced: expected false, saw true");
    if constexpr (SweepableStore<S>) {
      expect(first.replace(key, 2, samples.ended(State::succeeded, 3)), "replace: expected true, saw false");
      expect_count("erase_expired by the other handle", second.erase_expired(samples.expiry(), all_of_them),
                   1);
      expect_nothing("find by the first handle of what the other one has swept", first.find(key));
    }
  });

  const auto each_handle_in_turn = [&](auto check) {
    auto&& first = fixture.make();
    auto&& second = fixture.second_handle();
    check(
        run, samples, [&](std::size_t number) -> auto& {
          if constexpr (std::same_as<decltype(first), decltype(second)>)
            return number % 2 ? second : first;
          else
            static_assert(sizeof(first) == 0, "paidonce: make() and second_handle() return different types");
        });
  };
  run.clause("second_handle.insert_one_winner", [&] {
    each_handle_in_turn([](auto& r, auto& s, auto handle) { check_insert_race(r, s, handle); });
  });
  run.clause("second_handle.replace_one_winner", [&] {
    each_handle_in_turn([](auto& r, auto& s, auto handle) { check_replace_race(r, s, handle); });
  });
  run.clause("second_handle.no_lost_update", [&] {
    each_handle_in_turn([](auto& r, auto& s, auto handle) { check_no_lost_update(r, s, handle); });
  });
}

template <class Run>
void store_handle_clauses(Run& run, const Samples& samples) {
  auto& fixture = run.fixture;
  using Made = decltype(fixture.make());
  using S = std::remove_reference_t<Made>;

  if constexpr (!std::is_reference_v<Made> && std::move_constructible<S>)
    run.clause("handle.moves_with_its_records", [&] {
      auto store = fixture.make();
      const IdempotencyKey key("handle", "key");
      expect_stored("insert", store.insert(key, samples.woven(1)));
      S moved(std::move(store));
      expect_record("find after the handle was moved", moved.find(key), samples.woven(1));
      expect(moved.replace(key, 1, samples.woven(2)), "replace after it: expected true, saw false");
    });

  if constexpr (HolderAwareStore<S>)
    run.clause("holder.own_attempts_live", [&] {
      auto&& store = fixture.make();
      const IdempotencyKey key("holder", "key");
      expect_stored("insert", store.insert(key, samples.woven(1)));
      expect(!store.holder_gone(key, samples.woven(1)),
             "holder_gone of an attempt that this living process began: expected false, saw true");
    });
  else
    run.skip("holder.", "the store has no holder_gone(key, record)");

  if constexpr (requires { fixture.reopen(); })
    store_reopen_clauses(run, samples);
  else
    run.skip("reopen.", "the fixture has no reopen(): the store does not claim durability");

  if constexpr (requires { fixture.second_handle(); })
    store_second_handle_clauses(run, samples);
  else
    run.skip("second_handle.", "the fixture has no second_handle()");
}

}  // namespace paidonce::inline v1::detail
