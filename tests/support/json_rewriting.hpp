#pragma once
// Other ways to write the same JSON: members in another order, blanks, escapes, numbers in another notation.
// For tests of what must not tell them apart.

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace support {

/// Rewrites text that `http::CanonicalJson` wrote, at the whim of `random()`, which returns unsigned numbers.
template <class Random>
class JsonRewriting {
 public:
  explicit JsonRewriting(Random& random) : random_(random) {}

  std::string operator()(std::string_view canonical) {
    rest_ = canonical;
    std::string value = blanks() + this->value();
    return value + blanks();
  }

 private:
  std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_()) % n; }
  std::string blanks() {
    std::string text;
    while (below(4) == 0) text += " \t\r\n"[below(4)];
    return text;
  }
  char take() {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    return c;
  }

  std::string value() {
    switch (rest_.front()) {
      case '{': return members();
      case '[': return elements();
      case '"': return string();
      case 't':
      case 'f':
      case 'n': return std::string(take_while([](char c) { return c >= 'a' && c <= 'z'; }));
      default: return number();
    }
  }

  std::string members() {
    std::vector<std::string> all;
    while (take() != '}') {
      if (rest_.front() == '}') continue;
      std::string name = string();
      take();
      all.push_back(blanks() + name + blanks() + ":" + blanks() + value() + blanks());
    }
    for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[below(i)]);
    return joined('{', all, '}');
  }

  std::string elements() {
    std::vector<std::string> all;
    while (take() != ']')
      if (rest_.front() != ']') all.push_back(blanks() + value() + blanks());
    return joined('[', all, ']');
  }

  std::string joined(char open, const std::vector<std::string>& parts, char close) {
    std::string text(1, open);
    for (const std::string& part : parts) {
      if (text.size() > 1) text += ',';
      text += part;
    }
    return (parts.empty() ? text + blanks() : text) + close;
  }

  std::string string() {
    std::string text(1, take());
    while (rest_.front() != '"') {
      if (rest_.front() == '\\') {
        for (int rest = rest_[1] == 'u' ? 6 : 2; rest > 0; --rest) text += take();
      } else if (below(3) != 0) {
        text += take();
        while (is_continuation(rest_.front())) text += take();
      } else {
        text += escaped(code_point());
      }
    }
    return text += take();
  }

  static bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }
  unsigned code_point() {
    const auto lead = static_cast<unsigned char>(take());
    unsigned point = lead < 0x80 ? lead : lead < 0xe0 ? lead & 0x1fu : lead < 0xf0 ? lead & 0xfu : lead & 7u;
    while (is_continuation(rest_.front())) point = point << 6 | (static_cast<unsigned char>(take()) & 0x3fu);
    return point;
  }
  std::string escaped(unsigned point) {
    if (point == '/') return "\\/";
    if (point < 0x10000) return unit(point);
    return unit(0xd7c0 + (point >> 10)) + unit(0xdc00 + (point & 0x3ff));
  }
  std::string unit(unsigned code) {
    char text[8];
    std::snprintf(text, sizeof text, below(2) == 0 ? "\\u%04x" : "\\u%04X", code & 0xffff);
    return text;
  }

  std::string number() {
    std::string text = rest_.front() == '-' ? std::string(1, take()) : "";
    std::string digits(take_while([](char c) { return c >= '0' && c <= '9'; }));
    long long exponent = 0;
    if (!rest_.empty() && rest_.front() == 'e') {
      take();
      exponent =
          std::stoll(std::string(take_while([](char c) { return c == '-' || (c >= '0' && c <= '9'); })));
    }
    if (digits == "0")
      return (below(2) == 0 ? "-0" : "0") + std::string(below(2) == 0 ? ".00" : "") + zero_power();
    const std::size_t zeros = below(4);
    digits.append(zeros, '0');
    exponent -= static_cast<long long>(zeros);
    const std::size_t point = 1 + below(digits.size());
    if (point < digits.size()) {
      exponent += static_cast<long long>(digits.size() - point);
      digits.insert(point, 1, '.');
    } else if (below(2) == 0) {
      digits += ".0";
    }
    if (below(3) == 0 && digits.size() > 1 && digits[1] == '.') {  // 4.5 as 0.45e1
      digits = "0." + digits.substr(0, 1) + digits.substr(2);
      ++exponent;
    }
    text += digits;
    if (exponent == 0 && below(2) == 0) return text;
    text += below(2) == 0 ? "e" : "E";
    if (exponent < 0) text += '-';
    if (exponent >= 0 && below(2) == 0) text += '+';
    return text + std::string(below(3), '0') + std::to_string(exponent < 0 ? -exponent : exponent);
  }
  std::string zero_power() { return below(2) == 0 ? "" : below(2) == 0 ? "e5" : "E-99999999999"; }

  template <class Belongs>
  std::string_view take_while(Belongs belongs) {
    std::size_t n = 0;
    while (n < rest_.size() && belongs(rest_[n])) ++n;
    const std::string_view taken = rest_.substr(0, n);
    rest_.remove_prefix(n);
    return taken;
  }

  Random& random_;
  std::string_view rest_ = {};
};

}  // namespace support
