// The snippets about the store in a directory.

#include <paidonce/paidonce.hpp>
#include <paidonce/recovery/survey.hpp>
#include <paidonce/stores/file.hpp>

#include <filesystem>
#include <future>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "elsewhere.hpp"
#include "support/catch.hpp"

// [declared]
extern template class paidonce::BasicFileStore<>;
extern template class paidonce::IdempotencyGuard<paidonce::FileStore>;
// [/declared]

using namespace paidonce;

namespace file_store {

PaymentResult<std::string> look_up(const IdempotencyKey& key) {
  if (key.text() == "order-7") return in_doubt("the provider does not answer");
  if (key.text() == "order-8") return not_executed("the provider has never heard of it");
  return succeeded("receipt 17");
}

// [open]
std::optional<FileStore> open_payments(const std::filesystem::path& directory) {
  try {
    return FileStore{directory};
  } catch (const Error& error) {
    std::cerr << error.what() << '\n';  // what happened, and what to do about it
    if (error.code() == errc::store_busy) std::cerr << "is this program started twice?\n";
    return std::nullopt;  // take no payments: without the store each is a first one
  }
}
// [/open]

// [settle]
std::size_t settle_what_was_left(IdempotencyGuard<FileStore>& payments) {
  std::size_t settled = 0;
  ScanFilter unfinished{.states = {State::in_progress, State::in_doubt}, .limit = 1000};  // at a time
  for (std::size_t seen = unfinished.limit; seen == unfinished.limit;) {
    std::vector<IdempotencyKey> left;
    std::string last;
    seen = 0;
    payments.store().scan(unfinished, [&](const IdempotencyKey& key, const Record& record) {
      ++seen;
      last = key.bytes();
      if (record.state == State::in_doubt || payments.store().holder_gone(key, record)) left.push_back(key);
      return true;  // go on
    });
    for (const IdempotencyKey& key : left) {
      const auto found = payments.reconcile<std::string>(key, [&](const Record&) { return look_up(key); });
      const Status status = found.status();
      if (status == Status::completed || status == Status::not_executed) ++settled;  // the rest is in doubt
    }
    unfinished.after = last;  // the next scan goes on behind it
  }
  return settled;
}
// [/settle]

// [stats]
void report(const FileStore& store) {
  const FileStoreStats now = store.stats();
  std::cout << now.records << " records, " << now.unfinished << " of them unfinished; " << now.disk_bytes
            << " bytes on the disk, " << now.live_bytes << " of them current; " << now.writes << " writes in "
            << now.groups << " syncs\n";
}
// [/stats]

// [survey]
void print(const Survey& survey) {
  for (const State state : {State::succeeded, State::declined, State::in_doubt, State::in_progress}) {
    const StateSurvey& held = survey.of(state);
    std::cout << to_string(state) << ": " << held.records << '\n';
    for (const CurrencyTotal& total : held.totals)
      std::cout << "  " << total.records << " payments, " << total.amount << ' ' << total.currency << '\n';
  }
  if (survey.oldest_in_doubt)
    std::cout << "in doubt for " << survey.age(survey.oldest_in_doubt).count() / 60'000 << " minutes\n";
}
// [/survey]

}  // namespace file_store

TEST_CASE("payments outlive the handle of their store", "[docs]") {
  const integration::ElsewhereForNow elsewhere;
  int charges = 0;
  const auto pay = [&] {
    ++charges;
    return std::string("receipt 17");
  };
  const IdempotencyKey key{"coffee-shop", "order-1001"};
  for (int run = 0; run < 2; ++run) {
    // [guard]
    IdempotencyGuard guard{FileStore{"payments.store"}};
    // [/guard]
    const auto paid = guard.execute(key, fingerprint("order-1001", "4.50", "EUR"), pay);
    CHECK(paid.response() == "receipt 17");
    CHECK(paid.replayed() == (run == 1));
  }
  CHECK(charges == 1);
}

TEST_CASE("a file store is opened with options, and says why it cannot be", "[docs]") {
  const integration::ElsewhereForNow elsewhere;
  {
    // [options]
    FileStoreOptions options;
    options.max_record_bytes = 64 * 1024;
    options.progress = [](const FileStoreProgress& at) {
      if (at.phase == FileStoreProgress::Phase::opening)
        std::cerr << at.bytes_done << " of " << at.bytes_in_all << " bytes read\n";
    };
    FileStore store{"payments.store", options};
    // [/options]
    CHECK_FALSE(file_store::open_payments("payments.store"));
    file_store::report(store);
  }
  CHECK(file_store::open_payments("payments.store"));
}

TEST_CASE("what an earlier process left is settled, and calls need not wait", "[docs]") {
  const integration::ElsewhereForNow elsewhere;
  FileStoreOptions options;
  options.durability = Durability::process_crash;  // quick
  FileStore store{"payments.store", options};
  const IdempotencyKey key{"coffee-shop", "order-1001"};
  Record record;
  record.state = State::in_doubt;
  record.version = 1;
  std::promise<bool> stored;
  // [async]
  store.async_insert(key, record, [&](std::exception_ptr failed, std::optional<Record> there) {
    stored.set_value(!failed && !there);  // on disk, and nobody was there before
  });
  // [/async]
  CHECK(stored.get_future().get());
  for (int order = 1; order <= 1000; ++order)  // with the one above: more than a scan lists
    REQUIRE_FALSE(store.insert({"coffee-shop", "order-" + std::to_string(order)}, record));
  const Survey before = survey_unfinished(store, record.updated_at + std::chrono::hours(2));
  CHECK(before.of(State::in_doubt).records == 1001);
  CHECK(before.age(before.oldest_in_doubt) == std::chrono::hours(2));
  file_store::print(before);
  IdempotencyGuard<FileStore> payments{std::move(store)};
  CHECK(file_store::settle_what_was_left(payments) == 1000);
  CHECK(payments.find(key)->state == State::succeeded);
  CHECK(payments.store().stats().unfinished == 1);
  CHECK(payments.find({"coffee-shop", "order-7"})->state == State::in_doubt);
}

// [compiled]
template class paidonce::BasicFileStore<>;
template class paidonce::IdempotencyGuard<paidonce::FileStore>;
// [/compiled]
