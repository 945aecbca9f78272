#pragma once
// Parameters in the binary form in which PostgreSQL takes them: integers in network order, bytes as they are,
// arrays with one dimension. Pure. The forms are those of the server's *recv functions
// (src/backend/utils/adt/int8.c, varlena.c, arrayfuncs.c).

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace paidonce::inline v1::detail {

/// Object ids of the types used, fixed in the server's pg_type.dat.
enum class PostgresType : std::uint32_t { bytes = 17, int8 = 20, int2 = 21 };

template <class Integer>
void put_network(char* out, Integer value) noexcept {
  const auto bits = static_cast<std::make_unsigned_t<Integer>>(value);
  for (std::size_t byte = 0; byte < sizeof value; ++byte)
    out[byte] = static_cast<char>(static_cast<std::uint64_t>(bits) >> (8 * (sizeof value - 1 - byte)));
}

template <class Integer>
Integer network_to(const char* in) noexcept {
  std::uint64_t bits = 0;
  for (std::size_t byte = 0; byte < sizeof(Integer); ++byte)
    bits = bits << 8 | static_cast<unsigned char>(in[byte]);
  return static_cast<Integer>(static_cast<std::make_unsigned_t<Integer>>(bits));
}

/// An array of one dimension, in the making. Its memory is kept when it is begun again.
class PostgresArray {
 public:
  void begin(PostgresType type, std::size_t elements) {
    bytes_.clear();
    integer(std::int32_t{elements > 0});  // dimensions
    integer(std::int32_t{0});             // no NULLs
    integer(static_cast<std::int32_t>(type));
    if (elements == 0) return;
    integer(static_cast<std::int32_t>(elements));
    integer(std::int32_t{1});  // the first element's index
  }
  template <class Integer>
  void add(Integer value) {
    integer(static_cast<std::int32_t>(sizeof value));
    integer(value);
  }
  void add_bytes(std::string_view value) {
    integer(static_cast<std::int32_t>(value.size()));
    bytes_.append(value);
  }
  std::string_view bytes() const noexcept { return bytes_; }

 private:
  template <class Integer>
  void integer(Integer value) {
    char network[sizeof value];
    put_network(network, value);
    bytes_.append(network, sizeof network);
  }
  std::string bytes_;
};

/// The parameters of one statement. Bytes are referred to, integers copied.
class PostgresParameters {
 public:
  static constexpr std::size_t most = 20;

  void bytes(std::string_view value) noexcept {
    values_[count_] = value.empty() ? "" : value.data();  // a null pointer would be NULL
    lengths_[count_++] = static_cast<int>(value.size());
  }
  template <class Integer>
  void integer(Integer value) noexcept {
    char* const at = integers_.data() + 8 * count_;
    put_network(at, value);
    bytes({at, sizeof value});
  }

  int count() const noexcept { return static_cast<int>(count_); }
  const char* const* values() const noexcept { return values_.data(); }
  const int* lengths() const noexcept { return lengths_.data(); }
  const int* formats() const noexcept { return all_binary.data(); }

  PostgresParameters() = default;
  PostgresParameters(const PostgresParameters&) = delete;  // refers to itself
  PostgresParameters& operator=(const PostgresParameters&) = delete;

 private:
  static constexpr std::array<int, most> all_binary = [] {
    std::array<int, most> formats{};
    formats.fill(1);
    return formats;
  }();

  std::size_t count_ = 0;
  std::array<const char*, most> values_;
  std::array<int, most> lengths_;
  std::array<char, 8 * most> integers_;
};

}  // namespace paidonce::inline v1::detail
