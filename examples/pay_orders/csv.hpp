#pragma once
// Lines of a CSV file (RFC 4180), each with its number. A field does not go over the end of its line, so that
// a quote that somebody forgot spoils one line and not all behind it.

#include <cstddef>
#include <istream>
#include <string>
#include <vector>

namespace pay_orders {

struct CsvLine {
  std::size_t number = 0;  ///< as an editor counts, from 1
  std::vector<std::string> fields = {};
  std::string problem = {};  ///< empty, or why the fields are not to be used
};

/// All lines that are not blank. Throws `std::runtime_error` when reading fails.
std::vector<CsvLine> read_csv(std::istream& in);

}  // namespace pay_orders
