// Every bit of a log that the store itself wrote.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <paidonce/stores/file.hpp>
#include "support/catch.hpp"
#include "support/log_reading.hpp"
#include "support/scratch_directory.hpp"

using namespace paidonce;
namespace fs = std::filesystem;

namespace {

support::FilesByName bytes_of(const fs::path& directory) {
  support::FilesByName files;
  for (const auto& entry : fs::directory_iterator(directory)) {
    std::ifstream file(entry.path(), std::ios::binary);
    files[entry.path().filename().string()] = {std::istreambuf_iterator<char>(file), {}};
  }
  return files;
}

/// A few payments, an erasure and an opening in between; the last write is that of a whole record. Without
/// what was made ahead.
support::FilesByName real_log() {
  const ScratchDirectory scratch;
  const fs::path directory = scratch.path() / "store";
  FileStoreOptions options;
  options.housekeeping = Housekeeping::by_hand;
  options.durability = Durability::process_crash;
  options.max_record_bytes = 100;
  options.segment_bytes = std::size_t{64} << 10;
  Record record;
  record.fingerprint = fingerprint("4.50");
  record.created_at = record.updated_at = Timestamp(Duration(1'700'000'000'000));
  const auto pay = [&](FileStore& store, const char* name) {
    const IdempotencyKey key("real", name);
    record.version = 1;
    record.state = State::in_progress;
    REQUIRE_FALSE(store.insert(key, record));
    record.version = 2;
    record.state = State::succeeded;
    record.response = "receipt";
    record.expires_at = record.created_at + Duration(1000);
    REQUIRE(store.replace(key, 1, record));
  };
  {
    FileStore store(directory, options);
    pay(store, "a");
    pay(store, "b");
    REQUIRE(store.erase_expired(record.expires_at, 1) == 1);
  }
  FileStore store(directory, options);
  pay(store, "c");
  pay(store, "d");
  support::FilesByName files = bytes_of(directory);
  for (const std::string& ahead : support::read_log(files).log.leftovers) files.erase(ahead);
  return files;
}

bool is_prefix(const std::vector<support::SeenFrame>& part, const std::vector<support::SeenFrame>& whole) {
  return part.size() <= whole.size() && std::equal(part.begin(), part.end(), whole.begin());
}

}  // namespace

TEST_CASE("every bit of a real log flipped gives all, all but the last write, or a refusal",
          "[store][file][recovery][damage]") {
  support::FilesByName files = real_log();
  const support::LogReading whole = support::read_log(files);
  INFO(whole.why);
  REQUIRE(whole.accepted());
  REQUIRE(whole.frames.size() == 10);  // closed among them
  REQUIRE(whole.segments().size() == 2);
  std::size_t refused = 0, shorter = 0, all = 0;
  for (auto& [name, bytes] : files) {
    const std::size_t content = bytes.find_last_not_of('\0') + 1;
    for (std::size_t at = 0; at < content + 20 && at < bytes.size(); ++at)
      for (int bit = 0; bit < 8; ++bit) {
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
        const support::LogReading reading = support::read_log(files);
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
        const bool right =
            reading.corrupt() ||
            (reading.accepted() && is_prefix(reading.frames, whole.frames) && reading.frames.size() >= 9);
        if (!right)
          FAIL(name << ", byte " << at << ", bit " << bit << ": " << reading.frames.size() << " frames, "
                    << reading.why);
        ++(reading.corrupt() ? refused : reading.frames.size() == 10 ? all : shorter);
      }
  }
  CHECK(refused > 8000);
  CHECK(shorter >= 1000);  // in the last write
  CHECK(all >= 20 * 8);    // behind it
}

TEST_CASE("a real log cut at any byte is refused, or whole", "[store][file][recovery][damage]") {
  const support::FilesByName files = real_log();
  const support::LogReading whole = support::read_log(files);
  for (const auto& [name, bytes] : files) {
    support::FilesByName cut = files;
    const std::size_t content = bytes.find_last_not_of('\0') + 1;
    for (std::size_t size = 0; size < bytes.size(); size += size < content + 20 ? 1 : 997) {
      cut[name] = bytes.substr(0, size);
      const support::LogReading reading = support::read_log(cut);
      CAPTURE(name, size);
      REQUIRE((reading.corrupt() || reading.frames == whole.frames));
      if (name == file_format::segment_name(whole.segments().back())) REQUIRE(reading.corrupt());
    }
  }
}
