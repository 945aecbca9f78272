#pragma once
// How a response becomes bytes in a record: status, fields and body, each with its length, so that any byte
// may be in any of them.
//
//   status  count  { size  name  size  value } × count  size  body
//
// Numbers are four bytes, the lowest first; the status is 200 to 599. Never changes between releases: the
// format's name would.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <paidonce/codec.hpp>
#include <paidonce/errors.hpp>
#include <paidonce/http/message.hpp>

namespace paidonce::inline v1 {

template <>
struct Codec<http::Response> {
  static constexpr std::string_view format = "http-response-1";

  /// Throws `Error{codec_failure}` for a status that ends no request, and for 4 GiB or more.
  static std::string encode(const http::Response& response) {
    if (response.status < 200 || response.status > 599)
      throw Error(errc::codec_failure, "only a response with a status of 200 to 599 can be stored");
    std::size_t size = 12 + response.body.size();
    for (const http::Field& field : response.fields) size += 8 + field.name.size() + field.value.size();
    std::string bytes;
    bytes.reserve(size);
    put(bytes, static_cast<std::size_t>(response.status));
    put(bytes, response.fields.size());
    for (const http::Field& field : response.fields) {
      put_text(bytes, field.name);
      put_text(bytes, field.value);
    }
    put_text(bytes, response.body);
    return bytes;
  }

  /// Throws `Error{codec_failure}` for bytes that `encode` did not write.
  static http::Response decode(std::string_view bytes) {
    http::Response response;
    const std::size_t status = take(bytes);
    if (status < 200 || status > 599) wrong();
    response.status = static_cast<int>(status);
    const std::size_t count = take(bytes);
    if (count > bytes.size() / 8) wrong();  // before anything is allocated for them
    response.fields.reserve(count + 2);     // what a replay adds
    for (std::size_t i = 0; i < count; ++i) {
      std::string name(take_text(bytes));
      response.fields.push_back({std::move(name), std::string(take_text(bytes))});
    }
    response.body = take_text(bytes);
    if (!bytes.empty()) wrong();
    return response;
  }

 private:
  static void put(std::string& bytes, std::size_t number) {
    if (number > UINT32_MAX) throw Error(errc::codec_failure, "a response of 4 GiB or more cannot be stored");
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(number >> shift & 0xff);
  }
  static void put_text(std::string& bytes, std::string_view text) {
    put(bytes, text.size());
    bytes += text;
  }
  static std::size_t take(std::string_view& bytes) {
    if (bytes.size() < 4) wrong();
    std::size_t number = 0;
    for (unsigned i = 0; i < 4; ++i) number |= std::size_t{static_cast<unsigned char>(bytes[i])} << 8 * i;
    bytes.remove_prefix(4);
    return number;
  }
  static std::string_view take_text(std::string_view& bytes) {
    const std::size_t size = take(bytes);
    if (size > bytes.size()) wrong();
    const std::string_view text = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return text;
  }
  [[noreturn]] static void wrong() {
    throw Error(errc::codec_failure, "the stored response is no HTTP response of this library");
  }
};

}  // namespace paidonce::inline v1
