// What an audit log costs a payment, and how much it takes: the figures of docs/audit.md.
//
//   audit_benchmark [DIRECTORY]      on the disk in question, no tmpfs

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <paidonce/audit/audit_log.hpp>
#include <paidonce/audit/verify.hpp>

using namespace paidonce;

namespace {

using Seconds = std::chrono::duration<double>;
double now() { return Seconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }
double processor_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct Payment {
  explicit Payment(std::size_t number) : key("shop", "order-" + std::to_string(100'000'000 + number)) {
    record.attempts = 1;
    record.version = number;
    record.attempt_id = number * 7919;
    record.amount = "12.34 EUR";
  }
  IdempotencyKey key;
  Record record;
};

void tell(AuditLog& log, Payment& payment) {
  payment.record.state = State::in_progress;
  log.on(events::Began{payment.key, payment.record});
  payment.record.state = State::succeeded;
  log.on(events::Completed{payment.key, payment.record});
}

std::vector<Payment> payments(std::size_t count) {
  std::vector<Payment> all;
  all.reserve(count);
  for (std::size_t number = 0; number < count; ++number) all.emplace_back(number);
  return all;
}

}  // namespace

int main(int argc, char** argv) {
  const std::filesystem::path root = argc > 1 ? argv[1] : ".";
  const std::filesystem::path directory = root / "audit_benchmark.log";
  const auto fresh = [&] { std::filesystem::remove_all(directory); };
  std::vector<Payment> all = payments(200'000);

  for (const bool sealed : {false, true}) {
    fresh();
    AuditLogOptions options;
    options.queue_bytes = std::size_t{256} << 20U;  // all of it fits: the payments' side alone
    if (sealed) options.secret = std::string(32, 's');
    std::vector<double> costs;
    double written = 0;
    std::uint64_t entries = 0;
    {
      AuditLog log(directory, options);
      for (int round = 0; round < 5; ++round) {
        const double begin = processor_time(), wall = now();
        for (Payment& payment : all) tell(log, payment);
        costs.push_back((processor_time() - begin) / static_cast<double>(all.size()));
        log.flush();
        written += now() - wall;
        entries += 2 * all.size();
      }
    }
    std::sort(costs.begin(), costs.end());
    std::uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::directory_iterator(directory)) bytes += file.file_size();
    AuditVerification against;
    if (sealed) against.secret = std::string(32, 's');
    const double begin = now();
    const AuditReport report = verify_audit_log(directory, against);
    const double read = now() - begin;
    std::printf(
        "%s: %.0f ns of processor time a payment (two entries); %.0f entries a second written, %.0f "
        "verified; "
        "%.0f bytes an entry on the disk%s\n",
        sealed ? "sealed" : "plain", costs[costs.size() / 2] * 1e9, static_cast<double>(entries) / written,
        static_cast<double>(report.entries) / read,
        static_cast<double>(bytes) / static_cast<double>(report.entries), report.whole() ? "" : " DAMAGED");
  }

  for (const unsigned threads : {1U, 8U, 32U}) {
    fresh();
    AuditLogOptions options;
    options.audit_durability = AuditDurability::before_returning;
    AuditLog log(directory, options);
    const std::size_t each = 8000 / threads;
    const double begin = now();
    std::vector<std::thread> payers;
    for (unsigned thread = 0; thread < threads; ++thread)
      payers.emplace_back([&, thread] {
        for (std::size_t number = 0; number < each; ++number) tell(log, all[thread * each + number]);
      });
    for (std::thread& payer : payers) payer.join();
    const double spent = now() - begin;
    std::printf("before_returning, %u threads: %.0f payments a second, %.0f us more for each\n", threads,
                static_cast<double>(each * threads) / spent, spent / static_cast<double>(each) * 1e6);
  }
  fresh();
}
