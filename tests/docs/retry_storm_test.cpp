// What docs/retry.md says about storms of retries is what its simulation says.

#include "../../docs/simulations/retry_storm.hpp"

#include <fstream>
#include <iterator>
#include <map>

#include "../../docs/simulations/retry_storm_plot.hpp"
#include "support/catch.hpp"

namespace {

std::string docs_file(const std::string& name) {
  std::ifstream in(PAIDONCE_DOCS "/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("with other chances, too, jitter takes the peak off a storm of retries", "[docs][retry]") {
  const auto seed = GENERATE(std::uint64_t{2}, std::uint64_t{3});
  CAPTURE(seed);
  std::map<std::string, retry_storm::Course> courses;
  for (auto& course : retry_storm::simulate(seed)) courses.emplace(course.name, std::move(course));
  const auto& hammering = courses.at("no backoff: 0.1 s each time");
  const auto& together = courses.at("backoff without jitter");
  for (const char* jitter : {"full jitter", "equal jitter", "decorrelated jitter"}) {
    CAPTURE(jitter);
    const auto& spread = courses.at(jitter);
    CHECK(20 * spread.peak < together.peak);
    CHECK(20 * spread.peak < hammering.peak);
    CHECK(5 * spread.all < together.all);
    CHECK(spread.all < hammering.all);
    CHECK(spread.all >= paidonce::Duration(20'000));  // 10,000 payments, 500 a second
    CHECK(spread.requests >= 10'000);
  }
  for (const char* pauses : {"no backoff", "full jitter"}) {
    CAPTURE(pauses);
    const auto& held_back = courses.at(pauses + std::string(", with a budget"));
    CHECK(held_back.peak < 500);  // of the gateway's capacity
    CHECK(held_back.all > courses.at("full jitter").all);
  }
}

TEST_CASE("the page on retries shows the table and the plot of its simulation", "[docs][retry]") {
  const auto courses = retry_storm::simulate(retry_storm::seed_of_the_page);
  INFO("run it again: docs/simulations/retry_storm.cpp says how");
  CHECK(docs_file("retry.md").find(retry_storm::table(courses)) != std::string::npos);
  CHECK((docs_file("simulations/retry_storm.svg") == retry_storm::plot(courses)));
}
