#pragma once
// JSON Pointer, RFC 6901: which part of a document is meant.

#include <charconv>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1::http::detail {

/// One step down: the member of that name, or the element at that index.
struct PointerStep {
  std::string name;
  std::optional<std::size_t> index;  ///< where the name is an index: digits without a leading zero
};

using JsonPointer = std::vector<PointerStep>;

inline std::optional<std::size_t> array_index(std::string_view name) noexcept {
  if (name.size() > 1 && name.front() == '0') return std::nullopt;
  std::size_t index = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), index);
  if (problem != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return index;
}

/// The names that a pointer holds, "~1" and "~0" resolved. Throws `Error{invalid_options}` for what is no
/// pointer, and for the empty one: all of a document.
inline JsonPointer parse_pointer(std::string_view text) {
  const auto refuse = [text](const char* why) {
    throw Error(errc::invalid_options,
                "\"" + std::string(text) + "\" cannot be left out of JSON bodies: " + why);
  };
  if (text.empty()) refuse("it is the whole body, and all requests would be the same; name a member");
  if (text.front() != '/') refuse("a JSON pointer begins with a slash, as in \"/metadata/trace_id\"");
  JsonPointer pointer;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '/') {
      pointer.emplace_back();
    } else if (text[i] != '~') {
      pointer.back().name += text[i];
    } else {
      const char next = ++i < text.size() ? text[i] : ' ';
      if (next != '0' && next != '1')
        refuse("in a JSON pointer a tilde is written \"~0\" and a slash within a name \"~1\"");
      pointer.back().name += next == '0' ? '~' : '/';
    }
  }
  for (PointerStep& step : pointer) step.index = array_index(step.name);
  return pointer;
}

}  // namespace paidonce::inline v1::http::detail
