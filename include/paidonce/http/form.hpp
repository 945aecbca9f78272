#pragma once
// application/x-www-form-urlencoded, after the URL Standard
// (https://url.spec.whatwg.org/#urlencoded-parsing). Pure.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <paidonce/http/body_malformed.hpp>

namespace paidonce::inline v1::http {

/// Names and values, decoded, in their order; a name may come several times.
using Form = std::vector<std::pair<std::string, std::string>>;

/// Throws `BodyMalformed` for a percent sign that two hexadecimal digits do not follow: what the other side
/// would make of it is not known.
Form parse_form(std::string_view body);

/// The same bytes for every way to write the same form: parameters sorted by name, those of one name in their
/// order. Throws as `parse_form` does. A `BodyForm`.
std::string canonical_form(std::string_view body);

}  // namespace paidonce::inline v1::http
