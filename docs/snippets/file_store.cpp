// The snippets about the store in a directory.

#include <paidonce/paidonce.hpp>
#include <paidonce/stores/file.hpp>

#include <filesystem>
#include <future>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "elsewhere.hpp"
#include "support/catch.hpp"

using namespace paidonce;

namespace file_store {

PaymentResult<std::string> look_up(const IdempotencyKey&) { return succeeded("receipt 17"); }

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
  std::vector<IdempotencyKey> left;
  const ScanFilter unfinished{.states = {State::in_progress, State::in_doubt}, .limit = 100'000};
  payments.store().scan(unfinished, [&](const IdempotencyKey& key, const Record& record) {
    if (record.state == State::in_doubt || payments.store().holder_gone(key, record)) left.push_back(key);
    return true;  // go on
  });
  for (const IdempotencyKey& key : left)
    (void)payments.reconcile<std::string>(key, [&](const Record&) { return look_up(key); });
  return left.size();
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
  FileStore store{"payments.store"};
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
  IdempotencyGuard<FileStore> payments{std::move(store)};
  CHECK(file_store::settle_what_was_left(payments) == 1);
  CHECK(payments.find(key)->state == State::succeeded);
}
