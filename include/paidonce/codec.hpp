#pragma once
// How the result of a payment becomes bytes in a record and comes back from them.
//
// | expression            | promise                                                                       |
// | --------------------- | ----------------------------------------------------------------------------- |
// | `Codec<R>::encode(r)` | all that a duplicate may see, and nothing more: what it returns is stored     |
// | `Codec<R>::decode(b)` | the value that was encoded; throws `Error{codec_failure}` on anything else    |
// | `Codec<R>::format`    | names the encoding; a record in another one is refused, never decoded blindly |
//
// All three are called from any number of threads.

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <paidonce/errors.hpp>

namespace paidonce::inline v1 {

/// Specialise this for a result type of your own, or include `codecs/json.hpp` for types that nlohmann-json
/// converts.
template <class R>
struct Codec;

/// A result type that can be stored and replayed.
template <class R>
concept Encodable = requires(const R& value, std::string_view bytes) {
  { Codec<R>::encode(value) } -> std::convertible_to<std::string>;
  { Codec<R>::decode(bytes) } -> std::same_as<R>;
  { Codec<R>::format } -> std::convertible_to<std::string_view>;
};

template <>
struct Codec<std::string> {
  static constexpr std::string_view format = "text";
  static std::string encode(const std::string& value) { return value; }
  static std::string decode(std::string_view bytes) { return std::string(bytes); }
};

namespace detail {

template <class Byte>
struct ByteVectorCodec {
  static constexpr std::string_view format = "bytes";
  static std::string encode(const std::vector<Byte>& value) {
    return {reinterpret_cast<const char*>(value.data()), value.size()};
  }
  static std::vector<Byte> decode(std::string_view bytes) {
    const auto* first = reinterpret_cast<const Byte*>(bytes.data());
    return {first, first + bytes.size()};
  }
};

template <class I>
concept PlainInteger =
    std::integral<I> && !std::same_as<I, bool> && !std::same_as<I, char> && !std::same_as<I, wchar_t> &&
    !std::same_as<I, char8_t> && !std::same_as<I, char16_t> && !std::same_as<I, char32_t>;

}  // namespace detail

template <>
struct Codec<std::vector<std::byte>> : detail::ByteVectorCodec<std::byte> {};
template <>
struct Codec<std::vector<unsigned char>> : detail::ByteVectorCodec<unsigned char> {};

/// Decimal text, so that a value reads back into any integer type that can hold it; `codec_failure` where
/// none can.
template <detail::PlainInteger I>
struct Codec<I> {
  static constexpr std::string_view format = "integer";
  static std::string encode(const I& value) { return std::to_string(value); }
  static I decode(std::string_view bytes) {
    I value{};
    const auto [end, error] = std::from_chars(bytes.data(), bytes.data() + bytes.size(), value);
    if (error != std::errc() || end != bytes.data() + bytes.size())
      throw Error(errc::codec_failure, "the stored response is not a whole number that fits the result type");
    return value;
  }
};

}  // namespace paidonce::inline v1
