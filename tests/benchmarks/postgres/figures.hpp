#pragma once
// What many records, a sweep and long use do to payments.

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "benchmarks/file/report.hpp"
#include "benchmarks/postgres/guarded.hpp"
#include "benchmarks/postgres/server.hpp"

namespace postgres_benchmark {

/// Completed records with a response of 200 bytes, whose keys lie among those of payments to come.
inline void fill(const Schema& schema, std::size_t from, std::size_t to, const std::string& expires_at) {
  schema.server().exec(
      "INSERT INTO " + schema.name() +
      ".payments SELECT '\\x00'::bytea || ('payment-' || substr(md5(i::text), 1, 24))::bytea, 2, 2, i, 1, "
      "1700000000000, 1700000000001, 1700000030000, " +
      expires_at +
      ", repeat('f', 33)::bytea, '', '', '', repeat('r', 200)::bytea, 'text', '' FROM generate_series(" +
      std::to_string(from + 1) + ", " + std::to_string(to) + ") AS i");
}
inline void settle(const Schema& schema) {
  schema.server().exec("VACUUM (ANALYZE) " + schema.name() + ".payments");
  schema.server().exec("CHECKPOINT");
}
inline constexpr const char* never = "4000000000000 + i";  // about the year 2096

/// New payments into tables of different sizes, in turns.
inline void measure_growth(PostgresServer& server, const std::vector<std::size_t>& sizes,
                           const std::vector<std::size_t>& threads, std::size_t rounds, double seconds,
                           std::vector<Goal>& goals) {
  std::vector<std::unique_ptr<Schema>> schemas;
  for (const std::size_t size : sizes) {
    schemas.push_back(std::make_unique<Schema>(server));
    fill(*schemas.back(), 0, size, never);
    settle(*schemas.back());
  }
  std::uint64_t next = 1;  // lanes begin where no round before has been
  std::printf("\n%-24s %8s %9s %9s %9s %12s\n", "records", "threads", "pay/s", "p50", "p99", "WAL, B/pay");
  for (const std::size_t width : threads) {
    std::map<std::size_t, std::vector<double>> rates;
    std::map<std::size_t, std::vector<Run>> runs;
    std::map<std::size_t, std::vector<double>> bytes;
    for (std::size_t round = 0; round < rounds; ++round)
      for (std::size_t turn = 0; turn < sizes.size(); ++turn) {
        const std::size_t i = round % 2 == 0 ? turn : sizes.size() - 1 - turn;
        const Counted before = counted(server);
        Run run;
        {
          GuardPeer payments(*schemas[i], {});
          class Onward final : public Peer {
           public:
            Onward(GuardPeer& peer, std::uint64_t first) : peer_(peer), first_(first << 20) {}
            void pay(Lane& lane) override {
              lane.pay_one_by_one([&](std::uint64_t id) { peer_.pay_one(first_ + id); });
            }

           private:
            GuardPeer& peer_;
            const std::uint64_t first_;
          } onward(payments, next++);
          payments.pay_one(next++ << 20);
          run = measure(onward, {width, 0}, std::chrono::duration<double>(seconds));
        }
        const Counted spent = counted(server) - before;
        runs[i].push_back(run);
        rates[i].push_back(run.payments_per_second);
        bytes[i].push_back(static_cast<double>(spent.wal_bytes) / (run.payments_per_second * seconds));
      }
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      std::vector<double> p50, p99;
      for (const Run& run : runs[i]) p50.push_back(run.p50), p99.push_back(run.p99);
      std::printf("%-24zu %8zu %9.0f %9.0f %9.0f %12.0f\n", sizes[i], width, median(rates[i]), median(p50),
                  median(p99), median(bytes[i]));
      std::vector<double> ratios;
      for (std::size_t round = 0; round < rounds; ++round)
        ratios.push_back(rates[i][round] / rates[0][round]);
      if (i > 0)
        goals.push_back({"payments/s with " + std::to_string(sizes[i]) + " records / with " +
                             std::to_string(sizes[0]) + ", " + std::to_string(width) + " threads",
                         median(ratios), 0.9});
    }
  }
}

