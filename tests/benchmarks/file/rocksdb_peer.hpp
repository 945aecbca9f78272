#pragma once
// RocksDB with synced writes, which it groups by itself. Begin and completion are a put each, with no read
// before it, although a store would need one: what is there must not be overwritten.

#include <rocksdb/db.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "benchmarks/file/measure.hpp"
#include "benchmarks/file/payment.hpp"

namespace file_benchmark {

class RocksdbPeer final : public Peer {
 public:
  explicit RocksdbPeer(const Setup& setup) {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.write_buffer_size = std::size_t{64} << 20;
    options.recycle_log_file_num = 4;
    rocksdb::DB* opened = nullptr;
    check(rocksdb::DB::Open(options, (setup.directory / "rocksdb").string(), &opened));
    database_.reset(opened);
    synced_.sync = true;
  }
  void pay(Lane& lane) override {
    lane.pay_one_by_one([&](std::uint64_t id) {
      const KeyText key(id);
      check(database_->Put(synced_, slice(key.view()), slice(begun_bytes())));
      check(database_->Put(synced_, slice(key.view()), slice(completed_bytes())));
    });
  }

 private:
  static rocksdb::Slice slice(std::string_view text) { return {text.data(), text.size()}; }
  static void check(const rocksdb::Status& status) {
    if (!status.ok()) throw std::runtime_error("RocksDB: " + status.ToString());
  }

  std::unique_ptr<rocksdb::DB> database_;
  rocksdb::WriteOptions synced_;
};

}  // namespace file_benchmark
