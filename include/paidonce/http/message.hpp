#pragma once
// An HTTP request and its response as every framework has them: what an adapter hands to a Responder and gets
// back. Values and views, no I/O.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace paidonce::inline v1::http {

namespace detail {

constexpr bool digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Letters of ASCII alone: names of fields and tokens (RFC 9110, section 5.1).
constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr bool same_name(std::string_view a, std::string_view b) noexcept {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

/// A token of RFC 9110, section 5.6.2: methods, and names of fields.
constexpr bool is_token(std::string_view text) noexcept {
  constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return digit(c) || (lower(c) >= 'a' && lower(c) <= 'z') || others.find(c) != others.npos;
  });
}

/// Any bytes but the control characters; a tab is none (RFC 9110, section 5.5).
constexpr bool sound_value(std::string_view value) noexcept {
  return std::all_of(value.begin(), value.end(), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  });
}

}  // namespace detail

/// A header field that is borrowed from the request.
struct FieldView {
  std::string_view name, value;
};

/// A header field of a response.
struct Field {
  std::string name, value;

  friend bool operator==(const Field&, const Field&) = default;
};

/// What a client sent, borrowed from the framework for as long as the call takes. Field lines stay apart, in
/// their order: a field that came twice is there twice.
struct Request {
  std::string_view method;        ///< "POST"
  std::string_view path;          ///< without the query, as the application routed it
  std::string_view query;         ///< what follows the question mark; empty without one
  std::vector<FieldView> fields;  ///< all of them; names in any case
  std::string_view body;

  /// Every line of that field, in order.
  std::vector<std::string_view> values(std::string_view name) const {
    std::vector<std::string_view> found;
    for (const FieldView& field : fields)
      if (detail::same_name(field.name, name)) found.push_back(field.value);
    return found;
  }
};

/// What a client is answered. Regular; `Codec<Response>` keeps it whole (http/stored_response.hpp).
struct Response {
  int status = 200;
  std::vector<Field> fields;
  std::string body;

  /// The first value of that field; null without one.
  const std::string* find(std::string_view name) const noexcept {
    for (const Field& field : fields)
      if (detail::same_name(field.name, name)) return &field.value;
    return nullptr;
  }
  /// Instead of all that it had under that name.
  void set(std::string_view name, std::string_view value) {
    std::erase_if(fields, [name](const Field& field) { return detail::same_name(field.name, name); });
    fields.push_back({std::string(name), std::string(value)});
  }

  friend bool operator==(const Response&, const Response&) = default;
};

/// Who was authorised to ask: the application's own name of the account, never an API key or a token. Keys of
/// one tenant never meet those of another. Explicit, so that nobody hands over a header by mistake: authorise
/// first, since a replay shows what was stored. A Responder refuses one without a name.
struct Tenant {
  explicit Tenant(std::string_view name) : id(name) {}
  std::string id;
};

}  // namespace paidonce::inline v1::http
