#pragma once
// What a fingerprint is taken of: the byte encoding of parts. It never changes between releases.
//
//   part                                   bytes
//   string, char array up to its NUL       01  size  its bytes          (contiguous std::byte likewise)
//   integer n >= 0                         02  n
//   integer n < 0                          03  -1 - n
//   false, true                            04, 05
//   enumerator                             06  part of its underlying value
//   empty optional                         07
//   optional with a value                  08  part of the value
//   range                                  09  part of each element  00
//   own type, std::pair                    0a  part of each member   00
//
// size, n and -1 - n are LEB128: seven bits a byte from the lowest up, high bit set on all but the last byte.
// Parts follow each other without anything in between. No part begins with 00 and none is the beginning of
// another, so different sequences of parts are different bytes.

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <paidonce/digest/sha256.hpp>

namespace paidonce::inline v1 {

class FingerprintSink;

namespace detail {

template <class T>
inline constexpr bool is_character =
    std::is_same_v<T, char> || std::is_same_v<T, wchar_t> || std::is_same_v<T, char8_t> ||
    std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>;
template <class T>
inline constexpr bool is_char_array = false;
template <std::size_t N>
inline constexpr bool is_char_array<char[N]> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_pair = false;
template <class A, class B>
inline constexpr bool is_pair<std::pair<A, B>> = true;
template <class T>
inline constexpr bool unsupported_part = false;

template <class T>
concept OwnPart = requires(FingerprintSink& sink, const T& value) {
  fingerprint_parts(sink, value);
};
template <class T>
concept BytesPart = requires(const T& value) {
  { std::data(value) } -> std::convertible_to<const std::byte*>;
  std::size(value);
};
template <class T>
concept RangePart = requires(const T& value) {
  std::begin(value) != std::end(value);
  *std::begin(value);
};
template <class T>
concept UnorderedPart = requires {
  typename T::hasher;
};

}  // namespace detail

/// Takes parts. Handed to `fingerprint_parts(sink, const T&)`, which a type of one's own finds in its
/// namespace:
///
///     template <class Sink> void fingerprint_parts(Sink& sink, const Card& card) { sink(card.token,
///     card.year); }
///
/// Supported parts are listed by the table above. Refused by the compiler: floating point (equal amounts
/// differ in their last bit), pointers but for char arrays (a `const char*` has no known end), single
/// characters (neither text nor number), and containers without an order.
class FingerprintSink {
 public:
  FingerprintSink(const FingerprintSink&) = delete;
  FingerprintSink& operator=(const FingerprintSink&) = delete;

  template <class... Parts>
  void operator()(const Parts&... parts) {
    (add(parts), ...);
  }

 private:
  friend class Fingerprint;
  friend class Fingerprinter;

  explicit FingerprintSink(const detail::Sha256& hash) noexcept : hash_(hash) {}
  /// Every byte goes to the `count` digests at `more`, too.
  FingerprintSink(const detail::Sha256& hash, detail::Sha256* more, std::size_t count) noexcept
      : hash_(hash), more_(more), count_(count) {}

  enum class Tag : unsigned char {  // written to digests: never renumbered
    end = 0x00,
    string = 0x01,
    natural = 0x02,
    negative = 0x03,
    no = 0x04,
    yes = 0x05,
    enumerator = 0x06,
    absent = 0x07,
    present = 0x08,
    range = 0x09,
    members = 0x0a
  };

