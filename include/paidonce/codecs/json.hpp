#pragma once
// Results as JSON text, by nlohmann-json: for every type that it converts both ways and that has no codec of
// its own. Component paidonce::json.

#include <cmath>
#include <concepts>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>

#include <nlohmann/json.hpp>

#include <paidonce/codec.hpp>
#include <paidonce/errors.hpp>

namespace paidonce::inline v1 {

/// A result type that nlohmann-json converts both ways: by `to_json` and `from_json` found by
/// argument-dependent look-up, by one of its NLOHMANN_DEFINE_TYPE macros, or by `nlohmann::adl_serializer`.
/// Standard containers and `nlohmann::json` itself are among them. Not among them: whole numbers, which have
/// a codec of their own; `bool`, which does not say what happened; and pointers and views, which would refer
/// into text that is gone.
template <class R>
concept JsonConvertible = !detail::PlainInteger<R> && !std::same_as<R, bool> && !std::is_pointer_v<R> &&
                          !std::same_as<R, std::string_view> && !std::same_as<R, nlohmann::ordered_json> &&
                          requires(const R& value, const nlohmann::json& json) {
  { value } -> std::convertible_to<nlohmann::json>;
  { json.template get<R>() } -> std::same_as<R>;
};

namespace detail {

/// JSON has no word for an infinity or for raw bytes, and nlohmann-json would write something that does not
/// read back.
inline bool writes_back(const nlohmann::json& json) {
  switch (json.type()) {
    case nlohmann::json::value_t::number_float: return std::isfinite(json.get<double>());
    case nlohmann::json::value_t::binary:
    case nlohmann::json::value_t::discarded: return false;
    case nlohmann::json::value_t::array:
    case nlohmann::json::value_t::object:
      for (const nlohmann::json& part : json)
        if (!writes_back(part)) return false;
      return true;
    default: return true;
  }
}

/// Throws `Error{codec_failure}` for what would not read back.
inline std::string json_text(const nlohmann::json& json) {
  try {
    if (writes_back(json)) return json.dump();
  } catch (const nlohmann::json::exception&) {
    // Told below: its text may quote the value.
  }
  throw Error(errc::codec_failure,
              "the response cannot be written as JSON: it holds text that is not UTF-8, a number that is not "
              "finite, or raw bytes");
}

}  // namespace detail

/// An explicit specialisation of `Codec`, or a partial one for a template (`Codec<Reply<T>>`), wins over this
/// one. Object members are written in the order of their names, so that equal values are equal bytes.
template <JsonConvertible R>
struct Codec<R> {
  static constexpr std::string_view format = "json";

  /// Throws `Error{codec_failure}` for text that is not UTF-8, for numbers that are not finite and for raw
  /// bytes: nothing is replaced or left out in silence. In a guard such a payment is in doubt, with the
  /// result as evidence; so convert what a provider sends to UTF-8, or keep it as a std::string, before
  /// returning it.
  static std::string encode(const R& value) { return detail::json_text(value); }

  /// Throws `Error{codec_failure}` for text that is not JSON, and for JSON that `from_json` refuses.
  static R decode(std::string_view bytes) {
    try {
      return nlohmann::json::parse(bytes).template get<R>();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception&) {
      throw Error(errc::codec_failure, "the stored response is not the JSON of the result type");
    }
  }
};

}  // namespace paidonce::inline v1
