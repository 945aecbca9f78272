#pragma once
// Members of JSON that came from somewhere else: of the type that was hoped for, or nothing.

#include <string>

#include <nlohmann/json.hpp>

namespace common {

/// The member, or null: where there is none, and where `object` is no object.
inline const nlohmann::json& part(const nlohmann::json& object, const char* name) {
  static const nlohmann::json nothing;
  if (!object.is_object()) return nothing;
  const auto member = object.find(name);
  return member == object.end() ? nothing : *member;
}

/// The member's text; empty for whatever is no text.
inline std::string text_at(const nlohmann::json& object, const char* name) {
  const nlohmann::json& text = part(object, name);
  return text.is_string() ? text.get<std::string>() : std::string();
}

}  // namespace common
