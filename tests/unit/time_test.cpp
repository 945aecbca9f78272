// Time and versions at their ends, where arithmetic would overflow.

#include <paidonce/time.hpp>

#include <cstdint>
#include <limits>

#include "support/catch.hpp"

using namespace paidonce;

namespace {

Timestamp at(std::int64_t millis) { return Timestamp(Duration(millis)); }

constexpr auto most = std::numeric_limits<std::int64_t>::max();
constexpr auto least = std::numeric_limits<std::int64_t>::min();

}  // namespace

TEST_CASE("a length is added to a time, in either direction", "[time]") {
  CHECK(saturating_add(at(1000), Duration(250)) == at(1250));
  CHECK(saturating_add(at(1000), Duration(-2500)) == at(-1500));
  CHECK(saturating_add(at(1000), Duration(0)) == at(1000));
  CHECK(saturating_add(at(-5), Duration(5)) == at(0));
}

TEST_CASE("a sum beyond the last moment is the last moment", "[time]") {
  CHECK(saturating_add(at(most), Duration(1)) == at(most));
  CHECK(saturating_add(at(most - 10), Duration(10)) == at(most));
  CHECK(saturating_add(at(most - 10), Duration(11)) == at(most));
  CHECK(saturating_add(at(0), Duration::max()) == at(most));
  CHECK(saturating_add(at(1), Duration::max()) == at(most));
  CHECK(saturating_add(at(most), Duration::max()) == at(most));
  CHECK(saturating_add(at(least), Duration::max()) == at(-1));
}

TEST_CASE("a difference before the first moment is the first moment", "[time]") {
  CHECK(saturating_add(at(least), Duration(-1)) == at(least));
  CHECK(saturating_add(at(least + 10), Duration(-10)) == at(least));
  CHECK(saturating_add(at(least + 10), Duration(-11)) == at(least));
  CHECK(saturating_add(at(least), Duration::min()) == at(least));
  CHECK(saturating_add(at(-1), Duration::min()) == at(least));
  CHECK(saturating_add(at(0), Duration::min()) == at(least));
  CHECK(saturating_add(at(most), Duration::min()) == at(-1));
}

TEST_CASE("the first version is the microseconds of now", "[time][version]") {
  CHECK(next_version(at(1'700'000'000'000)) == 1'700'000'000'000'000);
  CHECK(next_version(at(1)) == 1000);
}

TEST_CASE("a version is above the last, whatever the clock says", "[time][version]") {
  const Version now = next_version(at(1'700'000'000'000));
  CHECK(next_version(at(1'700'000'000'000), now) == now + 1);
  CHECK(next_version(at(1'700'000'000'000), now + 5) == now + 6);
  CHECK(next_version(at(1'600'000'000'000), now) == now + 1);  // the clock was set back
  CHECK(next_version(at(1'700'000'000'001), now) == now + 1000);
  CHECK(next_version(at(1'700'000'000'001), now + 999) == now + 1000);
  CHECK(next_version(at(1'700'000'000'001), now + 1000) == now + 1001);
}

TEST_CASE("a version is never zero, and no time makes it overflow", "[time][version]") {
  CHECK(next_version(at(0)) == 1);
  CHECK(next_version(at(-1)) == 1);
  CHECK(next_version(at(least)) == 1);
  CHECK(next_version(at(least), 41) == 42);
  const Version last = next_version(at(most));
  CHECK(last <= static_cast<Version>(most));  // fits the signed 64-bit columns of databases
  CHECK(last > next_version(at(1'700'000'000'000)));
  CHECK(next_version(at(most), last) == last + 1);
}
