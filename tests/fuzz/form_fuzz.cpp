// Any bytes as a form: refused, or the same form whichever way it is written.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/http/form.hpp>

#include "fuzz/require.hpp"

using namespace paidonce;
using fuzz::require;

namespace {

void append_in_hexadecimal(std::string& out, std::string_view bytes) {
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += {'%', "0123456789abcdef"[byte >> 4], "0123456789ABCDEF"[byte & 15]};
  }
}

/// Every byte escaped, names that are not adjacent to their like moved: the last name's parameters come
/// first.
std::string rewritten(http::Form form) {
  std::stable_sort(form.begin(), form.end(), [](const auto& a, const auto& b) { return b.first < a.first; });
  std::string body = "&";
  for (const auto& [name, value] : form) {
    append_in_hexadecimal(body, name);
    body += '=';
    append_in_hexadecimal(body, value);
    body += "&&";
  }
  return body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  std::string canonical;
  try {
    canonical = http::canonical_form(body);
  } catch (const http::BodyMalformed&) {
    require(body.find('%') != body.npos, "only a percent sign is malformed");
    try {
      http::parse_form(body);
    } catch (const http::BodyMalformed&) {
      return 0;
    }
    require(false, "a form that has no canonical form cannot be read");
  }
  http::Form form = http::parse_form(body);
  require(http::canonical_form(rewritten(form)) == canonical, "how a form is written makes no difference");
  std::stable_sort(form.begin(), form.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  require(http::parse_form(canonical) == form, "the canonical form reads back as the same form");
  require(http::canonical_form(canonical) == canonical, "the canonical form is its own");
  if (!form.empty()) {
    form[size % form.size()].second += 'x';
    require(http::canonical_form(rewritten(form)) != canonical, "another value is another form");
  }
  return 0;
}
