// The snippet about locks between processes.

#include <paidonce/locks/file_lock.hpp>
#include <paidonce/paidonce.hpp>

#include "integration/support/process.hpp"
#include "support/catch.hpp"

using namespace paidonce;

TEST_CASE("processes of one host queue at a file", "[docs]") {
  const integration::TemporaryDirectory directory;
  MemoryStore store;  // stands for one that several processes share
  const auto file = directory / "payments.lock";
  // [file]
  IdempotencyGuard guard{store, FileLock{file}};
  // [/file]
  const auto paid = guard.execute(IdempotencyKey("shop", "1"), fingerprint("a"), [] { return 1; });
  CHECK(paid.succeeded());
}
