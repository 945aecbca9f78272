#include "csv.hpp"

#include <new>
#include <stdexcept>
#include <string_view>

#include <csv.h>

namespace pay_orders {
namespace {

/// libcsv's parser, for one line.
class Parser {
 public:
  Parser() {
    if (csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI) != 0) throw std::bad_alloc();
  }
  ~Parser() { csv_free(&parser_); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;

  void parse(std::string_view text, CsvLine& line) {
    const auto field = [](void* bytes, std::size_t size, void* fields) {
      static_cast<std::vector<std::string>*>(fields)->emplace_back(static_cast<const char*>(bytes), size);
    };
    const bool read =
        csv_parse(&parser_, text.data(), text.size(), field, nullptr, &line.fields) == text.size();
    if (read && csv_fini(&parser_, field, nullptr, &line.fields) == 0) return;
    if (csv_error(&parser_) == CSV_ENOMEM) throw std::bad_alloc();
    line.problem =
        "a quote is missing or out of place; write a quote within a field twice, and the field in quotes";
  }

 private:
  csv_parser parser_{};
};

}  // namespace

std::vector<CsvLine> read_csv(std::istream& in) {
  std::vector<CsvLine> lines;
  std::size_t number = 0;
  for (std::string text; std::getline(in, text);) {
    ++number;
    constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";
    if (number == 1 && text.starts_with(byte_order_mark)) text.erase(0, byte_order_mark.size());
    if (text.ends_with('\r')) text.pop_back();
    if (text.find_first_not_of(" \t") == std::string::npos) continue;
    CsvLine& line = lines.emplace_back();
    line.number = number;
    Parser().parse(text, line);
  }
  if (in.bad()) throw std::runtime_error("the file could not be read to its end");
  return lines;
}

}  // namespace pay_orders