/// Payments without and with somebody who sweeps: their p99, until all that has expired is gone.
inline void measure_sweep(PostgresServer& server, std::size_t expired,
                          const std::vector<std::size_t>& threads, std::size_t rounds,
                          std::vector<Goal>& goals) {
  std::printf("\n%-24s %8s %9s %9s %9s %9s %9s\n", "sweeping", "threads", "pay/s", "p50", "p99", "p99.9",
              "sweep, s");
  for (const std::size_t width : threads) {
    std::vector<double> ratios, rate_ratios;
    for (std::size_t round = 0; round < rounds; ++round) {
      const Schema schema(server);
      fill(schema, 0, expired, "1700000000000 + i");
      settle(schema);
      GuardPeer payments(schema, {});
      payments.pay_one(std::uint64_t{1} << 60);
      std::atomic<std::uint64_t> first{1};
      // Pays on `width` threads while `meanwhile` runs.
      const auto pay_beside = [&](const char* name, auto meanwhile) {
        std::atomic<bool> over{false};
        std::vector<std::unique_ptr<Histogram>> taken;
        std::vector<std::thread> paying;
        const auto begin = Clock::now();
        for (std::size_t i = 0; i < width; ++i) {
          taken.push_back(std::make_unique<Histogram>());
          paying.emplace_back([&, &mine = *taken.back()] {
            for (std::uint64_t id = first.fetch_add(1) << 32; !over; ++id) {
              const auto began = Clock::now();
              payments.pay_one(id);
              mine.add(Clock::now() - began);
            }
          });
        }
        meanwhile();
        const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
        over = true;
        for (std::thread& each : paying) each.join();
        Histogram all;
        for (const auto& each : taken) all.add(*each);
        const double rate = static_cast<double>(all.count()) / seconds;
        std::printf("%-24s %8zu %9.0f %9.0f %9.0f %9.0f %9.2f\n", name, width, rate, all.at(0.5),
                    all.at(0.99), all.at(0.999), seconds);
        return std::pair(all.at(0.99), rate);
      };
      const auto without = pay_beside("none", [] { std::this_thread::sleep_for(std::chrono::seconds(3)); });
      std::size_t erased = 0;
      const auto with = pay_beside("beside", [&] {
        erased = payments.store().erase_expired(paidonce::Timestamp(paidonce::Duration(1'710'000'000'000)),
                                                expired);
      });
      if (erased != expired) throw std::runtime_error("the sweep left something");
      ratios.push_back(with.first / without.first);
      rate_ratios.push_back(with.second / without.second);
    }
    goals.push_back({"p99 beside a sweep of " + std::to_string(expired) + " / without, " +
                         std::to_string(width) + " threads",
                     median(ratios), 2, Goal::Better::lower});
    goals.push_back(
        {"payments/s beside it / without, " + std::to_string(width) + " threads", median(rate_ratios), 0.5});
  }
}

/// Begin, complete, expire, erase, over and over: how large table and indexes become, with nothing but the
/// server's own autovacuum.
inline void measure_churn(PostgresServer& server, std::size_t rounds, std::size_t payments_a_round,
                          std::vector<Goal>& goals) {
  const Schema schema(server);
  GuardPeer payments(schema, {});
  const std::string table = "'" + schema.name() + ".payments'::regclass";
  const auto bytes = [&](const std::string& of) {
    return std::stod(
        server.value("SELECT coalesce(sum(pg_relation_size(oid)), 0) FROM pg_class WHERE " + of));
  };
  const std::string indexes = "oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = " + table + ")";
  constexpr double mb = 1 << 20;
  std::printf("\n%8s %12s %12s %12s %12s %12s\n", "round", "table, MB", "indexes, MB", "dead rows", "vacuums",
              "HOT share");
  double full = 0, most = 0;
  std::uint64_t next = 0;
  constexpr std::size_t width = 32;
  for (std::size_t round = 1; round <= rounds; ++round) {
    std::vector<std::thread> paying;
    for (std::size_t i = 0; i < width; ++i)
      paying.emplace_back([&, i] {
        for (std::size_t made = i; made < payments_a_round; made += width) payments.pay_one(next + made);
      });
    for (std::thread& each : paying) each.join();
    next += payments_a_round;
    const double size = bytes("oid = " + table) + bytes(indexes);
    if (round == 1) full = size;
    most = std::max(most, size);
    payments.store().erase_expired(paidonce::Timestamp(paidonce::Duration(4'000'000'000'000)), SIZE_MAX);
    if (round == 1 || round % std::max<std::size_t>(rounds / 10, 1) == 0) {
      const auto row = server
                           .exec(
                               "SELECT n_dead_tup, autovacuum_count, n_tup_hot_upd::float8 / "
                               "greatest(n_tup_upd, 1) FROM pg_stat_user_tables WHERE relid = " +
                               table)
                           .at(0);
      std::printf("%8zu %12.1f %12.1f %12s %12s %12.4f\n", round, bytes("oid = " + table) / mb,
                  bytes(indexes) / mb, row.at(0).c_str(), row.at(1).c_str(), std::stod(row.at(2)));
    }
  }
  goals.push_back({"largest size in " + std::to_string(rounds) + " rounds / after the first", most / full, 4,
                   Goal::Better::lower});
}

}  // namespace postgres_benchmark
