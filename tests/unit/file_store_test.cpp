#include <paidonce/stores/file.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/scratch_directory.hpp"

using namespace paidonce;
namespace fs = std::filesystem;

namespace {

IdempotencyKey key_of(int number) { return {"file", "order-" + std::to_string(number)}; }

Record begun(Version version, std::uint64_t attempt = 1) {
  Record record;
  record.fingerprint = fingerprint("4.50", "EUR");
  record.version = version;
  record.attempt_id = attempt;
  record.attempts = 1;
  record.created_at = Timestamp(Duration(1'700'000'000'000));
  record.updated_at = record.created_at;
  record.lease_until = record.created_at + std::chrono::seconds(30);
  return record;
}

Record ended(Version version, std::string response = "paid") {
  Record record = begun(version);
  record.state = State::succeeded;
  record.response = std::move(response);
  record.response_format = "text";
  record.expires_at = record.created_at + std::chrono::hours(24);
  return record;
}

const Timestamp after_retention = begun(1).created_at + std::chrono::hours(25);

errc code_of(const std::function<void()>& call, std::string* text = nullptr) {
  try {
    call();
  } catch (const Error& error) {
    if (text) *text = error.what();
    return static_cast<errc>(error.code().value());
  }
  FAIL("nothing was thrown");
  return {};
}

FileStoreOptions by_hand() { return {.housekeeping = Housekeeping::by_hand}; }

/// Small segments, so that a test fills several, and no syncs, which those tests are not about.
FileStoreOptions small_segments() {
  FileStoreOptions options = by_hand();
  options.durability = Durability::process_crash;
  options.max_record_bytes = 4096;
  options.segment_bytes = std::size_t{64} << 10;
  return options;
}

std::size_t log_files(const fs::path& directory) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(directory))
    if (file_format::number_of_segment(entry.path().filename().string())) ++count;
  return count;
}