  template <class T>
  void add(const T& value) {
    using detail::unsupported_part;
    if constexpr (detail::OwnPart<T>) {
      tag(Tag::members);
      fingerprint_parts(*this, value);
      tag(Tag::end);
    } else if constexpr (std::is_same_v<T, bool>) {
      tag(value ? Tag::yes : Tag::no);
    } else if constexpr (detail::is_char_array<T>) {
      const void* const nul = std::memchr(value, 0, sizeof value);
      add_string({value, nul == nullptr ? sizeof value
                                        : static_cast<std::size_t>(static_cast<const char*>(nul) - value)});
    } else if constexpr (std::is_pointer_v<T> || std::is_null_pointer_v<T> || std::is_member_pointer_v<T>) {
      static_assert(unsupported_part<T>,
                    "fingerprint: a pointer is not a part; write std::string_view(pointer) for text, "
                    "*pointer for a value");
    } else if constexpr (std::is_floating_point_v<T>) {
      static_assert(unsupported_part<T>,
                    "fingerprint: floating point is not a part; write the amount as text (\"4.50\"), minor "
                    "units or Money");
    } else if constexpr (detail::is_character<T>) {
      static_assert(unsupported_part<T>,
                    "fingerprint: a single character is not a part; write std::string_view(&c, 1) for text, "
                    "int(c) for a number");
    } else if constexpr (std::is_integral_v<T>) {
      add_integer(value);
    } else if constexpr (std::is_enum_v<T>) {
      tag(Tag::enumerator);
      if constexpr (detail::is_character<std::underlying_type_t<T>>) {
        add_integer(static_cast<std::int64_t>(value));
      } else {
        add(static_cast<std::underlying_type_t<T>>(value));
      }
    } else if constexpr (std::is_same_v<T, std::nullopt_t>) {
      tag(Tag::absent);
    } else if constexpr (detail::is_optional<T>) {
      tag(value.has_value() ? Tag::present : Tag::absent);
      if (value.has_value()) add(*value);
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      add_string(value);
    } else if constexpr (detail::is_pair<T>) {
      tag(Tag::members);
      add(value.first);
      add(value.second);
      tag(Tag::end);
    } else if constexpr (detail::BytesPart<T>) {
      add_string({reinterpret_cast<const char*>(std::data(value)), std::size(value)});
    } else if constexpr (detail::UnorderedPart<T>) {
      static_assert(unsupported_part<T>,
                    "fingerprint: a container without an order is not a part; copy it into a sorted vector "
                    "or a std::map");
    } else if constexpr (detail::RangePart<T>) {
      using Element = std::iter_value_t<decltype(std::begin(value))>;
      static_assert(!std::is_same_v<Element, T>,
                    "fingerprint: a range of itself is not a part; write its text");
      tag(Tag::range);
      for (auto&& element : value) add<Element>(element);  // std::vector<bool> has no bool to refer to
      tag(Tag::end);
    } else {
      static_assert(unsupported_part<T>,
                    "fingerprint: this type is not a part; pass its members, or write a function "
                    "fingerprint_parts(sink, const T&) in its namespace that calls sink(members...)");
    }
  }

  template <class T>
  void add_integer(T value) noexcept {
    if (value < 0) {
      tag(Tag::negative);
      value = static_cast<T>(~value);  // -1 - value, which cannot overflow
    } else {
      tag(Tag::natural);
    }
    if constexpr (sizeof(T) > 8) {  // a compiler's 128-bit integer
      for (; value > 127; value >>= 7) byte(static_cast<unsigned char>(value & 127) | 128);
      byte(static_cast<unsigned char>(value));
    } else {
      number(static_cast<std::uint64_t>(value));
    }
  }

  void add_string(std::string_view text) noexcept {
    tag(Tag::string);
    number(text.size());
    hash_.update(text);
    for (std::size_t i = 0; i < count_; ++i) more_[i].update(text);
  }

  void number(std::uint64_t value) noexcept {
    for (; value > 127; value >>= 7) byte(static_cast<unsigned char>((value & 127) | 128));
    byte(static_cast<unsigned char>(value));
  }

  void tag(Tag tag) noexcept { byte(static_cast<unsigned char>(tag)); }

  void byte(unsigned char byte) noexcept {
    hash_.update(byte);
    for (std::size_t i = 0; i < count_; ++i) more_[i].update(byte);
  }

  detail::Sha256 hash_;
  detail::Sha256* more_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace paidonce::inline v1
