#pragma once
// The text that Prometheus reads, written line by line: version 0.0.4 of its text format
// (prometheus.io/docs/instrumenting/exposition_formats).

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/detail/utf8.hpp>
#include <paidonce/errors.hpp>

namespace paidonce::inline v1 {

/// Names and values of labels, as {"shop", "north"}. Values are any UTF-8; never put a key or a customer in
/// one.
using PrometheusLabels = std::vector<std::pair<std::string, std::string>>;

namespace detail {

constexpr bool is_letter(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// [a-zA-Z_][a-zA-Z0-9_]*
constexpr bool is_prometheus_name(std::string_view text) noexcept {
  if (text.empty() || !is_letter(text.front())) return false;
  for (const char c : text)
    if (!is_letter(c) && !is_digit(c)) return false;
  return true;
}

/// Exact: 1500000 is "0.0015".
inline std::string seconds_text(std::uint64_t nanoseconds) {
  std::string text = std::to_string(nanoseconds / 1'000'000'000);
  std::string rest = std::to_string(1'000'000'000 + nanoseconds % 1'000'000'000);
  rest.front() = '.';
  while (rest.back() == '0') rest.pop_back();
  return rest.size() > 1 ? text + rest : text;
}

/// Families of metrics, one after the other, each with the samples that belong to it.
class PrometheusPage {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  /// Throws `Error{invalid_options}`.
  explicit PrometheusPage(std::string_view prefix) : prefix_(prefix) {
    if (!is_prometheus_name(prefix))
      throw Error(errc::invalid_options,
                  "the prefix of metrics is letters, digits and underscores, as paidonce");
  }

  /// What labels may be given by an application. Throws `Error{invalid_options}`.
  static void check(const PrometheusLabels& labels) {
    for (auto label = labels.begin(); label != labels.end(); ++label) {
      if (!is_prometheus_name(label->first) || label->first.starts_with("__"))
        throw Error(
            errc::invalid_options,
            "a label's name is letters, digits and underscores, and does not begin with two of these");
      for (const std::string_view own : {"state", "currency", "reason", "call", "result", "write", "le"})
        if (label->first == own)
          throw Error(errc::invalid_options,
                      "a label has a name that the metrics use themselves: " + label->first);
      for (auto other = labels.begin(); other != label; ++other)
        if (other->first == label->first)
          throw Error(errc::invalid_options, "a label is given twice: " + label->first);
      if (!is_utf8(label->second))
        throw Error(errc::invalid_options, "the value of a label is not UTF-8: " + label->first);
    }
  }

  /// Begins a family: the samples after it are its own.
  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = prefix_ + '_' + std::string(name);
    text_.append("# HELP ").append(name_).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(name_).append(" ").append(type).append("\n");
  }
  void sample(const PrometheusLabels& given, Labels own, std::string_view value,
              std::string_view suffix = {}) {
    text_.append(name_).append(suffix);
    char between = '{';
    for (const auto& [name, text] : given) label(between, name, text);
    for (const auto& [name, text] : own) label(between, name, text);
    if (between != '{') text_ += '}';
    text_.append(" ").append(value).append("\n");
  }
  void sample(const PrometheusLabels& given, Labels own, std::uint64_t value, std::string_view suffix = {}) {
    sample(given, own, std::string_view(std::to_string(value)), suffix);
  }

  std::string text() && { return std::move(text_); }

 private:
  void label(char& between, std::string_view name, std::string_view value) {
    text_ += between;
    between = ',';
    text_.append(name).append("=\"");
    for (const char c : value) {
      if (c == '\\' || c == '"') text_ += '\\';
      if (c == '\n')
        text_.append("\\n");
      else
        text_ += c;
    }
    text_ += '"';
  }

  const std::string prefix_;
  std::string name_;  // of the family that is being written
  std::string text_;
};

}  // namespace detail
}  // namespace paidonce::inline v1
