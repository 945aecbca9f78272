// Prints what comes of ways to try again, as the table of docs/retry.md, or with --svg as its plot:
//
//   g++ -std=c++20 -O2 -Iinclude docs/simulations/retry_storm.cpp -o retry_storm
//   ./retry_storm --svg > docs/simulations/retry_storm.svg

#include <cstdio>
#include <cstring>

#include "retry_storm.hpp"
#include "retry_storm_plot.hpp"

int main(int argc, char** argv) {
  const auto courses = retry_storm::simulate(retry_storm::seed_of_the_page);
  const bool svg = argc == 2 && std::strcmp(argv[1], "--svg") == 0;
  if (argc != 1 && !svg) {
    std::fputs("usage: retry_storm [--svg]\n", stderr);
    return 2;
  }
  std::fputs((svg ? retry_storm::plot(courses) : retry_storm::table(courses)).c_str(), stdout);
}
