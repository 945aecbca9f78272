// The page of what is stuck: the oldest of a walk in any order.

#include <algorithm>
#include <functional>
#include <vector>

#include "common/smallest.hpp"
#include "support/catch.hpp"

TEST_CASE("the smallest are kept, in whatever order values come", "[smallest]") {
  std::vector<int> order = {1, 2, 3, 4, 5};
  do {
    CAPTURE(order);
    for (std::size_t most = 0; most <= 6; ++most) {
      common::Smallest<int, std::less<>> smallest(most, {});
      for (const int value : order) smallest.add(value);
      CHECK(smallest.more() == (most < 5));
      std::vector<int> expected = {1, 2, 3, 4, 5};
      expected.resize(std::min<std::size_t>(most, 5));
      CHECK(smallest.take() == expected);
    }
  } while (std::next_permutation(order.begin(), order.end()));
}
