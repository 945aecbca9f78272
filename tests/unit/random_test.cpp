// The random source: that it fills, does not repeat between threads or processes, and wipes what it handed
// out.

#include <paidonce/digest/random.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "support/sanitizer.hpp"

using namespace paidonce;

namespace {

using Drawn = std::array<std::uint64_t, 40>;  // less than a batch

Drawn draw() {
  Drawn values;
  for (std::uint64_t& value : values) value = detail::random_u64();
  return values;
}

}  // namespace

TEST_CASE("random numbers do not repeat", "[random]") {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 100'000; ++i) seen.insert(detail::random_u64());
  CHECK(seen.size() == 100'000);
}

TEST_CASE("every bit of a random number is set about half of the time", "[random]") {
  std::array<int, 64> set{};
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t value = detail::random_u64();
    for (std::size_t bit = 0; bit < 64; ++bit) set[bit] += static_cast<int>(value >> bit & 1);
  }
  for (const int count : set) {  // ten standard deviations are 500
    CHECK(count > 4500);
    CHECK(count < 5500);
  }
}

TEST_CASE("any size is filled to its end and not beyond", "[random]") {
  for (const std::size_t size : {1U, 7U, 10U, 16U, 64U, 65U, 511U, 512U, 513U, 5000U}) {
    CAPTURE(size);
    std::vector<unsigned char> any(size, 0);
    for (int round = 0; round < 20; ++round) {
      std::vector<unsigned char> bytes(size + 1, 0);
      detail::random_fill(bytes.data(), size);
      REQUIRE(bytes[size] == 0);
      for (std::size_t i = 0; i < size; ++i) any[i] = static_cast<unsigned char>(any[i] | bytes[i]);
    }
    for (const unsigned char byte : any) REQUIRE(byte != 0);  // 20 zeros in a row: 2^-160
  }
}

TEST_CASE("threads draw different numbers", "[random]") {
  std::vector<Drawn> drawn(8);
  std::vector<std::thread> threads;
  for (Drawn& mine : drawn) threads.emplace_back([&mine] { mine = draw(); });
  for (std::thread& thread : threads) thread.join();
  std::set<std::uint64_t> seen;
  for (const Drawn& values : drawn) seen.insert(values.begin(), values.end());
  CHECK(seen.size() == drawn.size() * Drawn{}.size());
}

TEST_CASE("what was handed out is not kept", "[random]") {
  if (detail::process_mark() == nullptr) return;  // nothing is batched
  detail::random_u64();
  const detail::RandomBatch& batch = detail::random_batch();
  for (std::size_t i = 0; i < sizeof batch.bytes - batch.left; ++i) REQUIRE(batch.bytes[i] == 0);
}

#ifndef PAIDONCE_TEST_THREAD_SANITIZER  // it does not follow a child

TEST_CASE("a forked child and its sibling draw neither their parent's numbers nor each other's",
          "[random][fork]") {
  detail::random_u64();  // a batch is under way when the children are born
  std::set<std::uint64_t> seen;
  for (int child = 0; child < 2; ++child) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
      const Drawn values = draw();
      const bool sent = ::write(ends[1], values.data(), sizeof values) == static_cast<ssize_t>(sizeof values);
      ::_exit(sent ? 0 : 1);
    }
    ::close(ends[1]);
    Drawn values{};
    CHECK(::read(ends[0], values.data(), sizeof values) == static_cast<ssize_t>(sizeof values));
    ::close(ends[0]);
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(status == 0);
    seen.insert(values.begin(), values.end());
  }
  const Drawn own = draw();
  seen.insert(own.begin(), own.end());
  CHECK(seen.size() == 3 * own.size());
}

#endif
