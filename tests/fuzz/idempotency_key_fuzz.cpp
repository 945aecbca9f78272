// Any bytes as the lines of an Idempotency-Key field, and as the text of a key.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <paidonce/http/idempotency_key_header.hpp>

#include "fuzz/require.hpp"

using namespace paidonce;
using fuzz::require;

namespace {

using Parsed = std::variant<std::string, http::KeyProblem>;

bool is_key(std::string_view text) {
  for (const char c : text)
    if (c < 0x20 || c > 0x7e) return false;
  return !text.empty() && text.size() <= IdempotencyKey::max_size;
}

Parsed parse(const std::string& line, http::KeySyntax syntax) {
  const std::string_view lines[] = {line};
  return http::parse_idempotency_key(lines, syntax);
}

void check_lines(std::string_view input) {
  std::vector<std::string_view> lines;  // one each, as a server splits a request's head
  for (std::size_t end = 0; end != input.npos; input.remove_prefix(end == input.npos ? 0 : end + 1)) {
    end = input.find('\n');
    lines.push_back(input.substr(0, end));
  }
  const Parsed strict = http::parse_idempotency_key(lines, http::KeySyntax::strict);
  const Parsed lenient = http::parse_idempotency_key(lines, http::KeySyntax::lenient);
  if (const auto* key = std::get_if<std::string>(&strict)) {
    require(is_key(*key), "a key is 1 to 255 bytes of printable ASCII");
    require(lenient == strict, "what is a key in strict mode is the same key in lenient mode");
  }
  if (const auto* key = std::get_if<std::string>(&lenient)) {
    require(is_key(*key), "a key is 1 to 255 bytes of printable ASCII");
    require(lines.size() == 1, "a key comes alone");
    require(parse(http::format_idempotency_key(*key), http::KeySyntax::strict) == lenient,
            "a key is the same when it is sent on");
  }
}

void check_text(const std::string& text) {
  std::string line;
  try {
    line = http::format_idempotency_key(text);
  } catch (const Error& error) {
    require(error.code() == errc::invalid_key && !is_key(text), "what is refused is no key");
    return;
  }
  require(parse(line, http::KeySyntax::strict) == Parsed(text), "what is formatted is read back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  check_lines(input);
  check_text(input);
  return 0;
}
