#pragma once
// Surveys of a file store: how long one takes, alone and beside payments, and what the payments notice of it.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/recovery/survey.hpp>
#include <paidonce/stores/file.hpp>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/payment.hpp"
#include "benchmarks/file/report.hpp"
#include "benchmarks/file/store_figures.hpp"
#include "benchmarks/file/store_peers.hpp"

namespace file_benchmark {

inline paidonce::Timestamp an_hour_later() { return begun().created_at + std::chrono::hours(1); }

/// Finished payments with an amount, and ten that are not.
inline void fill_with_amounts(paidonce::FileStore& store, std::uint64_t count) {
  paidonce::Record first = begun(), second = completed();
  first.amount = second.amount = "4.50 EUR";
  std::uint64_t id = 0;
  PaymentsInFlight payments(store, 512);
  payments.run(
      [&]() -> std::optional<PaymentsInFlight::Step> {
        if (id == count) return std::nullopt;
        return PaymentsInFlight::Step{key_of(id++), &first, &second};
      },
      [](Clock::time_point) {});
  for (std::uint64_t stuck = 0; stuck < 10; ++stuck)
    if (store.insert(key_of((std::uint64_t{1} << 60) + stuck), first)) throw std::runtime_error("was there");
}

/// Payments through the guard, with somebody who surveys the store over and over beside them, or not.
class SurveyedPeer final : public Peer {
 public:
  SurveyedPeer(paidonce::FileStore& store, std::uint64_t first_id, bool surveys)
      : store_(store), guard_(store), first_id_(first_id), surveys_(surveys) {}
  ~SurveyedPeer() override { end(); }

  void enter(Lane& lane) override {
    if (!surveys_ || lane.number() != 0) return;
    surveyor_ = std::thread([this] {
      while (!over_) {
        const auto begin = Clock::now();
        const paidonce::Survey survey = paidonce::survey(store_, an_hour_later());
        if (survey.finished) seconds_.push_back(std::chrono::duration<double>(Clock::now() - begin).count());
      }
    });
  }
  void pay(Lane& lane) override {
    const paidonce::Fingerprint request = paidonce::fingerprint("order", 1);
    lane.pay_one_by_one(
        [&](std::uint64_t id) { file_benchmark::pay(guard_, request, key_of(first_id_ + id)); });
  }
  /// How long each survey took.
  std::vector<double> end() {
    over_ = true;
    if (surveyor_.joinable()) surveyor_.join();
    return seconds_;
  }

 private:
  paidonce::FileStore& store_;
  paidonce::IdempotencyGuard<paidonce::FileStore&> guard_;
  const std::uint64_t first_id_;
  const bool surveys_;
  std::thread surveyor_;
  std::atomic<bool> over_{false};
  std::vector<double> seconds_;
};

inline void measure_survey(const std::filesystem::path& directory, std::size_t rounds, double seconds,
                           std::vector<Goal>& goals) {
  constexpr std::uint64_t few = 10'000, many = 1'000'000;
  const auto filled = [&](const char* name, std::uint64_t count) {
    paidonce::FileStoreOptions options;
    options.compact_at_percent = 99;
    paidonce::FileStore store(directory / name, options);
    fill_with_amounts(store, count);
    return store;
  };
  paidonce::FileStore small = filled("small", few), large = filled("large", many);

  std::vector<double> whole, of_few, of_many;
  for (std::size_t round = 0; round < std::max<std::size_t>(rounds, 5); ++round) {
    whole.push_back(seconds_of([&] {
      const auto survey = paidonce::survey(large, an_hour_later());
      if (survey.records() != many + 10) throw std::runtime_error("the survey is wrong");
    }));
    for (paidonce::FileStore* const store : {&small, &large})
      (store == &small ? of_few : of_many).push_back(seconds_of([&] {
        const auto survey = paidonce::survey_unfinished(*store, an_hour_later());
        if (survey.abandoned != 10) throw std::runtime_error("the survey of the unfinished is wrong");
      }));
  }
  std::printf(
      "\nsurvey of 1,000,000 records: %.2f s; of 10 unfinished among 10,000: %.1f us, 1,000,000: %.1f us\n",
      median(whole), median(of_few) * 1e6, median(of_many) * 1e6);
  goals.push_back({"survey of 1,000,000 records, seconds", median(whole), 1, Goal::Better::lower});
  goals.push_back({"10 unfinished among 1,000,000 / among 10,000", median(of_many) / median(of_few), 2,
                   Goal::Better::lower});

  std::uint64_t run = 1;
  for (const std::size_t threads : {std::size_t{1}, std::size_t{8}, std::size_t{32}}) {
    std::vector<double> ratios, with, without, speeds, took;
    for (std::size_t round = 0; round < rounds; ++round) {
      Run runs[2];
      for (const bool surveys : {false, true}) {
        SurveyedPeer peer(large, run++ << 48, surveys);
        runs[surveys] = measure(peer, {threads, 0}, std::chrono::duration<double>(seconds));
        for (const double one : peer.end()) took.push_back(one);
      }
      without.push_back(runs[0].p99);
      with.push_back(runs[1].p99);
      ratios.push_back(runs[1].p99 / runs[0].p99);
      speeds.push_back(runs[1].payments_per_second / runs[0].payments_per_second);
    }
    std::printf(
        "%zu threads: p99 of payments %.0f us, beside surveys %.0f us; payments a second: %.2f of; a survey "
        "%.2f s, %zu of them\n",
        threads, median(without), median(with), median(speeds), median(took), took.size());
    goals.push_back({"p99 beside surveys / without, " + std::to_string(threads) + " threads", median(ratios),
                     3, Goal::Better::lower});
  }
  std::printf("records in the end: %zu\n", static_cast<std::size_t>(large.stats().records));
}

}  // namespace file_benchmark