class Event {
 public:
  void set() {
    const std::lock_guard hold(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  void await() {
    std::unique_lock hold(mutex_);
    changed_.wait(hold, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace

TEST_CASE("a file store keeps files and directory to their owner", "[store][file]") {
  const ScratchDirectory scratch;
  const fs::path directory = scratch / "store";
  FileStore store(directory);
  CHECK(fs::status(directory).permissions() == fs::perms::owner_all);
  for (const auto& entry : fs::directory_iterator(directory))
    CHECK(entry.status().permissions() == (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("a directory that holds something else is not made a store", "[store][file]") {
  const ScratchDirectory scratch;
  std::ofstream(scratch / "letter.txt") << "dear sir";
  std::string text;
  CHECK(code_of([&] { FileStore{scratch.path()}; }, &text) == errc::invalid_options);
  CHECK_THAT(text, Catch::Matchers::Contains("empty or a new directory"));
  CHECK(log_files(scratch.path()) == 0);
  fs::remove(scratch / "letter.txt");
  fs::create_directory(scratch / "lost+found");
  CHECK_NOTHROW(FileStore(scratch.path()));
}

TEST_CASE("a directory in a directory that is not there is an error that says so", "[store][file]") {
  const ScratchDirectory scratch;
  std::string text;
  CHECK(code_of([&] { FileStore{scratch / "no" / "store"}; }, &text) == errc::invalid_options);
  CHECK_THAT(text, Catch::Matchers::Contains("make that one first"));
  std::ofstream(scratch / "file") << "x";
  CHECK(code_of([&] { FileStore{scratch / "file"}; }) == errc::invalid_options);
  CHECK(code_of([&] { FileStore{""}; }) == errc::invalid_options);
}

TEST_CASE("options that cannot work are named", "[store][file]") {
  const ScratchDirectory scratch;
  const auto text_of = [&](FileStoreOptions options) {
    std::string text;
    CHECK(code_of([&] { FileStore(scratch / "store", std::move(options)); }, &text) == errc::invalid_options);
    return text;
  };
  using Catch::Matchers::Contains;
  CHECK_THAT(text_of({.max_record_bytes = 0}), Contains("max_record_bytes"));
  CHECK_THAT(text_of({.max_record_bytes = std::size_t{17} << 20}), Contains("max_record_bytes"));
  CHECK_THAT(text_of({.segment_bytes = 1000}), Contains("segment_bytes"));
  CHECK_THAT(text_of({.segment_bytes = std::size_t{1} << 20}), Contains("three times"));
  CHECK_THAT(text_of({.reserve_bytes = std::size_t{2} << 20}), Contains("reserve_bytes"));
  CHECK_THAT(text_of({.compact_at_percent = 0}), Contains("compact_at_percent"));
  CHECK_THAT(text_of({.shards = 3}), Contains("shards"));
  CHECK_FALSE(fs::exists(scratch / "store" / file_format::segment_name(1)));
}

TEST_CASE("a second handle is refused, and the first is not disturbed", "[store][file]") {
  const ScratchDirectory scratch;
  std::optional<FileStore> first(scratch / "store");
  CHECK(code_of([&] { FileStore{scratch / "store"}; }) == errc::store_busy);
  CHECK_FALSE(first->insert(key_of(1), begun(1)));
  first.reset();
  FileStore second(scratch / "store");
  CHECK(second.find(key_of(1)) == begun(1));
}

TEST_CASE("a store is opened through a link to its directory", "[store][file]") {
  const ScratchDirectory scratch;
  fs::create_directory(scratch / "real");
  fs::create_directory_symlink("real", scratch / "link");
  FileStore store(scratch / "link");
  CHECK_FALSE(store.insert(key_of(1), begun(1)));
  CHECK(log_files(scratch / "real") > 0);
}

TEST_CASE("a record that is too long is refused before anything is written", "[store][file]") {
  const ScratchDirectory scratch;
  FileStore store(scratch / "store", {.max_record_bytes = 1000});
  CHECK_FALSE(store.insert(key_of(1), begun(1)));
  CHECK(code_of([&] { store.replace(key_of(1), 1, ended(2, std::string(1001, 'x'))); }) == errc::store_full);
  CHECK(store.find(key_of(1)) == begun(1));
  CHECK(store.replace(key_of(1), 1, ended(2, std::string(1000, 'x'))));
  Record chatty = begun(1);
  chatty.note = std::string(std::size_t{17} << 10, 'n');
  CHECK(code_of([&] { store.insert(key_of(2), chatty); }) == errc::store_full);
  CHECK_FALSE(store.find(key_of(2)));
}

TEST_CASE("the longest record is written, whatever is left of the segment", "[store][file]") {
  const ScratchDirectory scratch;
  FileStoreOptions options = small_segments();
  Record longest = ended(2, std::string(options.max_record_bytes, 'r'));
  longest.note = std::string(std::size_t{16} << 10, 'n').substr(longest.response_format.size());
  {
    FileStore store(scratch / "store", options);
    for (int i = 0; i < 20; ++i) CHECK_FALSE(store.insert(key_of(i), longest));
    CHECK(store.stats().segments > 4);
  }
  FileStore store(scratch / "store", options);
  for (int i = 0; i < 20; ++i) CHECK(store.find(key_of(i)) == longest);
}

TEST_CASE("calls that do not wait tell their handlers what the others return", "[store][file][async]") {
  const ScratchDirectory scratch;
  FileStore store(scratch / "store");
  const IdempotencyKey key = key_of(1);
  const Record first = begun(1), second = ended(2), third = ended(3, "other");
  Event done;
  std::vector<std::string> said;
  store.async_insert(key, first, [&](std::exception_ptr failure, std::optional<Record> there) {
    said.emplace_back(!failure && !there ? "stored" : "?");
    store.async_insert(key, second, [&](std::exception_ptr failed, std::optional<Record> found) {
      said.emplace_back(!failed && found == first ? "there" : "?");
      store.async_replace(key, 1, second, [&](std::exception_ptr broken, bool replaced) {
        said.emplace_back(!broken && replaced ? "replaced" : "?");
        store.async_replace(key, 1, third, [&](std::exception_ptr wrong, bool again) {
          said.emplace_back(!wrong && !again ? "moved on" : "?");
          store.async_find(key, [&](std::exception_ptr bad, std::optional<Record> last) {
            said.emplace_back(!bad && last == second ? "found" : "?");
            store.async_find(key_of(2), [&](std::exception_ptr, std::optional<Record> nothing) {
              said.emplace_back(!nothing ? "absent" : "?");
              done.set();
            });
          });
        });
      });
    });
  });
  done.await();
  CHECK(said == std::vector<std::string>{"stored", "there", "replaced", "moved on", "found", "absent"});
}

TEST_CASE("of many calls in flight for one key one is stored, and the others get it",
          "[store][file][async]") {
  const ScratchDirectory scratch;
  FileStore store(scratch / "store");
  const IdempotencyKey key = key_of(1);
  constexpr int calls = 100;
  std::vector<Record> records;
  for (int i = 0; i < calls; ++i) records.push_back(begun(1, static_cast<std::uint64_t>(i) + 1));
  // One of them may be told what is there before the one that stored it is told that it did.
  std::vector<std::optional<Record>> there(calls);
  std::atomic<int> failed{0}, told{0};
  Event done;
  for (std::size_t i = 0; i < calls; ++i)
    store.async_insert(key, records[i], [&, i](std::exception_ptr failure, std::optional<Record> found) {
      if (failure) ++failed;
      there[i] = std::move(found);
      if (++told == calls) done.set();
    });
  done.await();
  CHECK(failed == 0);
  CHECK(std::count(there.begin(), there.end(), std::nullopt) == 1);
  const auto winner =
      static_cast<std::size_t>(std::find(there.begin(), there.end(), std::nullopt) - there.begin());
  CHECK(std::count(there.begin(), there.end(), records[winner]) == calls - 1);
}

TEST_CASE("one replacement of a version succeeds, however many are in flight", "[store][file][async]") {
  const ScratchDirectory scratch;
  FileStore store(scratch / "store");
  const IdempotencyKey key = key_of(1);
  CHECK_FALSE(store.insert(key, begun(1)));
  constexpr int calls = 100;
  std::vector<Record> records;
  for (int i = 0; i < calls; ++i) records.push_back(ended(2, std::to_string(i)));
  std::atomic<int> replaced{0}, told{0};
  Event done;
  for (const Record& record : records)
    store.async_replace(key, 1, record, [&](std::exception_ptr failure, bool yes) {
      if (!failure && yes) ++replaced;
      if (++told == calls) done.set();
    });
  done.await();
  CHECK(replaced == 1);
}

TEST_CASE("callbacks that are under way when the store closes are called", "[store][file][async]") {
  const ScratchDirectory scratch;
  std::atomic<int> called{0};
  std::vector<IdempotencyKey> keys;
  for (int i = 0; i < 50; ++i) keys.push_back(key_of(i));
  const Record record = begun(1);
  {
    FileStore store(scratch / "store");
    for (const IdempotencyKey& key : keys)
      store.async_insert(key, record, [&](std::exception_ptr failure, const std::optional<Record>& there) {
        if (!failure && !there) ++called;
      });
  }
  CHECK(called == 50);
  FileStore store(scratch / "store");
  for (const IdempotencyKey& key : keys) CHECK(store.find(key) == record);
}

TEST_CASE("a compaction by hand gives the disk back what is no longer current", "[store][file][compaction]") {
  const ScratchDirectory scratch;
  constexpr int records = 200;
  const auto content = [](int i) {
    return ended(static_cast<Version>(50), std::string(300, static_cast<char>('a' + i % 26)));
  };
  FileStoreStats before, after;
  {
    FileStore store(scratch / "store", small_segments());
    for (int i = 0; i < records; ++i) {
      CHECK_FALSE(store.insert(key_of(i), begun(1)));
      for (Version v = 1; v < 5; ++v) CHECK(store.replace(key_of(i), v, ended(v + 1, std::string(300, 'x'))));
      CHECK(store.replace(key_of(i), 5, content(i)));
    }
    CHECK(store.erase_expired(after_retention, 50) == 50);
    before = store.stats();
    CHECK(before.records == records - 50);
    CHECK(store.compact() == before.segments - 1);
    after = store.stats();
    CHECK(after.live_bytes == before.live_bytes);
    CHECK(after.log_bytes < before.log_bytes / 3);
    CHECK(after.compacted == before.segments - 1);
    CHECK(log_files(scratch / "store") <= after.segments + 1);
  }
  FileStore store(scratch / "store", small_segments());
  int there = 0;
  for (int i = 0; i < records; ++i)
    if (const auto found = store.find(key_of(i))) {
      CHECK(*found == content(i));
      ++there;
    }
  CHECK(there == records - 50);
  CHECK(store.stats().records == static_cast<std::uint64_t>(there));
  CHECK(store.stats().live_bytes == after.live_bytes);
}

TEST_CASE("what was erased stays away when the frame that erased it is compacted",
          "[store][file][compaction]") {
  const ScratchDirectory scratch;
  {
    FileStore store(scratch / "store", small_segments());
    CHECK_FALSE(store.insert(key_of(1), ended(1)));
    CHECK(store.erase_expired(after_retention, 10) == 1);
    for (int i = 10; i < 300; ++i) CHECK_FALSE(store.insert(key_of(i), ended(1, std::string(500, 'x'))));
  }
  for (int round = 0; round < 3; ++round) {
    FileStore store(scratch / "store", small_segments());
    CHECK_FALSE(store.find(key_of(1)));
    CHECK(store.stats().records == 290);
    store.compact();
    CHECK_FALSE(store.find(key_of(1)));
  }
}

TEST_CASE("a scan of the unfinished is the full scan filtered, also after compactions and openings",
          "[store][file]") {
  const ScratchDirectory scratch;
  using Listing = std::vector<std::pair<std::string, Version>>;
  const std::vector<State> unfinished{State::in_progress, State::in_doubt};
  const auto listed = [&](FileStore& store, ScanFilter filter) {
    Listing listing;
    for (std::size_t seen = filter.limit; seen == filter.limit;) {
      seen = 0;
      store.scan(filter, [&](const IdempotencyKey& key, const Record& record) {
        ++seen;
        filter.after = key.bytes();
        if (detail::is_unfinished(record.state))
          listing.emplace_back(std::string(key.bytes()), record.version);
        return true;
      });
    }
    return listing;
  };
  std::optional<FileStore> store(std::in_place, scratch / "store", small_segments());
  std::vector<std::optional<Record>> plain(300);
  std::uint64_t random = 1;
  for (Version step = 1; step <= 3'000; ++step) {
    random = random * 6364136223846793005U + 1442695040888963407U;
    const std::size_t number = (random >> 33) % plain.size();
    const IdempotencyKey key = key_of(static_cast<int>(number));
    Record record = (random >> 40) % 2 == 0 ? begun(step, step) : ended(step);
    if ((random >> 41) % 4 == 0) record.state = State::in_doubt;
    if ((random >> 41) % 4 == 1) record.state = State::released;
    std::optional<Record>& there = plain[number];
    if (there)
      REQUIRE(store->replace(key, there->version, record));
    else
      REQUIRE_FALSE(store->insert(key, record));
    there = record;
    if (step % 300 == 0) {
      REQUIRE(store->erase_expired(after_retention, 20) == 20);
      for (std::size_t i = 0; i < plain.size(); ++i)
        if (!store->find(key_of(static_cast<int>(i)))) plain[i].reset();
    }
    if (step % 500 == 0) store->compact();
    if (step % 700 == 0) {
      store.reset();
      store.emplace(scratch / "store", small_segments());
    }
    if (step % 100 != 0) continue;
    std::size_t expected = 0;
    for (const auto& one : plain)
      if (one && detail::is_unfinished(one->state)) ++expected;
    const Listing all = listed(*store, {.limit = SIZE_MAX});
    REQUIRE(all.size() == expected);
    REQUIRE(store->stats().unfinished == expected);
    for (const std::size_t limit : {std::size_t{7}, SIZE_MAX})
      REQUIRE(listed(*store, {.states = unfinished, .limit = limit}) == all);
  }
}

TEST_CASE("the background compacts by itself when little of the log is current",
          "[store][file][compaction]") {
  const ScratchDirectory scratch;
  std::atomic<std::uint64_t> compacting{0};
  FileStoreOptions options = small_segments();
  options.housekeeping = Housekeeping::background;
  options.progress = [&](const FileStoreProgress& progress) {
    if (progress.phase == FileStoreProgress::Phase::compacting && progress.bytes_in_all > 0) ++compacting;
  };
  FileStore store(scratch / "store", options);
  CHECK_FALSE(store.insert(key_of(1), begun(1)));
  Version version = 1;
  while (store.stats().compacted < 3) {  // ends with the test's time limit where nothing is compacted
    REQUIRE(store.replace(key_of(1), version, begun(version + 1)));
    ++version;
  }
  CHECK(store.find(key_of(1)) == begun(version));
  CHECK(compacting > 0);
  CHECK(store.stats().compaction_failures == 0);
}

TEST_CASE("opening tells how far it has come, and can be ended", "[store][file]") {
  const ScratchDirectory scratch;
  {
    FileStore store(scratch / "store", small_segments());
    for (int i = 0; i < 1000; ++i) CHECK_FALSE(store.insert(key_of(i), ended(1, std::string(500, 'x'))));
  }
  std::uint64_t last = 0, all = 0;
  FileStoreOptions options = by_hand();
  options.progress = [&](const FileStoreProgress& progress) {
    CHECK(progress.phase == FileStoreProgress::Phase::opening);
    CHECK(progress.bytes_done >= last);
    last = progress.bytes_done;
    all = progress.bytes_in_all;
  };
  { FileStore store(scratch / "store", options); }
  CHECK(last > 500'000);
  CHECK(all >= last);
  options.progress = [](const FileStoreProgress&) { throw std::runtime_error("not now"); };
  CHECK_THROWS_AS(FileStore(scratch / "store", options), std::runtime_error);
  CHECK(FileStore(scratch / "store", by_hand()).stats().records == 1000);
}

TEST_CASE("a store that survives a crash of the process only makes no syncs", "[store][file]") {
  const ScratchDirectory scratch;
  FileStoreOptions options = by_hand();
  options.durability = Durability::process_crash;
  {
    FileStore store(scratch / "store", options);
    for (int i = 0; i < 100; ++i) CHECK_FALSE(store.insert(key_of(i), begun(1)));
  }
  FileStore store(scratch / "store");  // the other kind reads it as well
  CHECK(store.stats().records == 100);
}

TEST_CASE("an attempt of a process that died has no holder any more", "[store][file]") {
  const ScratchDirectory scratch;
  // A copy of this program's image without its threads: only what is safe behind a fork is done there.
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    FileStore store(scratch / "store", by_hand());
    store.insert(key_of(1), begun(1, 11));
    store.insert(key_of(2), ended(1));
    _exit(0);  // as a crash: nothing is closed
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  {
    FileStore store(scratch / "store", by_hand());
    const Record orphan = store.find(key_of(1)).value();
    CHECK(store.holder_gone(key_of(1), orphan));
    Record other = orphan;
    other.attempt_id = 12;
    CHECK_FALSE(store.holder_gone(key_of(1), other));
    CHECK_FALSE(store.holder_gone(key_of(2), store.find(key_of(2)).value()));
    CHECK_FALSE(store.insert(key_of(3), begun(1, 13)));
    CHECK_FALSE(store.holder_gone(key_of(3), begun(1, 13)));
  }
  FileStore store(scratch / "store", by_hand());  // reopened by the same process: no proof of anything
  CHECK_FALSE(store.holder_gone(key_of(3), begun(1, 13)));
}

TEST_CASE("a store that is closed is free, whatever children were forked while it was open",
          "[store][file]") {
  const ScratchDirectory scratch;
  int until[2];
  REQUIRE(pipe(until) == 0);
  std::optional<FileStore> store(std::in_place, scratch / "store", by_hand());
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    close(until[1]);
    char byte;
    _exit(read(until[0], &byte, 1) == 0 ? 0 : 1);  // when the parent closes its end
  }
  close(until[0]);
  store.reset();
  CHECK_NOTHROW(store.emplace(scratch / "store", by_hand()));
  close(until[1]);
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("texts that a caller passes along are refused as such when they are too long", "[store][file]") {
  const ScratchDirectory scratch;
  FileStore store(scratch / "store", by_hand());
  Record wordy = begun(1);
  wordy.description = std::string(std::size_t{17} << 10, 'd');
  std::string text;
  CHECK(code_of([&] { store.insert(key_of(1), wordy); }, &text) == errc::invalid_options);
  CHECK_THAT(text, Catch::Matchers::Contains("shorten"));
  CHECK_FALSE(store.find(key_of(1)));
}

TEST_CASE("programs that run briefly do not leave segments without end", "[store][file][compaction]") {
  const ScratchDirectory scratch;
  FileStoreOptions options;
  options.durability = Durability::process_crash;
  for (int run = 0; run < 90; ++run) {
    FileStore store(scratch / "store", options);
    CHECK_FALSE(store.insert(key_of(run), begun(1)));
  }
  FileStore store(scratch / "store", options);
  CHECK(store.stats().records == 90);
  CHECK(store.stats().segments <= 66);
  CHECK(store.stats().compaction_failures == 0);
}

TEST_CASE("the errors of opening name the directory", "[store][file]") {
  const ScratchDirectory scratch;
  std::ofstream(scratch / "letter.txt") << "dear sir";
  std::string text;
  CHECK(code_of([&] { FileStore{scratch.path()}; }, &text) == errc::invalid_options);
  CHECK_THAT(text, Catch::Matchers::StartsWith(scratch.path().string() + ": "));
  CHECK_THAT(text, Catch::Matchers::EndsWith("old one: invalid options"));
  CHECK(code_of([&] { FileStore{fs::path(std::string("/tmp\0/x", 7))}; }) == errc::invalid_options);
}

TEST_CASE("a moved store goes on, also while it is used by callbacks", "[store][file]") {
  const ScratchDirectory scratch;
  FileStore first(scratch / "store");
  CHECK_FALSE(first.insert(key_of(1), begun(1)));
  FileStore second(std::move(first));
  CHECK(second.find(key_of(1)) == begun(1));
  first = std::move(second);
  CHECK(first.replace(key_of(1), 1, ended(2)));
}

TEST_CASE("the figures of a store add up", "[store][file]") {
  const ScratchDirectory scratch;
  FileStore store(scratch / "store", by_hand());
  CHECK_FALSE(store.insert(key_of(1), begun(1)));
  CHECK_FALSE(store.insert(key_of(2), begun(1)));
  CHECK(store.replace(key_of(1), 1, ended(2)));
  Record doubt = begun(2);
  doubt.state = State::in_doubt;
  CHECK(store.replace(key_of(2), 1, doubt));
  FileStoreStats stats = store.stats();
  CHECK(stats.records == 2);
  CHECK(stats.unfinished == 1);
  CHECK(stats.writes == 4);
  CHECK(stats.groups == 4);
  CHECK(stats.live_bytes < stats.log_bytes);
  CHECK(stats.log_bytes < stats.disk_bytes);
  CHECK(store.erase_expired(after_retention, 10) == 1);
  stats = store.stats();
  CHECK(stats.records == 1);
  CHECK(stats.unfinished == 1);
}
