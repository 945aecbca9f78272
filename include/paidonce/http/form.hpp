#pragma once
// application/x-www-form-urlencoded, after the URL Standard
// (https://url.spec.whatwg.org/#application/x-www-form-urlencoded). Pure.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/http/body_malformed.hpp>

namespace paidonce::inline v1::http {

/// Names and values, decoded, in their order; a name may come several times. Bytes as they were sent: what is
/// not UTF-8 is not replaced, since that would make different requests equal.
using Form = std::vector<std::pair<std::string, std::string>>;

namespace detail {

/// Calls `take(name, value)`, both still encoded, for each parameter in order. Nothing between two ampersands
/// is no parameter; a name without an equals sign has an empty value.
template <class Take>
void each_parameter(std::string_view body, Take&& take) {
  while (!body.empty()) {
    const std::string_view parameter = body.substr(0, body.find('&'));
    body.remove_prefix(std::min(body.size(), parameter.size() + 1));
    if (parameter.empty()) continue;
    const std::string_view name = parameter.substr(0, parameter.find('='));
    take(name, parameter.substr(std::min(parameter.size(), name.size() + 1)));
  }
}

/// 16 for what is no hexadecimal digit.
constexpr unsigned hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned>(c - 'A' + 10);
  return 16;
}

inline void append_decoded(std::string& out, std::string_view encoded) {
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '+') {
      out += ' ';
    } else if (encoded[i] == '%') {
      if (encoded.size() - i < 3 || hex_value(encoded[i + 1]) > 15 || hex_value(encoded[i + 2]) > 15)
        throw BodyMalformed(
            "The form has a percent sign that two hexadecimal digits do not follow: write %25 for a percent "
            "sign.");
      out += static_cast<char>(hex_value(encoded[i + 1]) << 4 | hex_value(encoded[i + 2]));
      i += 2;
    } else {
      out += encoded[i];
    }
  }
}

/// As the URL Standard serializes: only letters, digits and * - . _ stand for themselves.
inline void append_encoded(std::string& out, std::string_view decoded) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (const char c : decoded) {
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '*' || c == '-' ||
        c == '.' || c == '_') {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
}

}  // namespace detail

/// Throws `BodyMalformed` for a percent sign that two hexadecimal digits do not follow: what the other side
/// would make of it is not known. No body is an empty form.
inline Form parse_form(std::string_view body) {
  Form form;
  detail::each_parameter(body, [&](std::string_view name, std::string_view value) {
    auto& parameter = form.emplace_back();
    detail::append_decoded(parameter.first, name);
    detail::append_decoded(parameter.second, value);
  });
  return form;
}

/// The same bytes for every way to write the same form: parameters sorted by the bytes of their names, those
/// of one name in their order, which may mean something. `parse_form` reads the same form back, but for the
/// order of names; so forms that differ in more are different bytes, which never change between releases.
/// Throws as `parse_form` does. A `BodyForm`.
inline std::string canonical_form(std::string_view body) {
  struct Parameter {
    std::size_t name, value, end;  // where they begin in `decoded`
  };
  std::string decoded;
  decoded.reserve(body.size());
  std::vector<Parameter> parameters;
  detail::each_parameter(body, [&](std::string_view name, std::string_view value) {
    Parameter parameter{};
    parameter.name = decoded.size();
    detail::append_decoded(decoded, name);
    parameter.value = decoded.size();
    detail::append_decoded(decoded, value);
    parameter.end = decoded.size();
    parameters.push_back(parameter);
  });
  const std::string_view bytes = decoded;
  std::sort(parameters.begin(), parameters.end(), [bytes](const Parameter& a, const Parameter& b) {
    const int order = bytes.substr(a.name, a.value - a.name).compare(bytes.substr(b.name, b.value - b.name));
    if (order != 0) return order < 0;
    // In their order; those that begin and end together are both empty.
    return a.name != b.name ? a.name < b.name : a.end < b.end;
  });
  std::string canonical;
  canonical.reserve(body.size() + parameters.size());
  for (const Parameter& parameter : parameters) {
    if (!canonical.empty()) canonical += '&';
    detail::append_encoded(canonical, bytes.substr(parameter.name, parameter.value - parameter.name));
    canonical += '=';
    detail::append_encoded(canonical, bytes.substr(parameter.value, parameter.end - parameter.value));
  }
  return canonical;
}

}  // namespace paidonce::inline v1::http
