#pragma once
// Opaque bytes as plain text that a terminal, a page, a log and JSON can carry, and back.

#include <optional>
#include <string>
#include <string_view>

namespace common {

/// Letters, in UTF-8, stay as they are. A backslash is doubled, and every byte that is not part of a letter
/// to be seen (control characters, those that turn or hide text, what is not UTF-8) becomes `\xNN`. Two
/// different byte strings never look the same.
std::string escaped(std::string_view bytes);

/// The bytes that `escaped` made this text of; nothing for a backslash that begins neither `\\` nor `\xNN`.
std::optional<std::string> unescaped(std::string_view text);

}  // namespace common
