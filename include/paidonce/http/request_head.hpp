#pragma once
// The head of an HTTP/1.1 request (RFC 9112): request line and fields, and where its body ends. Whatever two
// readers could read differently is refused, since a proxy in front that reads it otherwise would take part
// of a body for a request (request smuggling). Pure.

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include <paidonce/http/idempotency_key_header.hpp>
#include <paidonce/http/message.hpp>

namespace paidonce::inline v1::http {

/// A request that is not carried out. `detail` is told to the client and never quotes it.
struct Refusal {
  int status = 400;
  std::string_view detail = {};
};

/// Borrowed from the bytes that it was read from.
struct RequestHead {
  std::string_view method, target;  ///< the target begins with "/", or is "*"
  std::vector<FieldView> fields;    ///< all of them, in their order
  bool chunked = false;             ///< the body comes in chunks, and `length` says nothing
  std::uint64_t length = 0;         ///< of the body, in bytes
  bool keeps_alive = true;          ///< another request may follow
  bool expects_continue = false;    ///< the client waits for "100 Continue" before it sends the body
};

/// More than this is 414 and 431.
inline constexpr std::size_t longest_target = 8000, most_fields = 100;

namespace detail {

constexpr bool hex(char c) noexcept { return digit(c) || (lower(c) >= 'a' && lower(c) <= 'f'); }

/// Whether one of the values, separated by commas, is that word.
constexpr bool lists(std::string_view values, std::string_view word) noexcept {
  for (;;) {
    const auto comma = values.find(',');
    if (same_name(without_blanks(values.substr(0, comma)), word)) return true;
    if (comma == values.npos) return false;
    values.remove_prefix(comma + 1);
  }
}

/// What is wrong with a path: an escape that is none, or one of the byte 0.
constexpr bool sound_path(std::string_view path) noexcept {
  for (std::size_t at = path.find('%'); at != path.npos; at = path.find('%', at + 1)) {
    if (at + 2 >= path.size() || !hex(path[at + 1]) || !hex(path[at + 2])) return false;
    if (path[at + 1] == '0' && path[at + 2] == '0') return false;
  }
  return true;
}

/// Methods that a payment server may serve: all others are 501 (RFC 9110, section 9.1).
constexpr bool is_served(std::string_view method) noexcept {
  for (const std::string_view known : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
    if (method == known) return true;
  return false;
}

/// Reads the request line into `head`; whether it is HTTP/1.0 into `old`.
inline Refusal read_request_line(std::string_view line, RequestHead& head, bool& old) {
  const auto first = line.find(' '), last = line.rfind(' ');
  if (first == last) return {400, "The request line is not method, target and version."};
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (version.size() != 8 || !version.starts_with("HTTP/") || !digit(version[5]) || version[6] != '.' ||
      !digit(version[7]))
    return {400, "The request line does not end with a version of HTTP."};
  if (version[5] != '1' || version[7] > '1') return {505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."};
  old = version[7] == '0';
  if (!is_token(head.method)) return {400, "The method is not a token."};
  if (!is_served(head.method)) return {501, "No such method is served here. Methods are in capital letters."};
  if (head.target.size() > longest_target) return {414, "The target has more than 8000 characters."};
  if (!std::all_of(head.target.begin(), head.target.end(),
                   [](char c) { return c > 0x20 && c < 0x7f && c != '#'; }))
    return {400, "The target has a character that belongs into no target."};
  for (const std::string_view scheme : {"http://", "https://"})  // absolute form: RFC 9112, section 3.2.2
    if (same_name(head.target.substr(0, scheme.size()), scheme)) {
      const auto path = head.target.find_first_of("/?", scheme.size());
      head.target = path == head.target.npos ? std::string_view("/") : head.target.substr(path);
      break;
    }
  if (head.target != "*" || head.method != "OPTIONS") {
    if (!head.target.starts_with('/')) return {400, "The target does not begin with a slash."};
    if (std::count(head.target.begin(), head.target.end(), '?') > 1)  // cpp-httplib reads no such target
      return {400, "The target has more than one question mark: write %3F for one in the query."};
    if (!sound_path(head.target.substr(0, head.target.find('?'))))
      return {400, "The path has a percent sign that two hexadecimal digits do not follow, or %00."};
  }
  return {0};
}

/// What the fields say about the body and the connection.
inline Refusal read_framing(RequestHead& head, bool old) {
  std::size_t hosts = 0, lengths = 0, codings = 0;
  head.keeps_alive = !old;
  for (const auto& [name, value] : head.fields) {
    if (same_name(name, "Host")) {
      ++hosts;
    } else if (same_name(name, "Content-Length")) {
      const auto read = std::from_chars(value.data(), value.data() + value.size(), head.length);
      if (!std::all_of(value.begin(), value.end(), digit) || read.ec != std::errc())
        return {400, "Content-Length is not one number."};
      ++lengths;
    } else if (same_name(name, "Transfer-Encoding")) {
      if (!same_name(value, "chunked")) return {501, "Transfer-Encoding is something else than chunked."};
      head.chunked = true;
      ++codings;
    } else if (same_name(name, "Connection")) {
      if (lists(value, "close")) head.keeps_alive = false;
    } else if (same_name(name, "Expect")) {
      if (!same_name(value, "100-continue")) return {417, "Expect is something else than 100-continue."};
      head.expects_continue = !old;
    } else if (same_name(name, "Content-Encoding")) {
      if (!value.empty() && !same_name(value, "identity"))
        return {415, "The body is compressed. Send it as it is."};
    } else if (same_name(name, "Content-Type")) {
      if (same_name(value.substr(0, 10), "multipart/")) return {415, "The body is of several parts."};
    }
  }
  if (hosts > 1 || (hosts == 0 && !old)) return {400, "There is not exactly one Host."};
  if (lengths > 1) return {400, "There is more than one Content-Length."};
  if (codings > 1) return {400, "There is more than one Transfer-Encoding."};
  if (codings > 0 && (lengths > 0 || old))
    return {400, "Transfer-Encoding does not go with Content-Length, nor with HTTP/1.0."};
  if (codings + lengths == 0 && (head.method == "POST" || head.method == "PUT" || head.method == "PATCH"))
    return {411, "Content-Length is missing."};
  return {0};
}

}  // namespace detail

/// Reads a head: `text` ends with its empty line, after its first "\r\n\r\n". After a refusal nobody knows
/// where the next request begins: the connection is closed.
inline std::variant<RequestHead, Refusal> read_request_head(std::string_view text) {
  RequestHead head;
  bool old = false, first = true, skipped = false;
  while (!text.empty()) {
    const auto end = text.find("\r\n");
    if (end == text.npos) return Refusal{400, "A line of the head does not end with CR LF."};
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 2);
    if (first) {
      if (line.empty() && !skipped) {  // RFC 9112, section 2.2
        skipped = true;
        continue;
      }
      if (const Refusal wrong = detail::read_request_line(line, head, old); wrong.status != 0) return wrong;
      first = false;
      continue;
    }
    if (line.empty()) break;
    if (head.fields.size() == most_fields) return Refusal{431, "There are more than 100 header fields."};
    const auto colon = line.find(':');
    if (colon == line.npos || !detail::is_token(line.substr(0, colon)))
      return Refusal{400, "A header field is not a name, a colon and a value on one line."};
    const std::string_view value = detail::without_blanks(line.substr(colon + 1));
    if (!detail::sound_value(value)) return Refusal{400, "A header field has a control character."};
    head.fields.push_back({line.substr(0, colon), value});
  }
  if (const Refusal wrong = detail::read_framing(head, old); wrong.status != 0) return wrong;
  return head;
}

}  // namespace paidonce::inline v1::http
